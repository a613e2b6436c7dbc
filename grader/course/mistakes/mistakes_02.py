"""Planted mistakes of assignment 2, and other right answers (name -> edits of our solution)."""

from grader.course.mistakes.mistake import Mistake

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

# fmt: off
MISTAKES = [
    Mistake(name="no root", check="2.1-attend-values", hint="divided by the root of K?",
        replace=SCORES, by="scores = q @ k.mT"),
    Mistake(name="K instead of its root", check="2.1-attend-values", hint="not by K",
        replace=SCORES, by="scores = q @ k.mT / q.shape[-1]"),
    Mistake(name="root of another axis", check="2.1-attend-values", hint="K is the last axis",
        replace=SCORES, by="scores = q @ k.mT / math.sqrt(q.shape[2])"),
    Mistake(name="softmax over queries", check="2.1-attend-values", hint="over keys, the last axis",
        replace=WEIGHTS, by="weights = scores.softmax(dim=-2)"),
    Mistake(name="no softmax", check="2.1-attend-values", hint="the softmax of the scores",
        replace=WEIGHTS, by="weights = scores"),
    Mistake(name="mask upside down", check="2.1-attend-hides-padding", hint="upside down?",
        replace=HIDE, by=HIDE.replace("~valid", "valid")),
    Mistake(name="mask forgotten", check="2.1-attend-hides-padding", hint="used at all?",
        replace=HIDE, by="pass"),
    Mistake(name="score zero for padding", check="2.1-attend-hides-padding",
        hint="not a weight of 0", replace=HIDE, by=HIDE.replace("-math.inf", "0")),
    Mistake(name="a hundred below zero for padding", check="2.1-attend-hides-padding",
        hint="use -inf", replace=HIDE, by=HIDE.replace("-math.inf", "-100")),
    Mistake(name="mask after the softmax", check="2.1-attend-hides-padding",
        hint="before the softmax", replace=f"    if valid is not None:\n        {HIDE}\n", by="",
        also=(("return weights @ v",
            "return (weights if valid is None else weights * valid[:, None, None, :]) @ v"),)),
    Mistake(name="queries hidden", check="2.1-attend-hides-keys-not-queries",
        hint="rows are queries", replace=HIDE, by=HIDE.replace("None, None, :]", "None, :, None]")),
    Mistake(name="queries returned", check="2.1-attend-hides-padding",
        hint="same for other values v", replace="return weights @ v", by="return q"),
    Mistake(name="no return", check="2.1-attend-values", hint="return",
        replace="return weights @ v", by="weights @ v"),
    Mistake(name="root multiplied", check="2.1-attend-values", hint="multiply", replace=SCORES,
        by=SCORES.replace("/", "*")),
    Mistake(name="softmax over heads", check="2.1-attend-values", hint="not over heads",
        replace=WEIGHTS, by=WEIGHTS.replace("-1", "1")),
    Mistake(name="keys averaged", check="2.1-attend-values", hint="over the values",
        replace="return weights @ v", by="return weights @ k"),
    Mistake(name="mask without axes for heads and queries", check="2.1-attend-hides-padding",
        hint="RuntimeError", replace=HIDE, by=HIDE.replace("[:, None, None, :]", "")),
    Mistake(name="a reshape alone", check="2.2-split-heads", hint="transpose the axes too",
        replace=f"    {SPLIT}\n",
        by="    B, T, D = x.shape\n    return x.reshape(B, num_heads, T, -1)\n"),
    Mistake(name="heads interleaved", check="2.2-split-heads", hint="not (K, H)", replace=SPLIT,
        by="x = x.unflatten(-1, (-1, num_heads)).transpose(-1, -2)"),
    Mistake(name="not transposed", check="2.2-split-heads", hint="H comes before T",
        replace=f"{SWAP}    # END SOLUTION\n", by="return x\n    # END SOLUTION\n"),
    Mistake(name="merged without transposing", check="2.2-merge-heads",
        hint="transpose H and T back", replace="return x.transpose(1, 2).flatten(2)",
        by="return x.reshape(x.shape[0], x.shape[2], -1)"),
    Mistake(name="no output projection", check="2.3-attention-values",
        hint="fourth projection applied", replace=JOIN,
        by="return merge_heads(attend(q, k, v, valid))"),
    Mistake(name="mask not passed on", check="2.3-attention-hides-padding",
        hint="does attend get valid?", replace=JOIN, by=JOIN.replace(", valid", "")),
    Mistake(name="divided by the root of D", check="2.3-attention-values", hint="its own width K",
        replace=JOIN, by=JOIN.replace("attend(q", "attend(q / self.num_heads**0.5")),
    Mistake(name="no bias", check="2.3-attention-parameters",
        hint="do queries, keys and values have a bias?", replace=FOUR,
        by=FOUR.replace("d_model)", "d_model, bias=False)")),
    Mistake(name="one head", check="2.3-attention-values", hint="split into heads at all?",
        replace="self.num_heads = num_heads", by="self.num_heads = 1"),
    Mistake(name="merged by a reshape", check="2.3-attention-values", hint="transpose H and T back",
        replace=JOIN, by=JOIN.replace(
        "merge_heads(attend(q, k, v, valid))", "attend(q, k, v, valid).reshape(x.shape)"
        )),
    Mistake(name="one projection for queries and keys", check="2.3-attention-values",
        hint="a projection each?", replace=MAPS, by=MAPS.replace("self.key", "self.query")),
    Mistake(name="a residual connection inside", check="2.3-attention-values",
        hint="belongs to the layer", replace=JOIN, by=JOIN.replace("return ", "return x + ")),
    Mistake(name="sines first, then cosines", check="2.4-positions-values", hint="are interleaved",
        replace=TURNS, by="return torch.cat([angles.sin(), angles.cos()], dim=1)"),
    Mistake(name="positions from 1", check="2.4-positions-values", hint="first position is 0",
        replace=ANGLES, by=ANGLES.replace("arange(num_frames)", "arange(1, num_frames + 1)")),
    Mistake(name="2i counted as i", check="2.4-positions-values", hint="is the 2 there?",
        replace=EXPONENTS, by="exponents = torch.arange(d_model // 2) / d_model"),
    Mistake(name="2i counted twice", check="2.4-positions-values", hint="is the 2 there twice?",
        replace=EXPONENTS, by="exponents = 2 * torch.arange(0, d_model, 2) / d_model"),
    Mistake(name="cosines first", check="2.4-positions-values", hint="sines are the even features",
        replace=TURNS, by="return torch.stack([angles.cos(), angles.sin()], dim=-1).flatten(1)"),
    Mistake(name="pre-norm", check="2.5-layer-values", hint="pre-norm?", replace=FIRST,
        by="x = x + self.attention(self.norm_attention(x), valid)",
        also=((SECOND,
            "return x + self.contract(self.expand(self.norm_feed_forward(x)).relu())"),)),
    Mistake(name="dropout", check="2.5-layer-values", hint="is there dropout?", replace=SECOND,
        by=SECOND.replace("relu()", "relu() * F.dropout(torch.ones(1), 0.5, self.training)")),
    Mistake(name="no residual connections", check="2.5-layer-values",
        hint="two residual connections", replace=FIRST, by=FIRST.replace("x + self", "self"),
        also=((SECOND, SECOND.replace("x + self", "self")),)),
    Mistake(name="one norm used twice", check="2.5-layer-values", hint="same norm used twice?",
        replace=SECOND, by=SECOND.replace("norm_feed_forward", "norm_attention")),
    Mistake(name="one norm for both", check="2.5-layer-parameters", hint="Each needs its own",
        replace="self.norm_feed_forward = nn.LayerNorm(d_model)",
        by="self.norm_feed_forward = self.norm_attention"),
    Mistake(name="no activation", check="2.5-layer-values", hint="is there a ReLU", replace=SECOND,
        by=SECOND.replace(".relu()", "")),
    Mistake(name="GELU", check="2.5-layer-values", hint="activation is ReLU", replace=SECOND,
        by=SECOND.replace("self.expand(x).relu()", "F.gelu(self.expand(x))")),
    Mistake(name="mask not passed on", check="2.5-layer-hides-padding",
        hint="does the attention get valid?", replace=FIRST, by=FIRST.replace("x, valid", "x")),
    Mistake(name="ReLU at the end", check="2.5-layer-values", hint="not after them",
        replace=SECOND, by=SECOND.replace("self.expand(x).relu())", "self.expand(x)).relu()")),
    Mistake(name="feed-forward network first", check="2.5-layer-values",
        hint="attention comes first", replace=FIRST, by=SECOND.replace("return ", "x = "),
        also=((SECOND, FIRST.replace("x = ", "return ")),)),
    Mistake(name="both residual connections from the input", check="2.5-layer-values",
        hint="after the first norm", replace=FIRST, by=FIRST.replace("x = ", "start, x = x, "),
        also=((SECOND, SECOND.replace("(x + ", "(start + ")),)),
    Mistake(name="one layer, three times", check="2.6-encoder-counts",
        hint="one layer, used three times?", replace=LAYERS,
        by="nn.ModuleList([EncoderLayer(d_model, num_heads, d_ff)] * num_layers)"),
    Mistake(name="a plain list of layers", check="2.6-encoder-counts", hint="nn.ModuleList?",
        replace=LAYERS, by="[EncoderLayer(d_model, num_heads, d_ff) for _ in range(num_layers)]"),
    Mistake(name="every layer reads x", check="2.6-encoder-chains-its-layers",
        hint="the one before", replace=LOOP,
        by=LOOP.replace("x = layer(x", "y = layer(x").replace("return x", "return y")),
    Mistake(name="mask not passed on", check="2.6-encoder-chains-its-layers",
        hint="every layer get valid?", replace=LOOP, by=LOOP.replace("x, valid", "x")),
    Mistake(name="one layer too few", check="2.6-encoder-chains-its-layers",
        hint="one layer is missing", replace=LOOP,
        by=LOOP.replace("self.layers", "self.layers[:-1]")),
    Mistake(name="one norm too many", check="2.6-encoder-chains-its-layers",
        hint="ends in a norm already", replace=LOOP,
        by=LOOP.replace("return x", "return F.layer_norm(x, x.shape[-1:])")),
    Mistake(name="no gradient", check="2.6-every-layer-learns", hint="nothing detached?",
        replace=LOOP,
        by=LOOP.replace("return x", "return x.detach() * x / x.detach().where(x != 0, 1)").replace(
        "x = layer(x", "x = layer(x.detach()"
        )),
    Mistake(name="return inside the loop", check="2.6-encoder-chains-its-layers",
        hint="inside the loop?", replace=LOOP,
        by=LOOP.replace("        return x", "            return x")),
    Mistake(name="no biases in attention", check="2.7-count-for-any-width",
        hint="Four in attention", replace="attention = 4 * (d_model**2 + d_model)",
        by="attention = 4 * d_model**2"),
    Mistake(name="one norm", check="2.7-count-for-any-width", hint="two norms?",
        replace="norms = 2 * 2 * d_model", by="norms = 2 * d_model"),
    Mistake(name="one layer", check="2.7-count-for-any-depth",
        hint="does the number of layers occur", replace="return num_layers * (attention",
        by="return 1 * (attention"),
    Mistake(name="one feed-forward matrix", check="2.7-count-for-any-width",
        hint="both feed-forward matrices", replace="feed_forward = 2 * d_model * d_ff",
        by="feed_forward = d_model * d_ff"),
]
# fmt: on

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
