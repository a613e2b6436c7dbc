"""Planted mistakes of assignment 8, and other right answers (name -> edits of our solution)."""

from grader.course.mistakes.mistake import Mistake

INNER = "inner = (100 * starts + 0.5).long()"
BOUNDARIES = "boundaries = torch.cat([torch.tensor([0]), inner, torch.tensor([num_frames])])"
BETWEEN = "return boundaries.diff()"
ENDS = "ends = durations.cumsum(dim=1)\n"
LENGTH = "num_frames = ends[:, -1].max()"
VALID = "valid = frames < ends[:, -1:]"
WHOSE = "whose = (frames[:, None] >= ends[:, None]).sum(dim=-1).clamp(max=x.shape[1] - 1)"
ROWS = "y = x.gather(1, whose[..., None].expand(-1, -1, x.shape[2]))"
REGULATED = "return y * valid[..., None], valid"
PACED = "return (pace * durations + 0.5).long()"
KERNEL = "self.expand = nn.Conv1d(d_model, d_ff, kernel_size, padding=kernel_size // 2)"
CONTRACT = "self.contract = nn.Conv1d(d_ff, d_model, 1)"
NORM_2 = "self.norm_convolution = nn.LayerNorm(d_model)"
DROP = """        self.norm_convolution = nn.LayerNorm(d_model)
        self.dropout = nn.Dropout(dropout)"""
ATTENTION = "x = self.norm_attention(x + self.dropout(self.attention(x, valid))) * real"
CONVOLVED = "y = self.contract(F.relu(self.expand(x.mT))).mT"
NORMED = "return self.norm_convolution(x + self.dropout(y)) * real"
WANTED = "wanted = (durations[valid] + 1).log()"
SQUARE = "return (log_durations[valid] - wanted).square().mean()"
FRAMES = "return (log_durations.exp() - 1).round().clamp(min=1).long() * valid"
ALPHA = "self.alpha = nn.Parameter(torch.ones(()))"
BUFFER = 'self.register_buffer("table", table, persistent=False)'
TOO_MANY = """        if x.shape[1] > len(self.table):
            raise ValueError(f"{x.shape[1]} places, but positions for {len(self.table)}")
"""
ADDED = "return x + self.alpha * self.table[: x.shape[1]]"
FIRST = "x = F.dropout(F.relu(self.first(frames)), self.dropout)"
SECOND = "x = F.dropout(F.relu(self.second(x)), self.dropout)"
CENTER = "return self.center(x)"
SHIFTED = "return torch.cat([torch.zeros_like(frames[:, :1]), frames[:, :-1]], dim=1)"
STOPS = "return (torch.arange(num_steps) == lengths[:, None] - 1).float()"
STOP_LOSS = "loss = weight * targets * F.softplus(-logits) + (1 - targets) * F.softplus(logits)"
STOP_MEAN = "    return loss[valid].mean()\n"
S_SHARES = "s = torch.arange(steps.max()) / steps[:, None]"
U_SHARES = "u = torch.arange(phonemes.max()) / phonemes[:, None]"
GUIDE = "return 1 - torch.exp(-(s[:, :, None] - u[:, None, :]).square() / (2 * width**2))"
PENALTY = "penalty = (weights * guide[:, None]).sum(dim=-1).mean(dim=1)"
PENALTIES = "return penalty[valid].mean()"
POWER = "power = (mel.exp() - FLOOR).clamp(min=0)"
INVERSE = "return (power @ torch.linalg.pinv(filters).to(mel.dtype)).clamp(min=1e-10)"
PHASES = "phase = torch.complex(torch.ones_like(magnitude), torch.zeros_like(magnitude))"
CONSISTENT = "consistent = spectra(waveform_of(magnitude * phase))"
MOVED = "moved = consistent - momentum / (1 + momentum) * before"
PHASE = "phase = moved / (moved.abs() + 1e-16)"
BEFORE = "before = consistent"
EMBEDDED = "x = self.symbols(phonemes[..., 0]) + self.stresses(phonemes[..., 1])"
TEXT_PLACES = "        x = self.text_places(x)\n"
PREDICTED = "log_durations = self.durations(x.detach(), valid)"
OWN = """        if durations is None:
            durations = paced(frames_from(log_durations, valid), pace)
"""
FRAME_PLACES = "        y = self.frame_places(y)\n"
DECODED = """        for block in self.decoder:
            y = block(y, frames)
"""
SAID = "return MEAN + DEVIATION * self.out(y), frames, log_durations"
TOLD = "said, frames, log_durations = model(phonemes, valid, durations)"
ERROR = "error = (said - mel).abs()[frames].mean() / DEVIATION"
BOTH = "return error + duration_loss(log_durations, durations, valid)"
RECIPE = '{"steps": 600, "batch_size": 16, "lr": 2e-3, "warmup_steps": 60}'

NEED_WEIGHTS = ("8.6-durations", "8.6-accuracy")

# fmt: off
MISTAKES = [
    Mistake(
        task="8.1", name="cut off", question="the nearest frame: floor(100 s + 1/2)",
        replace=INNER, by="inner = (100 * starts).long()"),
    Mistake(
        task="8.1", name="each duration rounded", question="round boundaries, not durations",
        replace=BETWEEN,
        by="starts = torch.cat([torch.zeros(1), starts, torch.tensor([num_frames / 100])])\n"
        "    return (100 * starts.diff() + 0.5).floor().long()"),
    Mistake(
        task="8.1", name="no silence in front",
        question="the silence in front is the first duration", replace=BOUNDARIES,
        by="boundaries = torch.cat([inner, torch.tensor([num_frames])])"),
    Mistake(
        task="8.1", name="no last phoneme", question="does the last phoneme last to the end?",
        replace=BOUNDARIES, by="boundaries = torch.cat([torch.tensor([0]), inner])"),
    Mistake(
        task="8.1", name="in milliseconds", question="a frame is 10 ms: 100 a second",
        replace=INNER, by="inner = (1000 * starts + 0.5).floor().long()"),
    Mistake(
        task="8.1", name="halves to even", question="are halves rounded up? 12.5 is 13",
        replace=INNER, by="inner = (100 * starts).round().long()"),
    Mistake(
        task="8.1", name="rounded up", question="the nearest frame, not the next one",
        replace=INNER, by="inner = (100 * starts).ceil().long()"),
    Mistake(
        task="8.2", name="the whole text again and again",
        question="a vector's copies stand together: 1 1 2 2, not 1 2 1 2", replace=WHOSE,
        by="whose = frames.remainder(x.shape[1]).expand(len(x), -1)"),
    Mistake(
        task="8.2", name="one phoneme late",
        question="a phoneme that ends at frame 5 lasts to frame 4: is it >=, or >?", replace=WHOSE,
        by=WHOSE.replace(">=", ">")),
    Mistake(
        task="8.2", name="loud padding", question="is the padding zero?", replace=REGULATED,
        by="return y, valid"),
    Mistake(
        task="8.2", name="valid for the shortest", question="each text has a length of its own",
        replace=VALID, by="valid = (frames < ends[:, -1].min()).expand(len(x), -1)"),
    Mistake(
        task="8.2", name="one frame more", question="frames 0 to T - 1 are valid", replace=VALID,
        by="valid = frames <= ends[:, -1:]"),
    Mistake(
        task="8.2", name="as long as the shortest", question="T is the longest sum of durations",
        replace=LENGTH, by="num_frames = ends[:, -1].min()"),
    Mistake(
        task="8.2", name="half a frame scaled",
        question="scale first, then add one half", replace=PACED,
        by="return ((durations + 0.5) * pace).long()"),
    Mistake(
        task="8.2", name="cut off", question="rounded, not cut off", replace=PACED,
        by="return (pace * durations).long()"),
    Mistake(
        task="8.2", name="halves to even", question="are halves rounded up?", replace=PACED,
        by="return (pace * durations).round().long()"),
    Mistake(
        task="8.2", name="divided by the pace",
        question="a pace of 1.3 is 1.3 times as long, not as fast", replace=PACED,
        by="return (durations / pace + 0.5).floor().long()"),
    Mistake(
        task="8.3", name="padding in the convolution",
        question="the convolution reads padding, too: is it zero in front of it?",
        replace=ATTENTION,
        by="x = self.norm_attention(x + self.dropout(self.attention(x, valid)))"),
    Mistake(
        task="8.3", name="loud padding", question="is the padding zero in the end?",
        replace=NORMED, by="return self.norm_convolution(x + self.dropout(y))"),
    Mistake(
        task="8.3", name="no mask in the attention", question="does attention read the padding?",
        replace=ATTENTION, by=ATTENTION.replace("(x, valid)", "(x)")),
    Mistake(
        task="8.3", name="nothing added", question="is the input added to the convolutions?",
        replace=NORMED, by="return self.norm_convolution(self.dropout(y)) * real"),
    Mistake(
        task="8.3", name="pre-norm", question="post-norm: add, then norm", replace=ATTENTION,
        by="x = (x + self.dropout(self.attention(self.norm_attention(x), valid))) * real"),
    Mistake(
        task="8.3", name="no ReLU", question="is there a ReLU between the convolutions?",
        replace=CONVOLVED, by="y = self.contract(self.expand(x.mT)).mT"),
    Mistake(
        task="8.3", name="two wide kernels", question="the second convolution has a kernel of 1",
        replace=CONTRACT,
        by="self.contract = nn.Conv1d(d_ff, d_model, kernel_size, padding=kernel_size // 2)"),
    Mistake(
        task="8.3", name="one norm", question="each branch has a norm of its own",
        replace=NORM_2, by="self.norm_convolution = self.norm_attention"),
    Mistake(
        task="8.3", name="no dropout", question="is there dropout on what is added?", replace=DROP,
        by=DROP.replace("nn.Dropout(dropout)", "nn.Identity()")),
    Mistake(
        task="8.3", name="dropout on the sum", question="dropout on what is added, before it is",
        replace=NORMED, by="return self.norm_convolution(self.dropout(x + y)) * real"),
    Mistake(
        task="8.3", name="dropout behind the norm",
        question="dropout on what is added, before it is", replace=NORMED,
        by="return self.dropout(self.norm_convolution(x + y)) * real"),
    Mistake(
        task="8.3", name="GELU", question="is it a ReLU between the convolutions?",
        replace=CONVOLVED, by=CONVOLVED.replace("F.relu", "F.gelu")),
    Mistake(
        task="8.3", name="a kernel of 3 always", question="is kernel_size used?", replace=KERNEL,
        by="self.expand = nn.Conv1d(d_model, d_ff, 3, padding=1)"),
    Mistake(
        task="8.3", name="a look back only", question="a kernel sees as far to either side",
        replace=CONVOLVED,
        by="y = F.pad(x.mT, (self.expand.kernel_size[0] - 1, 0))\n"
        "        y = F.conv1d(y, self.expand.weight, self.expand.bias)\n"
        "        y = self.contract(F.relu(y)).mT"),
    Mistake(
        task="8.3", name="the logarithm of d", question="the target is ln(d + 1)", replace=WANTED,
        by="wanted = durations[valid].clamp(min=1).to(log_durations.dtype).log()"),
    Mistake(
        task="8.3", name="linear durations", question="the target is ln(d + 1)", replace=WANTED,
        by="wanted = durations[valid].to(log_durations.dtype)"),
    Mistake(
        task="8.3", name="padding counts", question="does padding count?", replace=SQUARE,
        by="wanted = (durations + 1).to(log_durations.dtype).log()\n"
        "    return (log_durations - wanted).square().mean()"),
    Mistake(
        task="8.3", name="an absolute error", question="is the error squared?", replace=SQUARE,
        by="return (log_durations[valid] - wanted).abs().mean()"),
    Mistake(
        task="8.3", name="no minus one", question="exp(x) - 1: the logarithm is of d + 1",
        replace=FRAMES, by="return log_durations.exp().round().clamp(min=1).long() * valid"),
    Mistake(
        task="8.3", name="cut off", question="rounded, not cut off", replace=FRAMES,
        by="return (log_durations.exp() - 1).clamp(min=1).long() * valid"),
    Mistake(
        task="8.3", name="no least duration", question="a real phoneme lasts 1 frame at least",
        replace=FRAMES,
        by="return (log_durations.exp() - 1).round().clamp(min=0).long() * valid"),
    Mistake(
        task="8.3", name="padding lasts", question="padding lasts 0 frames", replace=FRAMES,
        by="return (log_durations.exp() - 1).round().clamp(min=1).long()"),
    Mistake(
        task="8.4", name="an alpha for each feature", question="alpha is one number",
        replace=ALPHA, by="self.alpha = nn.Parameter(torch.ones(d_model))"),
    Mistake(
        task="8.4", name="alpha scales x", question="alpha weighs the positions: does it weigh x?",
        replace=ADDED, by="return self.alpha * x + self.table[: x.shape[1]]"),
    Mistake(
        task="8.4", name="alpha scales both",
        question="alpha weighs the positions: does it weigh x?",
        replace=ADDED, by="return self.alpha * (x + self.table[: x.shape[1]])"),
    Mistake(
        task="8.4", name="alpha does not learn", question="is alpha a parameter?", replace=ALPHA,
        by="self.alpha = nn.Parameter(torch.ones(()), requires_grad=False)"),
    Mistake(
        task="8.4", name="as many positions as needed", question="are too many places refused?",
        replace=TOO_MANY, by="        n = len(self.table)\n",
        also=((ADDED, "places = torch.arange(x.shape[1]).clamp(max=n - 1)\n"
               "        return x + self.alpha * self.table[places]"),)),
    Mistake(
        task="8.4", name="the table is saved",
        question="positions are computed, not learned: is the buffer persistent=False?",
        replace=BUFFER, by='self.register_buffer("table", table)'),
    Mistake(
        task="8.4", name="no dropout when it speaks",
        question="does the pre-net drop in evaluation, too?", replace=FIRST,
        by="x = F.dropout(F.relu(self.first(frames)), self.dropout, self.training)",
        also=((SECOND, "x = F.dropout(F.relu(self.second(x)), self.dropout, self.training)"),)),
    Mistake(
        task="8.4", name="one mask for all frames",
        question="does every frame lose features of its own?", replace=FIRST,
        by="x = F.relu(self.first(frames))\n"
        "        x = x * F.dropout(torch.ones_like(x[:, :1]), self.dropout)",
        also=((SECOND, "x = F.relu(self.second(x))\n"
               "        x = x * F.dropout(torch.ones_like(x[:, :1]), self.dropout)"),)),
    Mistake(
        task="8.4", name="half in any case", question="is the argument dropout used?",
        replace=FIRST, by=FIRST.replace("self.dropout", "0.5"),
        also=((SECOND, SECOND.replace("self.dropout", "0.5")),)),
    Mistake(
        task="8.4", name="one dropout", question="do both layers drop?", replace=FIRST,
        by="x = F.relu(self.first(frames))"),
    Mistake(
        task="8.4", name="a ReLU at the end",
        question="the third layer brings the center back to 0: is there a ReLU behind it?",
        replace=CENTER, by="return F.relu(self.center(x))"),
    Mistake(
        task="8.4", name="two layers", question="is the third layer used?", replace=CENTER,
        by="return x"),
    Mistake(
        task="8.4", name="no shift", question="a step reads the frame before, not its own",
        replace=SHIFTED, by="return frames"),
    Mistake(
        task="8.4", name="the other way",
        question="zeros first: a step reads what came before it", replace=SHIFTED,
        by="return torch.cat([frames[:, 1:], torch.zeros_like(frames[:, :1])], dim=1)"),
    Mistake(
        task="8.4", name="the frames go around", question="the first frame that is read is zero",
        replace=SHIFTED, by="return frames.roll(1, dims=1)"),
    Mistake(
        task="8.4", name="stop behind the end", question="1 at the last step only, not behind it",
        replace=STOPS, by="return (torch.arange(num_steps) >= lengths[:, None] - 1).float()"),
    Mistake(
        task="8.4", name="one step late", question="the last step of 3 is number 2",
        replace=STOPS, by="return (torch.arange(num_steps) == lengths[:, None]).float()"),
    Mistake(
        task="8.4", name="at the end of the batch", question="each row stops at its own end",
        replace=STOPS,
        by="return (torch.arange(num_steps) == num_steps - 1).float().expand(len(lengths), -1)"),
    Mistake(
        task="8.4", name="no weight", question="does the last step count more?",
        replace=STOP_LOSS, by=STOP_LOSS.replace("weight * ", "")),
    Mistake(
        task="8.4", name="all weighed",
        question="the weight belongs to the steps where the target is 1: does it weigh all?",
        replace=STOP_LOSS,
        by="loss = weight * (targets * F.softplus(-logits) + (1 - targets) * F.softplus(logits))"),
    Mistake(
        task="8.4", name="padding counts", question="does padding count?", replace=STOP_MEAN,
        by="    return loss.mean()\n"),
    Mistake(
        task="8.4", name="logarithms of a sigmoid",
        question="is the loss finite where a logit is surely wrong?", replace=STOP_LOSS,
        by="p = torch.sigmoid(logits)\n"
        "    loss = -weight * targets * p.log() - (1 - targets) * (1 - p).log()"),
    Mistake(
        task="8.4", name="shares of the longest", question="shares of each utterance's own length",
        replace=S_SHARES,
        by="s = (torch.arange(int(steps.max())) / steps.max()).expand(len(steps), -1)",
        also=((U_SHARES, "u = (torch.arange(int(phonemes.max())) / phonemes.max())"
               ".expand(len(steps), -1)"),)),
    Mistake(
        task="8.4", name="the diagonal punished",
        question="the guide is 0 on the diagonal, and near 1 far from it", replace=GUIDE,
        by="return torch.exp(-(s[:, :, None] - u[:, None, :]).square() / (2 * width**2))"),
    Mistake(
        task="8.4", name="width not squared",
        question="it is divided by 2 width²: is the width squared?",
        replace=GUIDE,
        by="return 1 - torch.exp(-(s[:, :, None] - u[:, None, :]).square() / (2 * width))"),
    Mistake(
        task="8.4", name="a sum over heads", question="the mean over heads", replace=PENALTY,
        by="penalty = (weights * guide[:, None]).sum(dim=-1).sum(dim=1)"),
    Mistake(
        task="8.4", name="padding of speech counts", question="the mean over valid steps",
        replace=PENALTIES, by="return penalty.mean()"),
    Mistake(
        task="8.5", name="no floor", question="log-mels are of power + 1e-6", replace=POWER,
        by="power = mel.exp()"),
    Mistake(
        task="8.5", name="negative power", question="is power nowhere below 1e-10?",
        replace=INVERSE, by="return power @ torch.linalg.pinv(filters).to(mel.dtype)"),
    Mistake(
        task="8.5", name="transposed filters",
        question="the pseudo-inverse undoes the filters; their transpose does not",
        replace=INVERSE, by="return (power @ filters.T.to(mel.dtype)).clamp(min=1e-10)"),
    Mistake(
        task="8.5", name="of ten", question="the logarithm is the natural one", replace=POWER,
        by="power = (10**mel - FLOOR).clamp(min=0)"),
    Mistake(
        task="8.5", name="magnitudes replaced",
        question="each round keeps phases, and puts the right magnitudes back: is it the other "
        "way round?",
        replace=PHASE, by="phase = moved / magnitude.clamp(min=1e-16)"),
    Mistake(
        task="8.5", name="no momentum", question="is momentum used?", replace=MOVED,
        by="moved = consistent"),
    Mistake(
        task="8.5", name="momentum as it is", question="the share is m / (1 + m)", replace=MOVED,
        by="moved = consistent - momentum * before"),
    Mistake(
        task="8.5", name="the other direction", question="minus the spectra of the round before",
        replace=MOVED, by="moved = consistent + momentum / (1 + momentum) * before"),
    Mistake(
        task="8.5", name="what momentum made is remembered",
        question="remember the spectra, not what momentum made of them", replace=BEFORE,
        by="before = moved"),
    Mistake(
        task="8.5", name="one round too few", question="is every round done?",
        replace="for _ in range(iterations):", by="for _ in range(iterations - 1):"),
    Mistake(
        task="8.5", name="random phases", question="phases of 0 at the beginning", replace=PHASES,
        by="phase = torch.exp(2j * math.pi * torch.rand(magnitude.shape)).to(\n"
        "        torch.complex(magnitude, magnitude).dtype\n    )"),
    Mistake(
        task="8.6", name="no stress", question="is the stress embedded, too?", replace=EMBEDDED,
        by="x = self.symbols(phonemes[..., 0])"),
    Mistake(
        task="8.6", name="no positions of the text",
        question="the encoder does not know where a phoneme stands", replace=TEXT_PLACES,
        by=""),
    Mistake(
        task="8.6", name="no positions of the frames",
        question="all frames of a phoneme are alike without positions", replace=FRAME_PLACES,
        by=""),
    Mistake(
        task="8.6", name="durations train the encoder",
        question="does the loss of durations reach the encoder?", replace=PREDICTED,
        by="log_durations = self.durations(x, valid)"),
    Mistake(
        task="8.6", name="always the predicted durations",
        question="are the durations used that were given?", replace=OWN,
        by="        durations = paced(frames_from(log_durations, valid), pace)\n"),
    Mistake(
        task="8.6", name="no pace", question="is the pace used?", replace=OWN,
        by=OWN.replace("paced(frames_from(log_durations, valid), pace)",
                       "frames_from(log_durations, valid)")),
    Mistake(
        task="8.6", name="the mask of the text",
        question="the decoder reads frames: does it get the mask of the frames?",
        replace=DECODED,
        by="        for block in self.decoder:\n"
        "            y = block(y, torch.ones_like(frames))\n"),
    Mistake(
        task="8.6", name="normalized mels", question="MEAN + DEVIATION times what out says",
        replace=SAID, by="return self.out(y), frames, log_durations"),
    Mistake(
        task="8.6", name="blocks of the encoder again",
        question="has the decoder blocks of its own?", replace=DECODED,
        by="        for block in self.encoder:\n            y = block(y, frames)\n"),
    Mistake(
        task="8.6", name="trained on its own durations",
        question="are the true durations given in training?", replace=TOLD,
        by="said, frames, log_durations = model(phonemes, valid)"),
    Mistake(
        task="8.6", name="padding counts", question="is the error that of valid frames only?",
        replace=ERROR, by="error = (said - mel).abs().mean() / DEVIATION"),
    Mistake(
        task="8.6", name="a square error", question="the mean absolute error", replace=ERROR,
        by="error = (said - mel).square()[frames].mean() / DEVIATION"),
    Mistake(
        task="8.6", name="not in deviations", question="is the error divided by DEVIATION?",
        replace=ERROR, by="error = (said - mel).abs()[frames].mean()"),
    Mistake(
        task="8.6", name="durations not learned",
        question="do the durations learn? Add duration_loss",
        replace=BOTH, by="return error"),
    Mistake(
        task="8.6", name="given durations are paced",
        question="durations that were given stay as they are", replace=OWN,
        by="        if durations is None:\n"
        "            durations = frames_from(log_durations, valid)\n"
        "        durations = paced(durations, pace)\n"),
    Mistake(
        task="8.6", name="half a step",
        question="steps is a whole number: range takes no other",
        replace=RECIPE,
        by=RECIPE.replace("600", "600.5")),
    Mistake(
        task="8.6", name="no warm-up",
        question="warm-up takes at least one step, and ends before the last",
        replace=RECIPE, by=RECIPE.replace('"warmup_steps": 60', '"warmup_steps": 0')),
]
# fmt: on

ALTERNATIVES = {
    "loops over texts, views instead of gathers": [
        (
            REGULATED,
            "rows = [torch.cat([v.expand(int(n), -1) for v, n in zip(r, d)]) for r, d in\n"
            "            zip(x, durations)]\n"
            "    y = torch.stack([F.pad(r, (0, 0, 0, num_frames - len(r))) for r in rows])\n"
            "    return y, valid",
        ),
        (PACED, "return torch.div(2 * pace * durations + 1, 2, rounding_mode='floor').long()"),
        (INNER, "inner = torch.floor(starts.double() * 100 + 0.5).to(torch.int64)"),
        (
            SHIFTED,
            "read = torch.zeros_like(frames)\n    read[:, 1:] = frames[:, :-1]\n    return read",
        ),
        (STOPS, "return F.one_hot(lengths - 1, num_steps).float()"),
        (
            STOP_LOSS,
            "log_p, log_q = F.logsigmoid(logits), F.logsigmoid(-logits)\n"
            "    loss = -(weight * targets * log_p + (1 - targets) * log_q)",
        ),
        (PENALTY, 'penalty = torch.einsum("bhsu,bsu->bs", weights, guide) / weights.shape[1]'),
        (PENALTIES, "return (penalty * valid).sum() / valid.sum()"),
    ],
    "masks by filling, polar phases": [
        (
            ATTENTION,
            "x = self.norm_attention(x + self.dropout(self.attention(x, valid)))\n"
            "        x = x.masked_fill(~real, 0)",
        ),
        (CONVOLVED, "y = self.contract(self.expand(x.transpose(1, 2)).relu()).transpose(1, 2)"),
        (
            SQUARE,
            "return F.mse_loss(log_durations[valid], wanted)",
        ),
        (PHASE, "phase = torch.polar(torch.ones_like(magnitude), moved.angle())"),
        (
            ERROR,
            "error = ((said - mel).abs().mean(-1) * frames).sum() / frames.sum() / DEVIATION",
        ),
    ],
    "one matrix for all taps of a kernel, an alpha with an axis, phonemes chosen by 0 and 1": [
        (INNER, "inner = (100 * starts.double() + 0.5).floor().int()"),
        (BETWEEN, "return boundaries[1:] - boundaries[:-1]"),
        (WHOSE, "chosen = (frames >= (ends - durations)[..., None]) & (frames < ends[..., None])"),
        (ROWS, 'y = torch.einsum("but,bud->btd", chosen.to(x.dtype), x)'),
        (REGULATED, "return [y, valid]"),
        (
            KERNEL,
            "self.half = kernel_size // 2\n"
            "        self.expand = nn.Linear(kernel_size * d_model, d_ff)",
        ),
        (CONTRACT, "self.contract = nn.Linear(d_ff, d_model)"),
        (
            CONVOLVED,
            "near = F.pad(x, (0, 0, self.half, self.half)).unfold(1, 2 * self.half + 1, 1)\n"
            "        y = self.contract(self.expand(near.flatten(2)).clamp(min=0))",
        ),
        (
            'part.weight.copy_(weights[name]["weight"])',
            'part.weight.copy_(weights[name]["weight"].reshape(part.weight.shape))',
        ),
        (ALPHA, "self.alpha = nn.Parameter(torch.ones(1))"),
        (SAID, SAID.replace("MEAN", "frames[..., None] * (MEAN").replace("(y),", "(y)),")),
    ],
}
