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
    Mistake(
        task="4.1", name="halves exchanged",
        question="the second half is the gate, the first half the content", replace=CUT,
        by="gate, content = x.chunk(2, dim=-1)"),
    Mistake(
        task="4.1", name="no sigmoid", question="is there a sigmoid?", replace=GATED,
        by="return content * gate"),
    Mistake(
        task="4.1", name="tanh",
        question="the gate's factor lies between 0 and 1: is it a sigmoid?", replace=GATED,
        by="return content * gate.tanh()"),
    Mistake(
        task="4.1", name="halves interleaved",
        question="the halves are contiguous, not interleaved: 0 ... D - 1, then D ... 2D - 1",
        replace=CUT, by="content, gate = x[..., ::2], x[..., 1::2]"),
    Mistake(
        task="4.1", name="another axis", question="the features are the last axis, dim=-1",
        replace=CUT, by="content, gate = x.chunk(2, dim=1)"),
    Mistake(
        task="4.1", name="both halves gated",
        question="the sigmoid is for the gate only, not for the content", replace=GATED,
        by="return content.sigmoid() * gate.sigmoid()"),
    Mistake(
        task="4.1", name="in place", question="x is changed in place: whose tensor is it?",
        replace=GATED, by="return content.mul_(gate.sigmoid())"),
    Mistake(
        task="4.1", name="float32 always", question="which dtype does the answer have for float64?",
        replace=GATED, by="return (content * gate.sigmoid()).float()"),
    Mistake(
        task="4.2", name="padding not masked",
        question="is the padding set to zero before the convolution?", replace=HIDE, by="pass"),
    Mistake(
        task="4.2", name="mask upside down",
        question="valid is True on real frames: is the mask upside down?", replace=HIDE,
        by=HIDE.replace("~", "")),
    Mistake(
        task="4.2", name="multiplied by the mask",
        question="0 times NaN is NaN: put zeros there (masked_fill), do not multiply",
        replace=HIDE, by="x = x * valid[..., None]"),
    Mistake(
        task="4.2", name="masked in place",
        question="x is changed in place: masked_fill, without a _, leaves it alone", replace=HIDE,
        by="x = x.masked_fill_(~valid[..., None], 0)"),
    Mistake(
        task="4.2", name="kernel flipped",
        question="the kernel is not flipped: j = 0 belongs to the earliest frame", replace=CONVOLVE,
        by="return self.conv(x.flip(1).mT).mT.flip(1)"),
    Mistake(
        task="4.2", name="an assert", question="which exception does section 4.2 ask for?",
        replace=ODD, by="        assert kernel_size % 2\n"),
    Mistake(
        task="4.2", name="padded by K // 3",
        question="T must not change: how much padding does a kernel of K frames need?",
        replace=CONV, by=CONV.replace("kernel_size // 2", "kernel_size // 3")),
    Mistake(
        task="4.2", name="not depthwise",
        question="each channel has its own kernel: how many groups is that?", replace=CONV,
        by=CONV.replace(", groups=d_model", "")),
    Mistake(
        task="4.2", name="looks back only",
        question="the kernel is centered on its frame: is the padding (K - 1) / 2 on both sides?",
        replace=CONVOLVE,
        by="before = self.conv.kernel_size[0] // 2\n"
           "        return self.conv(F.pad(x.mT, (before, 0)))[..., : x.shape[1]].mT"),
    Mistake(
        task="4.2", name="no bias", question="does the convolution have a bias?",
        replace=CONV, by=CONV.replace("groups=d_model", "groups=d_model, bias=False")),
    Mistake(
        task="4.2", name="even kernels accepted",
        question="an even kernel has no center: which exception does section 4.2 ask for?",
        replace=ODD, by=""),
    Mistake(
        task="4.2", name="a reshape in place of a transpose",
        question="transpose T and D (.mT): a reshape mixes frames", replace=CONVOLVE,
        by="return self.conv(x.reshape(x.mT.shape)).reshape(x.shape)"),
    Mistake(
        task="4.3", name="input not normalized", question="is the input normalized first?",
        replace=EXPAND, by=EXPAND.replace("self.norm(x)", "x")),
    Mistake(
        task="4.3", name="no batch norm",
        question="is there a batch norm after the depthwise convolution?", replace=COLUMNS,
        by="x = self.depthwise(x, valid)"),
    Mistake(
        task="4.3", name="no silu", question="is there a silu after the batch norm?",
        replace=CONTRACT, by="return self.contract(x)\n"),
    Mistake(
        task="4.3", name="ReLU", question="the activation is silu", replace=CONTRACT,
        by="return self.contract(F.relu(x))\n"),
    Mistake(
        task="4.3", name="GELU", question="the activation is silu, x times its sigmoid",
        replace=CONTRACT, by="return self.contract(F.gelu(x))\n"),
    Mistake(
        task="4.3", name="layer norm in place of the batch norm",
        question="the norm after the convolution is a batch norm: each channel over all frames",
        replace=COLUMNS,
        by="x = F.layer_norm(self.depthwise(x, valid), x.shape[-1:], self.batch_norm.weight, "
           "self.batch_norm.bias)"),
    Mistake(
        task="4.3", name="no gate",
        question="is the gate there? The first pointwise layer has 2D outputs", replace=EXPAND,
        by="x = self.expand(self.norm(x)).chunk(2, dim=-1)[0]"),
    Mistake(
        task="4.3", name="no second pointwise layer", question="is the last layer applied?",
        replace=CONTRACT, by="return F.silu(x)\n"),
    Mistake(
        task="4.3", name="convolution ignores the mask",
        question="does the depthwise convolution get valid?", replace=COLUMNS,
        by=COLUMNS.replace("depthwise(x, valid)", "depthwise(x)")),
    Mistake(
        task="4.3", name="batch norm ignores the mask", question="does the batch norm get valid?",
        replace=COLUMNS, by=COLUMNS.replace(", valid), valid)", ", valid))")),
    Mistake(
        task="4.3", name="torch's batch norm", question="does the batch norm get valid?",
        replace=BATCH_NORM, by="self.batch_norm = nn.BatchNorm1d(d_model)",
        also=((COLUMNS, "x = self.batch_norm(self.depthwise(x, valid).mT).mT"),)),
    Mistake(
        task="4.3", name="valid not passed on at all",
        question="is valid used? Both the convolution and the batch norm need it", replace=COLUMNS,
        by="x = self.batch_norm(self.depthwise(x))"),
    Mistake(
        task="4.3", name="no bias", question="do both pointwise layers have a bias?",
        replace=POINTWISE, by=POINTWISE.replace("2 * d_model", "2 * d_model, bias=False")),
    Mistake(
        task="4.3", name="batch norm too early",
        question="the batch norm comes after the depthwise convolution", replace=COLUMNS,
        by="x = self.depthwise(self.batch_norm(x, valid), valid)"),
    Mistake(
        task="4.3", name="silu too early", question="the silu comes after the batch norm",
        replace=COLUMNS, by="x = self.batch_norm(F.silu(self.depthwise(x, valid)), valid)",
        also=((CONTRACT, "return self.contract(x)\n"),)),
    Mistake(
        task="4.3", name="with a residual connection",
        question="the residual connection belongs to the block, not to the module", replace=EXPAND,
        by=EXPAND.replace("x = ", "y, x = x, "),
        also=((CONTRACT, CONTRACT.replace("return ", "return y + ")),)),
    Mistake(
        task="4.4", name="input not normalized", question="is the input normalized first?",
        replace=FORWARD, by=FORWARD.replace("self.norm(x)", "x")),
    Mistake(
        task="4.4", name="ReLU", question="the activation is silu", replace=FORWARD,
        by=FORWARD.replace("F.silu", "F.relu")),
    Mistake(
        task="4.4", name="GELU", question="the activation is silu, x times its sigmoid",
        replace=FORWARD, by=FORWARD.replace("F.silu", "F.gelu")),
    Mistake(
        task="4.4", name="halved here",
        question="the factor 1/2 belongs to the block, not to the module", replace=FORWARD,
        by=FORWARD.replace("return ", "return 0.5 * ")),
    Mistake(
        task="4.4", name="no activation", question="is there a silu between the two layers?",
        replace=FORWARD, by=FORWARD.replace("F.silu", "")),
    Mistake(
        task="4.4", name="with a residual connection",
        question="the residual connection belongs to the block, not to the module",
        replace=FORWARD, by=FORWARD.replace("return ", "return x + ")),
    Mistake(
        task="4.4", name="no biases", question="do both linear layers have a bias?",
        replace="self.expand = nn.Linear(d_model, d_ff)",
        by="self.expand = nn.Linear(d_model, d_ff, bias=False)",
        also=(("self.contract = nn.Linear(d_ff, d_model)",
            "self.contract = nn.Linear(d_ff, d_model, bias=False)"),)),
    Mistake(
        task="4.4", name="norm at the end", question="the norm comes first, not last",
        replace=FORWARD, by="return self.norm(self.contract(F.silu(self.expand(x))))"),
    Mistake(
        task="4.4", name="silu twice",
        question="is there a second silu? There is none after the second layer", replace=FORWARD,
        by=FORWARD.replace("return ", "return F.silu(") + ")"),
    Mistake(
        task="4.5", name="outputs not halved",
        question="is the output of each feed-forward module halved?", replace=FIRST,
        by=FIRST.replace("0.5 * ", ""), also=((SECOND, SECOND.replace("0.5 * ", "")),)),
    Mistake(
        task="4.5", name="one feed-forward module",
        question="is there a feed-forward module at each end of the block?", replace=SECOND,
        by="pass"),
    Mistake(
        task="4.5", name="valid not passed on", question="is valid used at all?", replace=ATTEND,
        by=ATTEND.replace(", valid", ""), also=((NEAR, NEAR.replace(", valid", "")),)),
    Mistake(
        task="4.5", name="attention without its residual connection",
        question="does attention have its residual connection (x + ...)?", replace=ATTEND,
        by=ATTEND.replace("x + ", "")),
    Mistake(
        task="4.5", name="convolution without its residual connection",
        question="does the convolution module have its residual connection (x + ...)?",
        replace=NEAR, by=NEAR.replace("x + ", "")),
    Mistake(
        task="4.5", name="attention without its norm",
        question="is the input of attention normalized?",
        replace=ATTEND, by=ATTEND.replace("self.norm_attention(x)", "x")),
    Mistake(
        task="4.5", name="first module used at both ends",
        question="which feed-forward module runs last?", replace=SECOND,
        by=SECOND.replace("second", "first")),
    Mistake(
        task="4.5", name="one feed-forward module used twice",
        question="is one feed-forward module used twice?", replace=SECOND_HALF,
        by="self.second_half = self.first_half"),
    Mistake(
        task="4.5", name="no residual connections",
        question="are the residual connections there (x + ...)?", replace=FIRST,
        by=FIRST.replace("x + ", ""),
        also=((ATTEND, ATTEND.replace("x + ", "")), (NEAR, NEAR.replace("x + ", "")), (SECOND,
            SECOND.replace("x + ", "")),)),
    Mistake(
        task="4.5", name="convolution first", question="attention comes before the convolution",
        replace=ATTEND, by=NEAR,
        also=((f"#: Add the output of the convolution module; it needs valid, too.\n        {NEAR}",
            ATTEND),)),
    Mistake(
        task="4.5", name="no norm at the end",
        question="is there a norm at the end?",
        replace=f"{SECOND}\n        {LAST}", by=f"{SECOND}\n        return x\n"),
    Mistake(
        task="4.5", name="attention ignores the mask", question="does attention get valid?",
        replace=ATTEND, by=ATTEND.replace(", valid", "")),
    Mistake(
        task="4.5", name="convolution ignores the mask",
        question="does the convolution module get valid?", replace=NEAR,
        by=NEAR.replace(", valid", "")),
    Mistake(
        task="4.5", name="residual connection after the norm",
        question="the residual connection starts before the norm of attention", replace=ATTEND,
        by="x = self.norm_attention(x)\n        x = x + self.attention(x, valid)"),
    Mistake(
        task="4.5", name="all outputs halved",
        question="only the output of the feed-forward modules is halved", replace=ATTEND,
        by=ATTEND.replace("x + ", "x + 0.5 * "),
        also=((NEAR, NEAR.replace("x + ", "x + 0.5 * ")),)),
    Mistake(
        task="4.5", name="both feed-forward modules at the end",
        question="is there a feed-forward module at each end?", replace=FIRST, by="pass",
        also=((SECOND, f"{FIRST}\n        {SECOND}"),)),
    Mistake(
        task="4.6", name="one block, three times", question="is it one block, used three times?",
        replace=BLOCKS,
        by="nn.ModuleList([ConformerBlock(d_model, num_heads, d_ff, kernel_size)] * num_layers)"),
    Mistake(
        task="4.6", name="a plain list",
        question="are the blocks in an nn.ModuleList? A plain list hides their parameters",
        replace=BLOCKS, by=BLOCKS.replace("nn.ModuleList", "list")),
    Mistake(
        task="4.6", name="mask not passed on",
        question="does every block get valid? (nn.Sequential hands on x alone.)",
        replace=LOOP, by=LOOP.replace("x, valid", "x")),
    Mistake(
        task="4.6", name="every block reads x",
        question="is the input of each block the output of the one before?", replace=LOOP,
        by=LOOP.replace("x = block(x", "y = block(x").replace("return x", "return y")),
    Mistake(
        task="4.6", name="return inside the loop",
        question="only the first block has run: is the return inside the loop?", replace=LOOP,
        by=LOOP.replace("        return x", "            return x")),
    Mistake(
        task="4.6", name="one block too few", question="how many blocks run?", replace=LOOP,
        by=LOOP.replace("in self.blocks", "in self.blocks[1:]")),
    Mistake(
        task="4.6", name="bias of the convolution forgotten",
        question="the depthwise convolution has K weights and a bias a channel: are both counted?",
        replace="(8 + kernel_size) * d_model", by="(7 + kernel_size) * d_model"),
    Mistake(
        task="4.6", name="attention without biases",
        question="do the four projections of attention have a bias?",
        replace="attention = 4 * d_model**2 + 4 * d_model + 2 * d_model",
        by="attention = 4 * d_model**2 + 2 * d_model"),
    Mistake(
        task="4.6", name="one feed-forward module counted",
        question="are there two feed-forward modules?", replace=FEED_FORWARDS,
        by=FEED_FORWARDS.replace("2 * (2", "1 * (2")),
    Mistake(
        task="4.6", name="last norm forgotten",
        question="is there a norm in each module, and one at the end?", replace=TOTAL,
        by=TOTAL.replace(" + 2 * d_model", "")),
    Mistake(
        task="4.6", name="one block counted",
        question="does the number of layers occur in the formula?", replace=TOTAL,
        by=TOTAL.replace("num_layers * ", "")),
    Mistake(
        task="4.7", name="no normalization",
        question="is there a normalization right before the last linear layer?", replace=CLASSIFY,
        by="return self.classify(x)"),
    Mistake(
        task="4.7", name="normalized always",
        question="the ablation needs a model without a norm: is normalize used?",
        replace=NORMALIZE, by="self.norm = nn.BatchNorm1d(d_model)"),
    Mistake(
        task="4.7", name="padding averaged",
        question="do encoder and mean_pool both get the valid that side_by_side returns?",
        replace=POOL, by="x = x.mean(dim=1)"),
    Mistake(
        task="4.7", name="encoder ignores the mask",
        question="do encoder and mean_pool both get the valid that side_by_side returns?",
        replace=ENCODE, by=ENCODE.replace(", valid", "")),
    Mistake(
        task="4.7", name="norm before pooling",
        question="does the norm come after the mean? Deviations between utterances are what it "
                 "scales up",
        replace=POOL, by="x = mean_pool(F.layer_norm(x, x.shape[-1:]), valid)",
        also=((CLASSIFY, "return self.classify(x)"),)),
    Mistake(
        task="4.7", name="valid of single frames",
        question="pairs of frames have a valid of their own: side_by_side returns it",
        replace=SIDE, by="x, _ = side_by_side(mel, valid)\n"
                         "        valid = None if valid is None else valid[:, : x.shape[1]]"),
    Mistake(
        task="4.7", name="encoder detached",
        question="does every part learn? Nothing on the way to the logits may be detached",
        replace=POOL, by=POOL + ".detach()"),
    Mistake(
        task="4.7", name="no encoder",
        question="is your encoder, with its ConformerBlocks, a part of the model?",
        replace="self.encoder = ConformerEncoder(d_model, 4, 128, 15, num_layers=2)",
        by="self.encoder = nn.Identity()", also=((ENCODE, "x = self.encoder(self.widen(x))"),)),
    Mistake(
        task="4.7", name="log-probabilities", question="is there a log_softmax? The loss has one",
        replace=CLASSIFY, by=CLASSIFY + ".log_softmax(-1)"),
    Mistake(
        task="4.7", name="a recipe without steps",
        question="recipe() names the arguments of fit: steps and lr",
        replace='return {"steps": 600, "lr": 3e-3}', by='return {"lr": 3e-3}'),
    Mistake(
        task="4.7", name="seven blocks too many",
        question="the budget is 500,000 parameters: how many does one block have?",
        replace="self.encoder = ConformerEncoder(d_model, 4, 128, 15, num_layers=2)",
        by="self.encoder = ConformerEncoder(d_model, 4, 128, 15, num_layers=9)"),
    Mistake(
        task="4.7", name="a softmax at the end",
        question="is there a softmax? The loss has one of its own", replace=CLASSIFY,
        by=CLASSIFY + ".softmax(-1)"),
]
# fmt: on

LOAD_CONVOLUTION = """    for name in ("norm", "expand", "batch_norm", "contract"):
        getattr(module, name).load_state_dict(part(weights, name), strict=name != "batch_norm")
"""

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
        (
            LOAD_CONVOLUTION,
            LOAD_CONVOLUTION.replace('"expand", ', "")
            + "    own = part(weights, 'expand')\n    own['weight'] = own['weight'][..., None]\n"
            "    module.pointwise.load_state_dict(own)\n",
        ),
        (HIDE, "x = torch.where(valid.unsqueeze(-1), x, torch.zeros_like(x))"),
        (CONVOLVE, "return self.conv(x.transpose(1, 2)).transpose(1, 2)"),
        (FORWARD, "y = self.expand(self.norm(x))\n        return self.contract(y * y.sigmoid())"),
        (FEED_FORWARDS, "feed_forward = 4 * d_model * d_ff + 6 * d_model + 2 * d_ff"),
        (LOOP, LOOP.replace("block(x, valid)", "block.forward(x, valid=valid)")),
        (TOTAL, TOTAL.replace("return ", "return torch.tensor(") + ")"),
    ],
    "torch's batch norm over the real frames, a layer norm in front of the classifier": [
        (BATCH_NORM, "self.batch_norm = nn.BatchNorm1d(d_model)"),
        (
            COLUMNS,
            "x = self.depthwise(x, valid)\n        if valid is None:\n"
            "            valid = torch.ones(x.shape[:2], dtype=torch.bool)\n"
            "        y = torch.zeros_like(x)\n        y[valid] = self.batch_norm(x[valid])\n"
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
        (
            'module.norm.load_state_dict(part(weights, "norm"))',
            'module.last.load_state_dict(part(weights, "norm"))',
        ),
    ],
    "unfold and einsum, parameters of one's own, subclasses": [
        (
            ODD,
            "        class EvenKernel(ValueError):\n            pass\n\n"
            "        if kernel_size % 2 == 0:\n            raise EvenKernel(kernel_size)\n",
        ),
        (
            f"self.conv = {CONV}",
            "self.side = kernel_size // 2\n"
            "        self.kernel = nn.Parameter(torch.randn(d_model, kernel_size))\n"
            "        self.shift = nn.Parameter(torch.zeros(d_model))",
        ),
        (
            CONVOLVE,
            "windows = F.pad(x, (0, 0, self.side, self.side)).unfold(1, 2 * self.side + 1, 1)\n"
            "        return torch.einsum('btdk,dk->btd', windows, self.kernel) + self.shift",
        ),
        (
            "    module.conv.load_state_dict(weights)\n",
            "    with torch.no_grad():\n        module.kernel.copy_(weights['weight'][:, 0])\n"
            "        module.shift.copy_(weights['bias'])\n",
        ),
        (
            SECOND_HALF,
            "self.second_half = type('HalfStep', (FeedForwardModule,), {})(d_model, d_ff)",
        ),
        (
            "self.classify = nn.Linear(d_model, num_speakers)",
            "self.classify = type('Head', (nn.Linear,), {})(d_model, num_speakers)",
        ),
        (CLASSIFY, "return self.classify.forward(self.norm(x))"),
    ],
    "own layer norm, functional; another name for the encoder": [
        (
            "self.norm_attention = nn.LayerNorm(d_model)",
            "self.gamma = nn.Parameter(torch.ones(d_model))\n"
            "        self.beta = nn.Parameter(torch.zeros(d_model))",
        ),
        (
            ATTEND,
            "y = F.layer_norm(x, x.shape[-1:], self.gamma, self.beta)\n"
            "        x = x + self.attention(y, valid)",
        ),
        (
            'module.norm_attention.load_state_dict(part(weights, "norm_attention"))',
            "with torch.no_grad():\n"
            '        module.gamma.copy_(weights["norm_attention.weight"])\n'
            '        module.beta.copy_(weights["norm_attention.bias"])',
        ),
        (
            "self.encoder = ConformerEncoder(d_model, 4, 128, 15, num_layers=2)",
            "self.body = ConformerEncoder(d_model, 4, 96, 9, num_layers=3)",
        ),
        (ENCODE, "x = self.body.forward(self.widen(x), valid=valid)"),
        ("model.encoder = encoder", "model.body = encoder"),
    ],
    "half steps of a class of their own, a norm without a bias": [
        (
            "class ConformerBlock(nn.Module):",
            "class HalfStep(FeedForwardModule):\n    def forward(self, x):\n"
            "        return 0.5 * super().forward(x)\n\n\nclass ConformerBlock(nn.Module):",
        ),
        ("self.first_half = FeedForwardModule(", "self.first_half = HalfStep("),
        ("self.second_half = FeedForwardModule(", "self.second_half = HalfStep("),
        ("x = x + 0.5 * self.first_half(x)", "x = x + self.first_half(x)"),
        ("x = x + 0.5 * self.second_half(x)", "x = x + self.second_half(x)"),
        (
            "self.norm = nn.BatchNorm1d(d_model) if normalize else nn.Identity()",
            "self.norm = nn.LayerNorm(d_model, bias=False) if normalize else nn.Identity()",
        ),
    ],
}
