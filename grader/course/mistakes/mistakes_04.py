"""Planted mistakes of assignment 4, and other right answers, as edits of our solution.

A mistake: its task, a name, what to replace by what, the check that must name it, and words of the
hint (or, where there is none, of the fact). An alternative: a name and its edits.
"""

CUT = "content, gate = x.chunk(2, dim=-1)"
GATED = "return content * gate.sigmoid()"
ODD = """        if kernel_size % 2 == 0:
            raise ValueError(f"kernel_size={kernel_size} must be odd to keep T unchanged")
"""
CONV = """nn.Conv1d(
            d_model, d_model, kernel_size, padding=kernel_size // 2, groups=d_model
        )"""
HIDE = "x = x.masked_fill(~valid[..., None], 0)"
CONVOLVE = "return self.conv(x.mT).mT"
EXPAND = "x = gated_linear_unit(self.expand(self.norm(x)))"
COLUMNS = "x = self.norm_columns(self.depthwise(x, valid), valid)"
BATCH_NORM = "self.norm_columns = MaskedBatchNorm(d_model, channels_last=True)"
CONTRACT = "return self.contract(F.silu(x))\n"
POINTWISE = "self.expand = nn.Linear(d_model, 2 * d_model)"
FORWARD = "return self.contract(F.silu(self.expand(self.norm(x))))"
FIRST = "x = x + 0.5 * self.first_half(x)"
ATTEND = "x = x + self.attention(self.norm_attention(x), valid)"
NEAR = "x = x + self.convolution(x, valid)"
SECOND = "x = x + 0.5 * self.second_half(x)"
LAST = "return self.norm(x)\n"
SHELL = "self.second_half = FeedForwardModule(d_model, d_ff)"
BLOCKS = """nn.ModuleList(
            ConformerBlock(d_model, num_heads, d_ff, kernel_size) for _ in range(num_layers)
        )"""
LOOP = """        for block in self.blocks:
            x = block(x, valid)
        return x
        # END SOLUTION"""
SHELLS = "shells = 2 * (2 * d_model + 2 * d_model * d_ff + d_ff + d_model)"
TOTAL = "return num_layers * (shells + attention + convolution + 2 * d_model)"
NORMALIZE = "self.norm = nn.BatchNorm1d(d_model) if normalize else nn.Identity()"
SIDE = "x, valid = side_by_side(mel, valid)"
ENCODE = "x = self.encoder(self.widen(x), valid)"
POOL = "x = mean_pool(x, valid)"
CLASSIFY = "return self.classify(self.norm(x))"

NEED_WEIGHTS = ("4.7-accuracy",)

MISTAKES = [
    (
        "4.1",
        "halves exchanged",
        CUT,
        "gate, content = x.chunk(2, dim=-1)",
        "4.1-gate-values",
        "second half is the gate",
    ),
    ("4.1", "no sigmoid", GATED, "return content * gate", "4.1-gate-values", "is there a sigmoid?"),
    (
        "4.1",
        "tanh",
        GATED,
        "return content * gate.tanh()",
        "4.1-gate-values",
        "between 0 and 1",
    ),
    (
        "4.1",
        "columns in turns",
        CUT,
        "content, gate = x[..., ::2], x[..., 1::2]",
        "4.1-gate-values",
        "side by side",
    ),
    (
        "4.1",
        "another axis",
        CUT,
        "content, gate = x.chunk(2, dim=1)",
        "4.1-gate-of-any-shape",
        "last axis",
    ),
    (
        "4.2",
        "padding heard",
        HIDE,
        "pass",
        "4.2-depthwise-hides-padding",
        "set to zero before the convolution?",
    ),
    (
        "4.2",
        "mask upside down",
        HIDE,
        HIDE.replace("~", ""),
        "4.2-depthwise-hides-padding",
        "upside down?",
    ),
    (
        "4.2",
        "multiplied by the mask",
        HIDE,
        "x = x * valid[..., None]",
        "4.2-depthwise-hides-padding",
        "0 times NaN",
    ),
    (
        "4.2",
        "not depthwise",
        CONV,
        CONV.replace(", groups=d_model", ""),
        "4.2-depthwise-parameters",
        "how many groups",
    ),
    (
        "4.2",
        "looks back only",
        CONVOLVE,
        "return self.conv(F.pad(x.mT, (self.conv.kernel_size[0] // 2, 0)))[..., : x.shape[1]].mT",
        "4.2-depthwise-values",
        "both sides",
    ),
    (
        "4.2",
        "no bias",
        CONV,
        CONV.replace("groups=d_model", "groups=d_model, bias=False"),
        "4.2-depthwise-parameters",
        "is there a bias?",
    ),
    ("4.2", "even kernels accepted", ODD, "", "4.2-depthwise-parameters", "no middle"),
    (
        "4.2",
        "a reshape for a swap",
        CONVOLVE,
        "return self.conv(x.reshape(x.mT.shape)).reshape(x.shape)",
        "4.2-depthwise-values",
        "a reshape cuts between frames",
    ),
    (
        "4.3",
        "input not normalized",
        EXPAND,
        EXPAND.replace("self.norm(x)", "x"),
        "4.3-module-values",
        "input normalized first?",
    ),
    (
        "4.3",
        "no batch norm",
        COLUMNS,
        "x = self.depthwise(x, valid)",
        "4.3-module-values",
        "is there a batch norm",
    ),
    (
        "4.3",
        "no silu",
        CONTRACT,
        "return self.contract(x)\n",
        "4.3-module-values",
        "is there a silu",
    ),
    (
        "4.3",
        "ReLU",
        CONTRACT,
        "return self.contract(F.relu(x))\n",
        "4.3-module-values",
        "the activation is silu",
    ),
    (
        "4.3",
        "convolution deaf to valid",
        COLUMNS,
        COLUMNS.replace("depthwise(x, valid)", "depthwise(x)"),
        "4.3-module-hides-padding",
        "depthwise convolution get valid?",
    ),
    (
        "4.3",
        "batch norm deaf to valid",
        COLUMNS,
        COLUMNS.replace(", valid), valid)", ", valid))"),
        "4.3-module-hides-padding-while-training",
        "batch norm get valid?",
    ),
    (
        "4.3",
        "torch's batch norm",
        BATCH_NORM,
        "self.norm_columns = nn.BatchNorm1d(d_model)",
        "4.3-module-hides-padding-while-training",
        "batch norm get valid?",
        (COLUMNS, "x = self.norm_columns(self.depthwise(x, valid).mT).mT"),
    ),
    (
        "4.3",
        "no bias",
        POINTWISE,
        POINTWISE.replace("2 * d_model", "2 * d_model, bias=False"),
        "4.3-module-parameters",
        "parameters of ConvolutionModule",
    ),
    (
        "4.3",
        "batch norm too early",
        COLUMNS,
        "x = self.depthwise(self.norm_columns(x, valid), valid)",
        "4.3-module-values",
        "after the depthwise convolution",
    ),
    (
        "4.3",
        "silu too early",
        COLUMNS,
        "x = self.norm_columns(F.silu(self.depthwise(x, valid)), valid)",
        "4.3-module-values",
        "after the batch norm",
        (CONTRACT, "return self.contract(x)\n"),
    ),
    (
        "4.3",
        "with the detour",
        EXPAND,
        EXPAND.replace("x = ", "y, x = x, "),
        "4.3-module-values",
        "belongs to the block",
        (CONTRACT, CONTRACT.replace("return ", "return y + ")),
    ),
    (
        "4.4",
        "input not normalized",
        FORWARD,
        FORWARD.replace("self.norm(x)", "x"),
        "4.4-feed-forward-values",
        "input normalized first?",
    ),
    (
        "4.4",
        "ReLU",
        FORWARD,
        FORWARD.replace("F.silu", "F.relu"),
        "4.4-feed-forward-values",
        "not ReLU",
    ),
    (
        "4.4",
        "no activation",
        FORWARD,
        FORWARD.replace("F.silu", ""),
        "4.4-feed-forward-values",
        "between the two layers?",
    ),
    (
        "4.4",
        "with the detour",
        FORWARD,
        FORWARD.replace("return ", "return x + "),
        "4.4-feed-forward-values",
        "belongs to the block",
    ),
    (
        "4.4",
        "no biases",
        "self.expand = nn.Linear(d_model, d_ff)",
        "self.expand = nn.Linear(d_model, d_ff, bias=False)",
        "4.4-feed-forward-parameters",
        "have a bias?",
        (
            "self.contract = nn.Linear(d_ff, d_model)",
            "self.contract = nn.Linear(d_ff, d_model, bias=False)",
        ),
    ),
    (
        "4.4",
        "norm at the end",
        FORWARD,
        "return self.norm(self.contract(F.silu(self.expand(x))))",
        "4.4-feed-forward-values",
        "not last",
    ),
    (
        "4.4",
        "silu twice",
        FORWARD,
        FORWARD.replace("return ", "return F.silu(") + ")",
        "4.4-feed-forward-values",
        "a second silu",
    ),
    (
        "4.5",
        "whole steps",
        FIRST,
        FIRST.replace("0.5 * ", ""),
        "4.5-block-values",
        "half a step?",
        (SECOND, SECOND.replace("0.5 * ", "")),
    ),
    (
        "4.5",
        "one shell",
        SECOND,
        "pass",
        "4.5-block-values",
        "one at each end",
    ),
    (
        "4.5",
        "one shell used twice",
        SHELL,
        "self.second_half = self.first_half",
        "4.5-block-parameters",
        "used twice?",
    ),
    (
        "4.5",
        "no detours",
        FIRST,
        FIRST.replace("x + ", ""),
        "4.5-block-values",
        "detours",
        (ATTEND, ATTEND.replace("x + ", "")),
        (NEAR, NEAR.replace("x + ", "")),
        (SECOND, SECOND.replace("x + ", "")),
    ),
    (
        "4.5",
        "convolution first",
        ATTEND,
        NEAR,
        "4.5-block-values",
        "before the convolution",
        (f"#: A step with the convolution module; it needs valid, too.\n        {NEAR}", ATTEND),
    ),
    (
        "4.5",
        "no norm at the end",
        f"{SECOND}\n        {LAST}",
        f"{SECOND}\n        return x\n",
        "4.5-block-values",
        "at the end",
    ),
    (
        "4.5",
        "attention deaf to valid",
        ATTEND,
        ATTEND.replace(", valid", ""),
        "4.5-block-hides-padding",
        "does attention get valid?",
    ),
    (
        "4.5",
        "convolution deaf to valid",
        NEAR,
        NEAR.replace(", valid", ""),
        "4.5-block-hides-padding",
        "does the convolution module get valid?",
    ),
    (
        "4.5",
        "detour from behind the norm",
        ATTEND,
        "x = self.norm_attention(x)\n        x = x + self.attention(x, valid)",
        "4.5-block-values",
        "goes around it",
    ),
    (
        "4.5",
        "half steps everywhere",
        ATTEND,
        ATTEND.replace("x + ", "x + 0.5 * "),
        "4.5-block-values",
        "only the feed-forward modules",
        (NEAR, NEAR.replace("x + ", "x + 0.5 * ")),
    ),
    (
        "4.5",
        "both shells at the end",
        FIRST,
        "pass",
        "4.5-block-values",
        "at each end?",
        (SECOND, f"{FIRST}\n        {SECOND}"),
    ),
    (
        "4.6",
        "one block, three times",
        BLOCKS,
        "nn.ModuleList([ConformerBlock(d_model, num_heads, d_ff, kernel_size)] * num_layers)",
        "4.6-encoder-counts",
        "one block, used three times?",
    ),
    (
        "4.6",
        "a plain list",
        BLOCKS,
        BLOCKS.replace("nn.ModuleList", "list"),
        "4.6-encoder-counts",
        "nn.ModuleList?",
    ),
    (
        "4.6",
        "mask not passed on",
        LOOP,
        LOOP.replace("x, valid", "x"),
        "4.6-encoder-chains-its-blocks",
        "every block get valid?",
    ),
    (
        "4.6",
        "every block reads x",
        LOOP,
        LOOP.replace("x = block(x", "y = block(x").replace("return x", "return y"),
        "4.6-encoder-chains-its-blocks",
        "the block before it",
    ),
    (
        "4.6",
        "return inside the loop",
        LOOP,
        LOOP.replace("        return x", "            return x"),
        "4.6-encoder-chains-its-blocks",
        "inside the loop?",
    ),
    (
        "4.6",
        "attention without biases",
        "attention = 4 * d_model**2 + 4 * d_model + 2 * d_model",
        "attention = 4 * d_model**2 + 2 * d_model",
        "4.6-count-for-any-size",
        "of attention a bias?",
    ),
    (
        "4.6",
        "one shell counted",
        SHELLS,
        SHELLS.replace("2 * (2", "1 * (2"),
        "4.6-count-for-any-size",
        "two feed-forward modules?",
    ),
    (
        "4.6",
        "last norm forgotten",
        TOTAL,
        TOTAL.replace(" + 2 * d_model", ""),
        "4.6-count-for-any-size",
        "one at the end?",
    ),
    (
        "4.6",
        "one block counted",
        TOTAL,
        TOTAL.replace("num_layers * ", ""),
        "4.6-count-for-any-size",
        "number of layers occur",
    ),
    (
        "4.7",
        "no normalization",
        CLASSIFY,
        "return self.classify(x)",
        "4.7-normalization-undoes-loudness",
        "right in front of the last linear layer?",
    ),
    (
        "4.7",
        "normalized always",
        NORMALIZE,
        "self.norm = nn.BatchNorm1d(d_model)",
        "4.7-normalization-undoes-loudness",
        "is normalize used?",
    ),
    (
        "4.7",
        "padding averaged",
        POOL,
        "x = x.mean(dim=1)",
        "4.7-logits-do-not-hear-padding",
        "both get the valid",
    ),
    (
        "4.7",
        "encoder deaf to valid",
        ENCODE,
        ENCODE.replace(", valid", ""),
        "4.7-logits-do-not-hear-padding",
        "both get the valid",
    ),
    (
        "4.7",
        "seven blocks too many",
        "self.encoder = ConformerEncoder(d_model, 4, 128, 15, num_layers=2)",
        "self.encoder = ConformerEncoder(d_model, 4, 128, 15, num_layers=9)",
        "4.7-budget",
        "at most 500,000",
    ),
    (
        "4.7",
        "a softmax at the end",
        CLASSIFY,
        CLASSIFY + ".softmax(-1)",
        "4.7-logits",
        "is there a softmax?",
    ),
]

ALTERNATIVES = {
    "one utterance at a time, into zeros of the default dtype": [
        (
            CONVOLVE,
            "y = torch.zeros(x.shape)\n        for b in range(len(x)):\n"
            "            y[b] = self.conv(x[b].mT).mT\n        return y",
        ),
    ],
    "pointwise layers as convolutions, other names inside": [
        (CUT, "half = x.shape[-1] // 2\n    content, gate = x[..., :half], x[..., half:]"),
        (GATED, "return content / (1 + torch.exp(-gate))"),
        (POINTWISE, "self.pointwise = nn.Conv1d(d_model, 2 * d_model, 1)"),
        (EXPAND, "x = gated_linear_unit(self.pointwise(self.norm(x).transpose(1, 2)).mT)"),
        (HIDE, "x = torch.where(valid.unsqueeze(-1), x, torch.zeros_like(x))"),
        (CONVOLVE, "return self.conv(x.transpose(1, 2)).transpose(1, 2)"),
        (FORWARD, "y = self.expand(self.norm(x))\n        return self.contract(y * y.sigmoid())"),
        (SHELLS, "shells = 4 * d_model * d_ff + 6 * d_model + 2 * d_ff"),
        (LOOP, LOOP.replace("block(x, valid)", "block(x, valid=valid)")),
    ],
    "torch's batch norm over the real frames, a layer norm in front of the classifier": [
        (BATCH_NORM, "self.batch = nn.BatchNorm1d(d_model)"),
        (
            COLUMNS,
            "x = self.depthwise(x, valid)\n        if valid is None:\n"
            "            valid = torch.ones(x.shape[:2], dtype=torch.bool)\n"
            "        y = torch.zeros_like(x)\n        y[valid] = self.batch(x[valid])\n"
            "        x = y",
        ),
        (NORMALIZE, "self.norm = nn.LayerNorm(d_model) if normalize else nn.Identity()"),
        (
            BLOCKS,
            "nn.ModuleList()\n        for _ in range(num_layers):\n"
            "            self.blocks.append(ConformerBlock(d_model, num_heads, d_ff, kernel_size))",
        ),
        (FIRST, "x = x + self.first_half(x) / 2"),
        (SECOND, "x = torch.add(x, self.second_half(x), alpha=0.5)"),
    ],
    "padding by hand, attention and its norm in one sequence": [
        (CONV, CONV.replace("padding=kernel_size // 2, ", "")),
        (
            CONVOLVE,
            "side = self.conv.kernel_size[0] // 2\n"
            "        return self.conv(F.pad(x, (0, 0, side, side)).mT).mT",
        ),
        (
            "self.norm = nn.LayerNorm(d_model)\n        # END SOLUTION",
            "self.last = nn.LayerNorm(d_model)\n        # END SOLUTION",
        ),
        (f"{SECOND}\n        {LAST}", "return self.last(x + 0.5 * self.second_half(x))\n"),
    ],
}
