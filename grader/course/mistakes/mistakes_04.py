"""Planted mistakes of assignment 4, and other right answers (name -> edits of our solution)."""

from grader.course.mistakes.mistake import Mistake

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
COLUMNS = "x = self.batch_norm(self.depthwise(x, valid), valid)"
BATCH_NORM = "self.batch_norm = MaskedBatchNorm(d_model, channels_last=True)"
CONTRACT = "return self.contract(F.silu(x))\n"
POINTWISE = "self.expand = nn.Linear(d_model, 2 * d_model)"
FORWARD = "return self.contract(F.silu(self.expand(self.norm(x))))"
FIRST = "x = x + 0.5 * self.first_half(x)"
ATTEND = "x = x + self.attention(self.norm_attention(x), valid)"
NEAR = "x = x + self.convolution(x, valid)"
SECOND = "x = x + 0.5 * self.second_half(x)"
LAST = "return self.norm(x)\n"
SECOND_HALF = "self.second_half = FeedForwardModule(d_model, d_ff)"
BLOCKS = """nn.ModuleList(
            ConformerBlock(d_model, num_heads, d_ff, kernel_size) for _ in range(num_layers)
        )"""
LOOP = """        for block in self.blocks:
            x = block(x, valid)
        return x
        # END SOLUTION"""
FEED_FORWARDS = "feed_forward = 2 * (2 * d_model + 2 * d_model * d_ff + d_ff + d_model)"
TOTAL = "return num_layers * (feed_forward + attention + convolution + 2 * d_model)"
NORMALIZE = "self.norm = nn.BatchNorm1d(d_model) if normalize else nn.Identity()"
SIDE = "x, valid = side_by_side(mel, valid)"
ENCODE = "x = self.encoder(self.widen(x), valid)"
POOL = "x = mean_pool(x, valid)"
CLASSIFY = "return self.classify(self.norm(x))"

NEED_WEIGHTS = ("4.7-accuracy",)

# fmt: off
MISTAKES = [
    Mistake(name="halves exchanged", check="4.1-gate-values", hint="second half is the gate",
        replace=CUT, by="gate, content = x.chunk(2, dim=-1)"),
    Mistake(name="no sigmoid", check="4.1-gate-values", hint="is there a sigmoid?", replace=GATED,
        by="return content * gate"),
    Mistake(name="tanh", check="4.1-gate-values", hint="between 0 and 1", replace=GATED,
        by="return content * gate.tanh()"),
    Mistake(name="halves interleaved", check="4.1-gate-values", hint="not interleaved", replace=CUT,
        by="content, gate = x[..., ::2], x[..., 1::2]"),
    Mistake(name="another axis", check="4.1-gate-of-any-shape", hint="last axis", replace=CUT,
        by="content, gate = x.chunk(2, dim=1)"),
    Mistake(name="padding not masked", check="4.2-depthwise-hides-padding",
        hint="set to zero before the convolution?", replace=HIDE, by="pass"),
    Mistake(name="mask upside down", check="4.2-depthwise-hides-padding", hint="upside down?",
        replace=HIDE, by=HIDE.replace("~", "")),
    Mistake(name="multiplied by the mask", check="4.2-depthwise-hides-padding", hint="0 times NaN",
        replace=HIDE, by="x = x * valid[..., None]"),
    Mistake(name="not depthwise", check="4.2-depthwise-parameters", hint="how many groups",
        replace=CONV, by=CONV.replace(", groups=d_model", "")),
    Mistake(name="looks back only", check="4.2-depthwise-values", hint="both sides",
        replace=CONVOLVE,
        by="before = self.conv.kernel_size[0] // 2\n"
           "        return self.conv(F.pad(x.mT, (before, 0)))[..., : x.shape[1]].mT"),
    Mistake(name="no bias", check="4.2-depthwise-parameters", hint="is there a bias?", replace=CONV,
        by=CONV.replace("groups=d_model", "groups=d_model, bias=False")),
    Mistake(name="even kernels accepted", check="4.2-depthwise-parameters", hint="no center",
        replace=ODD, by=""),
    Mistake(name="a reshape in place of a transpose", check="4.2-depthwise-values",
        hint="a reshape mixes frames", replace=CONVOLVE,
        by="return self.conv(x.reshape(x.mT.shape)).reshape(x.shape)"),
    Mistake(name="input not normalized", check="4.3-module-values", hint="input normalized first?",
        replace=EXPAND, by=EXPAND.replace("self.norm(x)", "x")),
    Mistake(name="no batch norm", check="4.3-module-values", hint="is there a batch norm",
        replace=COLUMNS, by="x = self.depthwise(x, valid)"),
    Mistake(name="no silu", check="4.3-module-values", hint="is there a silu", replace=CONTRACT,
        by="return self.contract(x)\n"),
    Mistake(name="ReLU", check="4.3-module-values", hint="the activation is silu", replace=CONTRACT,
        by="return self.contract(F.relu(x))\n"),
    Mistake(name="convolution ignores the mask", check="4.3-module-hides-padding",
        hint="depthwise convolution get valid?", replace=COLUMNS,
        by=COLUMNS.replace("depthwise(x, valid)", "depthwise(x)")),
    Mistake(name="batch norm ignores the mask", check="4.3-module-hides-padding-while-training",
        hint="batch norm get valid?", replace=COLUMNS,
        by=COLUMNS.replace(", valid), valid)", ", valid))")),
    Mistake(name="torch's batch norm", check="4.3-module-hides-padding-while-training",
        hint="batch norm get valid?", replace=BATCH_NORM,
        by="self.batch_norm = nn.BatchNorm1d(d_model)",
        also=((COLUMNS, "x = self.batch_norm(self.depthwise(x, valid).mT).mT"),)),
    Mistake(name="no bias", check="4.3-module-parameters", hint="parameters of ConvolutionModule",
        replace=POINTWISE, by=POINTWISE.replace("2 * d_model", "2 * d_model, bias=False")),
    Mistake(name="batch norm too early", check="4.3-module-values",
        hint="after the depthwise convolution", replace=COLUMNS,
        by="x = self.depthwise(self.batch_norm(x, valid), valid)"),
    Mistake(name="silu too early", check="4.3-module-values", hint="after the batch norm",
        replace=COLUMNS, by="x = self.batch_norm(F.silu(self.depthwise(x, valid)), valid)",
        also=((CONTRACT, "return self.contract(x)\n"),)),
    Mistake(name="with a residual connection", check="4.3-module-values",
        hint="belongs to the block", replace=EXPAND, by=EXPAND.replace("x = ", "y, x = x, "),
        also=((CONTRACT, CONTRACT.replace("return ", "return y + ")),)),
    Mistake(name="input not normalized", check="4.4-feed-forward-values",
        hint="input normalized first?", replace=FORWARD, by=FORWARD.replace("self.norm(x)", "x")),
    Mistake(name="ReLU", check="4.4-feed-forward-values", hint="not ReLU", replace=FORWARD,
        by=FORWARD.replace("F.silu", "F.relu")),
    Mistake(name="no activation", check="4.4-feed-forward-values", hint="between the two layers?",
        replace=FORWARD, by=FORWARD.replace("F.silu", "")),
    Mistake(name="with a residual connection", check="4.4-feed-forward-values",
        hint="belongs to the block", replace=FORWARD, by=FORWARD.replace("return ", "return x + ")),
    Mistake(name="no biases", check="4.4-feed-forward-parameters", hint="have a bias?",
        replace="self.expand = nn.Linear(d_model, d_ff)",
        by="self.expand = nn.Linear(d_model, d_ff, bias=False)",
        also=(("self.contract = nn.Linear(d_ff, d_model)",
            "self.contract = nn.Linear(d_ff, d_model, bias=False)"),)),
    Mistake(name="norm at the end", check="4.4-feed-forward-values", hint="not last",
        replace=FORWARD, by="return self.norm(self.contract(F.silu(self.expand(x))))"),
    Mistake(name="silu twice", check="4.4-feed-forward-values", hint="a second silu",
        replace=FORWARD, by=FORWARD.replace("return ", "return F.silu(") + ")"),
    Mistake(name="outputs not halved", check="4.5-block-values", hint="module halved?",
        replace=FIRST, by=FIRST.replace("0.5 * ", ""),
        also=((SECOND, SECOND.replace("0.5 * ", "")),)),
    Mistake(name="one feed-forward module", check="4.5-block-values", hint="one at each end",
        replace=SECOND, by="pass"),
    Mistake(name="one feed-forward module used twice", check="4.5-block-parameters",
        hint="used twice?", replace=SECOND_HALF, by="self.second_half = self.first_half"),
    Mistake(name="no residual connections", check="4.5-block-values", hint="residual connections",
        replace=FIRST, by=FIRST.replace("x + ", ""),
        also=((ATTEND, ATTEND.replace("x + ", "")), (NEAR, NEAR.replace("x + ", "")), (SECOND,
            SECOND.replace("x + ", "")),)),
    Mistake(name="convolution first", check="4.5-block-values", hint="before the convolution",
        replace=ATTEND, by=NEAR,
        also=((f"#: Add the output of the convolution module; it needs valid, too.\n        {NEAR}",
            ATTEND),)),
    Mistake(name="no norm at the end", check="4.5-block-values", hint="at the end",
        replace=f"{SECOND}\n        {LAST}", by=f"{SECOND}\n        return x\n"),
    Mistake(name="attention ignores the mask", check="4.5-block-hides-padding",
        hint="does attention get valid?", replace=ATTEND, by=ATTEND.replace(", valid", "")),
    Mistake(name="convolution ignores the mask", check="4.5-block-hides-padding",
        hint="does the convolution module get valid?", replace=NEAR,
        by=NEAR.replace(", valid", "")),
    Mistake(name="residual connection after the norm", check="4.5-block-values",
        hint="before the norm", replace=ATTEND,
        by="x = self.norm_attention(x)\n        x = x + self.attention(x, valid)"),
    Mistake(name="all outputs halved", check="4.5-block-values",
        hint="only the output of the feed-forward", replace=ATTEND,
        by=ATTEND.replace("x + ", "x + 0.5 * "),
        also=((NEAR, NEAR.replace("x + ", "x + 0.5 * ")),)),
    Mistake(name="both feed-forward modules at the end", check="4.5-block-values",
        hint="at each end?", replace=FIRST, by="pass",
        also=((SECOND, f"{FIRST}\n        {SECOND}"),)),
    Mistake(name="one block, three times", check="4.6-encoder-counts",
        hint="one block, used three times?", replace=BLOCKS,
        by="nn.ModuleList([ConformerBlock(d_model, num_heads, d_ff, kernel_size)] * num_layers)"),
    Mistake(name="a plain list", check="4.6-encoder-counts", hint="nn.ModuleList?", replace=BLOCKS,
        by=BLOCKS.replace("nn.ModuleList", "list")),
    Mistake(name="mask not passed on", check="4.6-encoder-chains-its-blocks",
        hint="every block get valid?", replace=LOOP, by=LOOP.replace("x, valid", "x")),
    Mistake(name="every block reads x", check="4.6-encoder-chains-its-blocks",
        hint="the one before", replace=LOOP,
        by=LOOP.replace("x = block(x", "y = block(x").replace("return x", "return y")),
    Mistake(name="return inside the loop", check="4.6-encoder-chains-its-blocks",
        hint="inside the loop?", replace=LOOP,
        by=LOOP.replace("        return x", "            return x")),
    Mistake(name="attention without biases", check="4.6-count-for-any-size",
        hint="of attention have a bias?",
        replace="attention = 4 * d_model**2 + 4 * d_model + 2 * d_model",
        by="attention = 4 * d_model**2 + 2 * d_model"),
    Mistake(name="one feed-forward module counted", check="4.6-count-for-any-size",
        hint="two feed-forward modules?", replace=FEED_FORWARDS,
        by=FEED_FORWARDS.replace("2 * (2", "1 * (2")),
    Mistake(name="last norm forgotten", check="4.6-count-for-any-size", hint="one at the end?",
        replace=TOTAL, by=TOTAL.replace(" + 2 * d_model", "")),
    Mistake(name="one block counted", check="4.6-count-for-any-size", hint="number of layers occur",
        replace=TOTAL, by=TOTAL.replace("num_layers * ", "")),
    Mistake(name="no normalization", check="4.7-normalization-undoes-loudness",
        hint="right before the last linear layer?", replace=CLASSIFY,
        by="return self.classify(x)"),
    Mistake(name="normalized always", check="4.7-normalization-undoes-loudness",
        hint="is normalize used?", replace=NORMALIZE, by="self.norm = nn.BatchNorm1d(d_model)"),
    Mistake(name="padding averaged", check="4.7-logits-ignore-padding",
        hint="both get the valid", replace=POOL, by="x = x.mean(dim=1)"),
    Mistake(name="encoder ignores the mask", check="4.7-logits-ignore-padding",
        hint="both get the valid", replace=ENCODE, by=ENCODE.replace(", valid", "")),
    Mistake(name="seven blocks too many", check="4.7-budget", hint="at most 500,000",
        replace="self.encoder = ConformerEncoder(d_model, 4, 128, 15, num_layers=2)",
        by="self.encoder = ConformerEncoder(d_model, 4, 128, 15, num_layers=9)"),
    Mistake(name="a softmax at the end", check="4.7-logits", hint="is there a softmax?",
        replace=CLASSIFY, by=CLASSIFY + ".softmax(-1)"),
]
# fmt: on

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
        (FEED_FORWARDS, "feed_forward = 4 * d_model * d_ff + 6 * d_model + 2 * d_ff"),
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
