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
    Mistake(
        task="2.1", name="no root", question="are the scores divided by the root of K?",
        replace=SCORES, by="scores = q @ k.mT"),
    Mistake(
        task="2.1", name="K instead of its root", question="divide by the root of K, not by K",
        replace=SCORES, by="scores = q @ k.mT / q.shape[-1]"),
    Mistake(
        task="2.1", name="root of another axis",
        question="K is the last axis of q: which axis did you take?", replace=SCORES,
        by="scores = q @ k.mT / math.sqrt(q.shape[2])"),
    Mistake(
        task="2.1", name="softmax over queries",
        question="the softmax runs over keys, the last axis", replace=WEIGHTS,
        by="weights = scores.softmax(dim=-2)"),
    Mistake(
        task="2.1", name="no softmax",
        question="the weights are the softmax of the scores, not the scores", replace=WEIGHTS,
        by="weights = scores"),
    Mistake(
        task="2.1", name="mask upside down",
        question="valid is True on real frames: is the mask upside down?", replace=HIDE,
        by=HIDE.replace("~valid", "valid")),
    Mistake(
        task="2.1", name="mask forgotten", question="is valid used at all?", replace=HIDE,
        by="pass"),
    Mistake(
        task="2.1", name="score zero for padding",
        question="a score of 0 is not a weight of 0: which score is?", replace=HIDE,
        by=HIDE.replace("-math.inf", "0")),
    Mistake(
        task="2.1", name="a hundred below zero for padding",
        question="use -inf: is the mask value below every possible score?", replace=HIDE,
        by=HIDE.replace("-math.inf", "-100")),
    Mistake(
        task="2.1", name="mask after the softmax",
        question="do the weights still sum to 1? hide the scores before the softmax",
        replace=f"    if valid is not None:\n        {HIDE}\n", by="",
        also=(("return weights @ v",
            "return (weights if valid is None else weights * valid[:, None, None, :]) @ v"),)),
    Mistake(
        task="2.1", name="queries hidden",
        question="columns of the scores are keys, rows are queries: which did you mask?",
        replace=HIDE, by=HIDE.replace("None, None, :]", "None, :, None]")),
    Mistake(
        task="2.1", name="queries returned", question="what is averaged?",
        replace="return weights @ v", by="return q"),
    Mistake(
        task="2.1", name="no return", question="is there a `return`?",
        replace="return weights @ v", by="weights @ v"),
    Mistake(
        task="2.1", name="root multiplied", question="divide by the root of K, do not multiply",
        replace=SCORES, by=SCORES.replace("/", "*")),
    Mistake(
        task="2.1", name="softmax over heads",
        question="the softmax runs over keys, the last axis, not over heads", replace=WEIGHTS,
        by=WEIGHTS.replace("-1", "1")),
    Mistake(
        task="2.1", name="keys averaged",
        question="keys are for the scores: the average is over the values",
        replace="return weights @ v", by="return weights @ k"),
    Mistake(
        task="2.1", name="mask without axes for heads and queries",
        question="valid is (B, S): which axes does the mask lack to broadcast over (B, H, T, S)?",
        replace=HIDE, by=HIDE.replace("[:, None, None, :]", "")),
    Mistake(
        task="2.2", name="a reshape alone",
        question="a reshape alone mixes frames: transpose the axes too", replace=f"    {SPLIT}\n",
        by="    B, T, D = x.shape\n    return x.reshape(B, num_heads, T, -1)\n"),
    Mistake(
        task="2.2", name="heads interleaved",
        question="the features of a head are contiguous: split D into (H, K), not (K, H)",
        replace=SPLIT, by="x = x.unflatten(-1, (-1, num_heads)).transpose(-1, -2)"),
    Mistake(
        task="2.2", name="not transposed",
        question="H comes before T, so that a matrix product works head by head: transpose",
        replace=f"{SWAP}    # END SOLUTION\n", by="return x\n    # END SOLUTION\n"),
    Mistake(
        task="2.2", name="merged without transposing",
        question="transpose H and T back before you join axes",
        replace="return x.transpose(1, 2).flatten(2)",
        by="return x.reshape(x.shape[0], x.shape[2], -1)"),
    Mistake(
        task="2.3", name="no output projection",
        question="is the fourth projection applied, after the heads are merged?", replace=JOIN,
        by="return merge_heads(attend(q, k, v, valid))"),
    Mistake(
        task="2.3", name="mask not passed on", question="does the attention get valid?",
        replace=JOIN, by=JOIN.replace(", valid", "")),
    Mistake(
        task="2.3", name="divided by the root of D",
        question="each head divides by the root of its own width K, not of D", replace=JOIN,
        by=JOIN.replace("attend(q", "attend(q / self.num_heads**0.5")),
    Mistake(
        task="2.3", name="no bias", question="do queries, keys and values have a bias?",
        replace=FOUR, by=FOUR.replace("d_model)", "d_model, bias=False)")),
    Mistake(
        task="2.3", name="one head", question="is x split into heads at all?",
        replace="self.num_heads = num_heads", by="self.num_heads = 1"),
    Mistake(
        task="2.3", name="merged by a reshape",
        question="transpose H and T back before you join the heads", replace=JOIN,
        by=JOIN.replace(
        "merge_heads(attend(q, k, v, valid))", "attend(q, k, v, valid).reshape(x.shape)"
        )),
    Mistake(
        task="2.3", name="one projection for queries and keys",
        question="do queries and keys have a projection each?", replace=MAPS,
        by=MAPS.replace("self.key", "self.query")),
    Mistake(
        task="2.3", name="a residual connection inside",
        question="no residual connection here: it belongs to the layer of section 2.5",
        replace=JOIN, by=JOIN.replace("return ", "return x + ")),
    Mistake(
        task="2.4", name="sines first, then cosines",
        question="sines and cosines are interleaved: sin, cos, sin, cos", replace=TURNS,
        by="return torch.cat([angles.sin(), angles.cos()], dim=1)"),
    Mistake(
        task="2.4", name="positions from 1", question="the first position is 0", replace=ANGLES,
        by=ANGLES.replace("arange(num_frames)", "arange(1, num_frames + 1)")),
    Mistake(
        task="2.4", name="2i counted as i", question="the exponent is 2i / D: is the 2 there?",
        replace=EXPONENTS, by="exponents = torch.arange(d_model // 2) / d_model"),
    Mistake(
        task="2.4", name="2i counted twice",
        question="the exponent is 2i / D: is the 2 there twice?", replace=EXPONENTS,
        by="exponents = 2 * torch.arange(0, d_model, 2) / d_model"),
    Mistake(
        task="2.4", name="cosines first",
        question="sines are the even features, cosines the odd ones", replace=TURNS,
        by="return torch.stack([angles.cos(), angles.sin()], dim=-1).flatten(1)"),
    Mistake(
        task="2.5", name="pre-norm",
        question="is this pre-norm? Post-norm normalizes the sum, not the input of the sublayer",
        replace=FIRST, by="x = x + self.attention(self.norm_attention(x), valid)",
        also=((SECOND,
            "return x + self.contract(self.expand(self.norm_feed_forward(x)).relu())"),)),
    Mistake(
        task="2.5", name="dropout",
        question="is there dropout? The layer of this section has none", replace=SECOND,
        by=SECOND.replace("relu()", "relu() * F.dropout(torch.ones(1), 0.5, self.training)")),
    Mistake(
        task="2.5", name="no residual connections",
        question="are the two residual connections there (x + ...)?", replace=FIRST,
        by=FIRST.replace("x + self", "self"),
        also=((SECOND, SECOND.replace("x + self", "self")),)),
    Mistake(
        task="2.5", name="one norm used twice", question="is the same norm used twice?",
        replace=SECOND, by=SECOND.replace("norm_feed_forward", "norm_attention")),
    Mistake(
        task="2.5", name="one norm for both",
        question="do both sublayers share one norm? Each needs its own",
        replace="self.norm_feed_forward = nn.LayerNorm(d_model)",
        by="self.norm_feed_forward = self.norm_attention"),
    Mistake(
        task="2.5", name="no activation",
        question="is there a ReLU between the two feed-forward layers?", replace=SECOND,
        by=SECOND.replace(".relu()", "")),
    Mistake(
        task="2.5", name="GELU", question="the paper's activation is ReLU", replace=SECOND,
        by=SECOND.replace("self.expand(x).relu()", "F.gelu(self.expand(x))")),
    Mistake(
        task="2.5", name="mask not passed on", question="does the attention get valid?",
        replace=FIRST, by=FIRST.replace("x, valid", "x")),
    Mistake(
        task="2.5", name="ReLU at the end",
        question="the ReLU belongs between the two feed-forward layers, not after them",
        replace=SECOND, by=SECOND.replace("self.expand(x).relu())", "self.expand(x)).relu()")),
    Mistake(
        task="2.5", name="feed-forward network first",
        question="attention comes first, then the feed-forward network", replace=FIRST,
        by=SECOND.replace("return ", "x = "), also=((SECOND, FIRST.replace("x = ", "return ")),)),
    Mistake(
        task="2.5", name="both residual connections from the input",
        question="the second residual connection starts after the first norm", replace=FIRST,
        by=FIRST.replace("x = ", "start, x = x, "),
        also=((SECOND, SECOND.replace("(x + ", "(start + ")),)),
    Mistake(
        task="2.6", name="one layer, three times", question="is it one layer, used three times?",
        replace=LAYERS, by="nn.ModuleList([EncoderLayer(d_model, num_heads, d_ff)] * num_layers)"),
    Mistake(
        task="2.6", name="a plain list of layers",
        question="are the layers in an nn.ModuleList? A plain list hides their parameters",
        replace=LAYERS, by="[EncoderLayer(d_model, num_heads, d_ff) for _ in range(num_layers)]"),
    Mistake(
        task="2.6", name="every layer reads x",
        question="is the input of each layer the output of the one before?", replace=LOOP,
        by=LOOP.replace("x = layer(x", "y = layer(x").replace("return x", "return y")),
    Mistake(
        task="2.6", name="mask not passed on", question="does the attention get valid?",
        replace=LOOP, by=LOOP.replace("x, valid", "x")),
    Mistake(
        task="2.6", name="one layer too few",
        question="one layer is missing: how often does the loop run?", replace=LOOP,
        by=LOOP.replace("self.layers", "self.layers[:-1]")),
    Mistake(
        task="2.6", name="one norm too many", question="the last layer ends in a norm already",
        replace=LOOP, by=LOOP.replace("return x", "return F.layer_norm(x, x.shape[-1:])")),
    Mistake(
        task="2.6", name="no gradient", question="is every layer used, and is nothing detached?",
        replace=LOOP,
        by=LOOP.replace("return x", "return x.detach() * x / x.detach().where(x != 0, 1)").replace(
        "x = layer(x", "x = layer(x.detach()"
        )),
    Mistake(
        task="2.6", name="return inside the loop",
        question="only the first layer has run: is the return inside the loop?", replace=LOOP,
        by=LOOP.replace("        return x", "            return x")),
    Mistake(
        task="2.7", name="no biases in attention",
        question="is every bias counted? Four in attention",
        replace="attention = 4 * (d_model**2 + d_model)", by="attention = 4 * d_model**2"),
    Mistake(
        task="2.7", name="one norm", question="is there a scale and a shift in each of two norms?",
        replace="norms = 2 * 2 * d_model", by="norms = 2 * d_model"),
    Mistake(
        task="2.7", name="one layer", question="does the number of layers occur in the formula?",
        replace="return num_layers * (attention", by="return 1 * (attention"),
    Mistake(
        task="2.7", name="one feed-forward matrix",
        question="are both feed-forward matrices counted?",
        replace="feed_forward = 2 * d_model * d_ff", by="feed_forward = d_model * d_ff"),
]
# fmt: on


def packed_door(together: str, last: str) -> tuple[str, str]:
    """`load_attention` of whoever has one layer for queries, keys and values."""
    return (
        "    module.load_state_dict(weights)\n",
        "    with torch.no_grad():\n"
        '        for kind in ("weight", "bias"):\n'
        '            three = [weights[f"{name}.{kind}"] for name in ("query", "key", "value")]\n'
        f"            getattr(module.{together}, kind).copy_(torch.cat(three))\n"
        f'            getattr(module.{last}, kind).copy_(weights[f"out.{{kind}}"])\n',
    )


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
        packed_door("everything", "last"),
        (
            "module.load_state_dict(own, strict=False)",
            'names = {n: n.replace("expand", "net.0").replace("contract", "net.2") for n in own}\n'
            "    module.load_state_dict({names[n]: w for n, w in own.items()}, strict=False)",
        ),
        (
            LAYERS,
            "nn.ModuleList()\n        for _ in range(num_layers):\n"
            "            self.layers.append(EncoderLayer(d_model, num_heads, d_ff))",
        ),
    ],
    "one map named like nothing else, cut by unflatten; layers are deep copies": [
        (FOUR, "        self.qkv = nn.Linear(d_model, 3 * d_model)\n"),
        packed_door("qkv", "out"),
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
    "a layer for each head, and matrices as parameters": [
        (
            FOUR,
            "        K = d_model // num_heads\n"
            "        self.heads = nn.ModuleList(\n"
            "            nn.ModuleList(nn.Linear(d_model, K) for _ in range(3))\n"
            "            for _ in range(num_heads)\n"
            "        )\n",
        ),
        (
            MAPS,
            "        q, k, v = (\n"
            "            torch.stack([head[i](x) for head in self.heads], 1) for i in range(3)\n"
            "        )\n",
        ),
        (
            "    module.load_state_dict(weights)\n",
            "    with torch.no_grad():\n"
            '        for kind in ("weight", "bias"):\n'
            '            for i, name in enumerate(("query", "key", "value")):\n'
            '                parts = weights[f"{name}.{kind}"].chunk(len(module.heads))\n'
            "                for head, part in zip(module.heads, parts):\n"
            "                    getattr(head[i], kind).copy_(part)\n"
            '            getattr(module.out, kind).copy_(weights[f"out.{kind}"])\n',
        ),
    ],
    "an additive mask of -1e9": [(HIDE, "scores = scores - 1e9 * (~valid)[:, None, None, :]")],
    "keys and values in one map, pointwise convolutions in the layer": [
        (FOUR.partition("\n")[2], "        self.both = nn.Linear(d_model, 2 * d_model)\n"),
        (
            MAPS.partition("\n")[2],
            "        k, v = (split_heads(y, self.num_heads) for y in self.both(x).chunk(2, -1))\n",
        ),
        (
            "    module.load_state_dict(weights)\n",
            "    own = dict(weights)\n"
            '    for kind in ("weight", "bias"):\n'
            '        parts = [own.pop(f"{name}.{kind}") for name in ("key", "value")]\n'
            '        own[f"both.{kind}"] = torch.cat(parts)\n'
            "    module.load_state_dict(own)\n",
        ),
        ("nn.Linear(d_model, d_ff)", "nn.Conv1d(d_model, d_ff, 1)"),
        ("nn.Linear(d_ff, d_model)", "nn.Conv1d(d_ff, d_model, 1)"),
        ("self.contract(self.expand(x).relu())", "self.contract(self.expand(x.mT).relu()).mT"),
        (
            "    module.load_state_dict(own, strict=False)\n",
            "    wide = {name: w[..., None] if w.ndim == 2 else w for name, w in own.items()}\n"
            "    module.load_state_dict(wide, strict=False)\n",
        ),
    ],
}
