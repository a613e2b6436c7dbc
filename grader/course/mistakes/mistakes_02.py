"""Planted mistakes of assignment 2, and other right answers, as edits of our solution.

A mistake: its task, a name, what to replace by what, the check that must name it, and words of the
hint (or, where there is none, of the fact). An alternative: a name and its edits.
"""

SCORES = "scores = q @ k.mT / math.sqrt(q.shape[-1])"
HIDE = "scores = scores.masked_fill(~valid[:, None, None, :], -math.inf)"
WEIGHTS = "weights = scores.softmax(dim=-1)"
FOUR = """        self.query = nn.Linear(d_model, d_model)
        self.key = nn.Linear(d_model, d_model)
        self.value = nn.Linear(d_model, d_model)
"""
MAPS = """        q = split_heads(self.query(x), self.num_heads)
        k = split_heads(self.key(x), self.num_heads)
        v = split_heads(self.value(x), self.num_heads)
"""
JOIN = "return self.out(merge_heads(attend(q, k, v, valid)))"
SPLIT = "x = x.unflatten(-1, (num_heads, -1))"
SWAP = "return x.transpose(1, 2)\n"
EXPONENTS = "exponents = torch.arange(0, d_model, 2) / d_model"
ANGLES = "angles = torch.arange(num_frames)[:, None] / 10_000**exponents"
TURNS = "return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)"
FIRST = "x = self.norm_attention(x + self.attention(x, valid))"
SECOND = "return self.norm_feed_forward(x + self.contract(self.expand(x).relu()))"
LAYERS = """nn.ModuleList(
            EncoderLayer(d_model, num_heads, d_ff) for _ in range(num_layers)
        )"""
LOOP = """        for layer in self.layers:
            x = layer(x, valid)
        return x
        # END SOLUTION"""

MISTAKES = [
    (
        "2.1",
        "no root",
        SCORES,
        "scores = q @ k.mT",
        "2.1-attend-values",
        "divided by the root of K?",
    ),
    (
        "2.1",
        "K instead of its root",
        SCORES,
        "scores = q @ k.mT / q.shape[-1]",
        "2.1-attend-values",
        "not by K",
    ),
    (
        "2.1",
        "root of another axis",
        SCORES,
        "scores = q @ k.mT / math.sqrt(q.shape[2])",
        "2.1-attend-values",
        "K is the last axis",
    ),
    (
        "2.1",
        "softmax over queries",
        WEIGHTS,
        "weights = scores.softmax(dim=-2)",
        "2.1-attend-values",
        "over keys, the last axis",
    ),
    ("2.1", "no softmax", WEIGHTS, "weights = scores", "2.1-attend-values", "from the softmax"),
    (
        "2.1",
        "mask upside down",
        HIDE,
        HIDE.replace("~valid", "valid"),
        "2.1-attend-hides-padding",
        "upside down?",
    ),
    ("2.1", "mask forgotten", HIDE, "pass", "2.1-attend-hides-padding", "used at all?"),
    (
        "2.1",
        "score zero for padding",
        HIDE,
        HIDE.replace("-math.inf", "0"),
        "2.1-attend-hides-padding",
        "not a weight of 0",
    ),
    (
        "2.1",
        "a hundred below zero for padding",
        HIDE,
        HIDE.replace("-math.inf", "-100"),
        "2.1-attend-hides-padding",
        "lower than any score",
    ),
    (
        "2.1",
        "mask after the softmax",
        f"    if valid is not None:\n        {HIDE}\n",
        "",
        "2.1-attend-hides-padding",
        "before the softmax",
        (
            "return weights @ v",
            "return (weights if valid is None else weights * valid[:, None, None, :]) @ v",
        ),
    ),
    (
        "2.1",
        "queries hidden",
        HIDE,
        HIDE.replace("None, None, :]", "None, :, None]"),
        "2.1-attend-hides-keys-not-queries",
        "rows are queries",
    ),
    (
        "2.1",
        "queries returned",
        "return weights @ v",
        "return q",
        "2.1-attend-hides-padding",
        "same for other values v",
    ),
    ("2.1", "no return", "return weights @ v", "weights @ v", "2.1-attend-values", "return"),
    ("2.1", "root multiplied", SCORES, SCORES.replace("/", "*"), "2.1-attend-values", "multiply"),
    (
        "2.1",
        "softmax over heads",
        WEIGHTS,
        WEIGHTS.replace("-1", "1"),
        "2.1-attend-values",
        "not over heads",
    ),
    (
        "2.1",
        "keys averaged",
        "return weights @ v",
        "return weights @ k",
        "2.1-attend-values",
        "are the values",
    ),
    (
        "2.1",
        "mask without axes for heads and queries",
        HIDE,
        HIDE.replace("[:, None, None, :]", ""),
        "2.1-attend-hides-padding",
        "RuntimeError",
    ),
    (
        "2.2",
        "a reshape alone",
        f"    {SPLIT}\n",
        "    B, T, D = x.shape\n    return x.reshape(B, num_heads, T, -1)\n",
        "2.2-split-heads",
        "swap axes too",
    ),
    (
        "2.2",
        "columns in turns",
        SPLIT,
        "x = x.unflatten(-1, (-1, num_heads)).transpose(-1, -2)",
        "2.2-split-heads",
        "not (K, H)",
    ),
    (
        "2.2",
        "no swap",
        f"{SWAP}    # END SOLUTION\n",
        "return x\n    # END SOLUTION\n",
        "2.2-split-heads",
        "heads come before frames",
    ),
    (
        "2.2",
        "merged without a swap",
        "return x.transpose(1, 2).flatten(2)",
        "return x.reshape(x.shape[0], x.shape[2], -1)",
        "2.2-merge-heads",
        "swap H and T back",
    ),
    (
        "2.3",
        "no fourth map",
        JOIN,
        "return merge_heads(attend(q, k, v, valid))",
        "2.3-attention-values",
        "fourth map applied",
    ),
    (
        "2.3",
        "mask not passed on",
        JOIN,
        JOIN.replace(", valid", ""),
        "2.3-attention-hides-padding",
        "does attend get valid?",
    ),
    (
        "2.3",
        "divided by the root of D",
        JOIN,
        JOIN.replace("attend(q", "attend(q / self.num_heads**0.5"),
        "2.3-attention-values",
        "its own width K",
    ),
    (
        "2.3",
        "no bias",
        FOUR,
        FOUR.replace("d_model)", "d_model, bias=False)"),
        "2.3-attention-parameters",
        "do queries, keys and values have a bias?",
    ),
    (
        "2.3",
        "one head",
        "self.num_heads = num_heads",
        "self.num_heads = 1",
        "2.3-attention-values",
        "split into heads at all?",
    ),
    (
        "2.3",
        "merged by a reshape",
        JOIN,
        JOIN.replace(
            "merge_heads(attend(q, k, v, valid))", "attend(q, k, v, valid).reshape(x.shape)"
        ),
        "2.3-attention-values",
        "swap H and T back",
    ),
    (
        "2.3",
        "one map for queries and keys",
        MAPS,
        MAPS.replace("self.key", "self.query"),
        "2.3-attention-values",
        "a map each?",
    ),
    (
        "2.3",
        "a detour inside",
        JOIN,
        JOIN.replace("return ", "return x + "),
        "2.3-attention-values",
        "belongs to the layer",
    ),
    (
        "2.4",
        "sines first, then cosines",
        TURNS,
        "return torch.cat([angles.sin(), angles.cos()], dim=1)",
        "2.4-positions-values",
        "take turns",
    ),
    (
        "2.4",
        "positions from 1",
        ANGLES,
        ANGLES.replace("arange(num_frames)", "arange(1, num_frames + 1)"),
        "2.4-positions-values",
        "first position is 0",
    ),
    (
        "2.4",
        "2i counted as i",
        EXPONENTS,
        "exponents = torch.arange(d_model // 2) / d_model",
        "2.4-positions-values",
        "is the 2 there?",
    ),
    (
        "2.4",
        "2i counted twice",
        EXPONENTS,
        "exponents = 2 * torch.arange(0, d_model, 2) / d_model",
        "2.4-positions-values",
        "is the 2 there twice?",
    ),
    (
        "2.4",
        "cosines first",
        TURNS,
        "return torch.stack([angles.cos(), angles.sin()], dim=-1).flatten(1)",
        "2.4-positions-values",
        "sines in the even ones",
    ),
    (
        "2.5",
        "pre-norm",
        FIRST,
        "x = x + self.attention(self.norm_attention(x), valid)",
        "2.5-layer-values",
        "pre-norm?",
        (SECOND, "return x + self.contract(self.expand(self.norm_feed_forward(x)).relu())"),
    ),
    (
        "2.5",
        "dropout",
        SECOND,
        SECOND.replace("relu()", "relu() * F.dropout(torch.ones(1), 0.5, self.training)"),
        "2.5-layer-values",
        "is there dropout?",
    ),
    (
        "2.5",
        "no detours",
        FIRST,
        FIRST.replace("x + self", "self"),
        "2.5-layer-values",
        "two detours",
        (SECOND, SECOND.replace("x + self", "self")),
    ),
    (
        "2.5",
        "one norm used twice",
        SECOND,
        SECOND.replace("norm_feed_forward", "norm_attention"),
        "2.5-layer-values",
        "same norm used twice?",
    ),
    (
        "2.5",
        "one norm for both",
        "self.norm_feed_forward = nn.LayerNorm(d_model)",
        "self.norm_feed_forward = self.norm_attention",
        "2.5-layer-parameters",
        "Each needs its own",
    ),
    (
        "2.5",
        "no activation",
        SECOND,
        SECOND.replace(".relu()", ""),
        "2.5-layer-values",
        "is there a ReLU",
    ),
    (
        "2.5",
        "GELU",
        SECOND,
        SECOND.replace("self.expand(x).relu()", "F.gelu(self.expand(x))"),
        "2.5-layer-values",
        "activation is ReLU",
    ),
    (
        "2.5",
        "mask not passed on",
        FIRST,
        FIRST.replace("x, valid", "x"),
        "2.5-layer-hides-padding",
        "does the attention get valid?",
    ),
    (
        "2.5",
        "ReLU at the end",
        SECOND,
        SECOND.replace("self.expand(x).relu())", "self.expand(x)).relu()"),
        "2.5-layer-values",
        "not behind them",
    ),
    (
        "2.5",
        "feed-forward network first",
        FIRST,
        SECOND.replace("return ", "x = "),
        "2.5-layer-values",
        "attention comes first",
        (SECOND, FIRST.replace("x = ", "return ")),
    ),
    (
        "2.5",
        "a detour from the beginning",
        FIRST,
        FIRST.replace("x = ", "start, x = x, "),
        "2.5-layer-values",
        "behind the first norm",
        (SECOND, SECOND.replace("(x + ", "(start + ")),
    ),
    (
        "2.6",
        "one layer, three times",
        LAYERS,
        "nn.ModuleList([EncoderLayer(d_model, num_heads, d_ff)] * num_layers)",
        "2.6-encoder-counts",
        "one layer, used three times?",
    ),
    (
        "2.6",
        "a plain list",
        LAYERS,
        "[EncoderLayer(d_model, num_heads, d_ff) for _ in range(num_layers)]",
        "2.6-encoder-counts",
        "nn.ModuleList?",
    ),
    (
        "2.6",
        "every layer reads x",
        LOOP,
        LOOP.replace("x = layer(x", "y = layer(x").replace("return x", "return y"),
        "2.6-encoder-chains-its-layers",
        "the layer before it",
    ),
    (
        "2.6",
        "mask not passed on",
        LOOP,
        LOOP.replace("x, valid", "x"),
        "2.6-encoder-chains-its-layers",
        "every layer get valid?",
    ),
    (
        "2.6",
        "one layer too few",
        LOOP,
        LOOP.replace("self.layers", "self.layers[:-1]"),
        "2.6-encoder-chains-its-layers",
        "One layer is missing",
    ),
    (
        "2.6",
        "one norm too many",
        LOOP,
        LOOP.replace("return x", "return F.layer_norm(x, x.shape[-1:])"),
        "2.6-encoder-chains-its-layers",
        "ends in a norm already",
    ),
    (
        "2.6",
        "no gradient",
        LOOP,
        LOOP.replace("return x", "return x.detach() * x / x.detach().where(x != 0, 1)").replace(
            "x = layer(x", "x = layer(x.detach()"
        ),
        "2.6-every-layer-learns",
        "nothing detached?",
    ),
    (
        "2.6",
        "return inside the loop",
        LOOP,
        LOOP.replace("        return x", "            return x"),
        "2.6-encoder-chains-its-layers",
        "inside the loop?",
    ),
    (
        "2.7",
        "no biases in attention",
        "attention = 4 * (d_model**2 + d_model)",
        "attention = 4 * d_model**2",
        "2.7-count-for-any-width",
        "Four in attention",
    ),
    (
        "2.7",
        "one norm",
        "norms = 2 * 2 * d_model",
        "norms = 2 * d_model",
        "2.7-count-for-any-width",
        "two norms?",
    ),
    (
        "2.7",
        "one layer",
        "return num_layers * (attention",
        "return 1 * (attention",
        "2.7-count-for-any-depth",
        "does the number of layers occur",
    ),
    (
        "2.7",
        "one feed-forward matrix",
        "feed_forward = 2 * d_model * d_ff",
        "feed_forward = d_model * d_ff",
        "2.7-count-for-any-width",
        "both feed-forward matrices",
    ),
]

ALTERNATIVES = {
    "one query at a time, into zeros of the default dtype": [
        (
            "return weights @ v",
            "y = torch.zeros(*q.shape[:-1], v.shape[-1])\n    for t in range(q.shape[-2]):\n"
            "        y[..., t, :] = (weights[..., t, :, None] * v).sum(-2)\n    return y",
        ),
    ],
    "einsum, where and a large negative number": [
        (SCORES, 'scores = torch.einsum("bhtk,bhsk->bhts", q, k) * k.size(3) ** -0.5'),
        (HIDE, "scores = torch.where(valid[:, None, None, :], scores, torch.finfo(q.dtype).min)"),
        (WEIGHTS, "weights = F.softmax(scores, -1)"),
        ("return weights @ v", 'return torch.einsum("bhts,bhsk->bhtk", weights, v)'),
        (
            f"    {SPLIT}\n",
            "    x = x.view(x.size(0), x.size(1), num_heads, x.size(2) // num_heads)\n",
        ),
        (f"{SWAP}    # END SOLUTION\n", "return x.permute(0, 2, 1, 3)\n    # END SOLUTION\n"),
        (
            "return x.transpose(1, 2).flatten(2)",
            "B, H, T, K = x.shape\n    return x.permute(0, 2, 1, 3).contiguous().view(B, T, H * K)",
        ),
        (
            TURNS,
            "table = torch.zeros(num_frames, d_model)\n    table[:, 0::2] = torch.sin(angles)\n"
            "    table[:, 1::2] = torch.cos(angles)\n    return table",
        ),
        (EXPONENTS, "exponents = torch.tensor([2 * i / d_model for i in range(d_model // 2)])"),
        ("norms = 2 * 2 * d_model", "norms = 4 * d_model + 0.0"),
        (
            LAYERS,
            "nn.Sequential(*[EncoderLayer(d_model, num_heads, d_ff) for _ in range(num_layers)])",
        ),
    ],
    "queries, keys and values in one map, other names inside": [
        (FOUR, "        self.everything = nn.Linear(d_model, 3 * d_model)\n"),
        (
            MAPS,
            "        q, k, v = (split_heads(y, self.num_heads)"
            " for y in self.everything(x).chunk(3, dim=-1))\n",
        ),
        ("self.out = nn.Linear(d_model, d_model)", "self.last = nn.Linear(d_model, d_model)"),
        (JOIN, JOIN.replace("self.out", "self.last")),
        ("self.expand = nn.Linear(d_model, d_ff)", "self.expand = None"),
        (
            "self.contract = nn.Linear(d_ff, d_model)",
            "self.net = nn.Sequential(\n            nn.Linear(d_model, d_ff), nn.ReLU(), "
            "nn.Linear(d_ff, d_model)\n        )",
        ),
        (SECOND, "return self.norm_feed_forward(x + self.net(x))"),
        (
            LAYERS,
            "nn.ModuleList()\n        for _ in range(num_layers):\n"
            "            self.layers.append(EncoderLayer(d_model, num_heads, d_ff))",
        ),
    ],
    "one map named like nothing else, cut by unflatten; layers are deep copies": [
        (FOUR, "        self.qkv = nn.Linear(d_model, 3 * d_model)\n"),
        (
            MAPS,
            "        q, k, v = self.qkv(x).unflatten(-1, (3, self.num_heads, -1))"
            ".permute(2, 0, 3, 1, 4)\n",
        ),
        (
            LAYERS,
            "nn.ModuleList()\n        first = EncoderLayer(d_model, num_heads, d_ff)\n"
            "        for _ in range(num_layers):\n"
            "            self.layers.append(copy.deepcopy(first))",
        ),
        (HIDE, 'scores = scores + torch.where(valid, 0.0, float("-inf"))[:, None, None, :]'),
        (ANGLES, "angles = torch.outer(torch.arange(num_frames).float(), 10_000.0**-exponents)"),
        (
            "attention = 4 * (d_model**2 + d_model)",
            "return num_layers * (4 * d_model**2 + 9 * d_model + 2 * d_model * d_ff + d_ff)",
        ),
    ],
    "an additive mask of -1e9": [(HIDE, "scores = scores - 1e9 * (~valid)[:, None, None, :]")],
}
