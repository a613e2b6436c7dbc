"""Planted mistakes of assignment 3, and other right answers (name -> edits of our solution)."""

from grader.course.mistakes.mistake import Mistake

NEED_WEIGHTS = ("3.8-accuracy", "3.8-trained-model-ignores-padding")

VALID = "valid = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]"
COPY = "row[: len(mel)] = mel"
LENGTHS = "lengths = [len(mel) for mel in mels]\n    batch"
TOTAL = "total = x.masked_fill(~valid[..., None], 0).sum(dim=1)"
MEAN = "return total / valid.sum(dim=1, keepdim=True)"
RISE = "return (step + 1) / warmup_steps"
PROGRESS = "progress = (step - peak) / (last - peak)"
ENDS = "peak, last = max(warmup_steps, 1) - 1, total_steps - 1"
FALL = "return 0.5 * (1 + math.cos(math.pi * progress))"
LAYERS = """nn.ModuleList(
            EncoderLayer(d_model, num_heads, d_ff, dropout, norm_first=True)
            for _ in range(num_layers)
        )"""
LOOP = """        for layer in self.layers:
            x = layer(x, valid)
        #: Pool"""
CENTER = "mel = (mel - mean_pool(mel, valid)[:, None]) / 4"
CLASSIFY = "return self.classify(self.norm(mean_pool(x, valid)))"
WIDTH = "d_model=64, num_heads=4, d_ff=128, num_layers=2, dropout=0.1"
ZERO = "    optimizer.zero_grad()\n"
LOSS = "loss = F.cross_entropy(model(mel, valid), labels)"
STEP = "    loss.backward()\n    optimizer.step()\n"
EVAL = "    model.eval()\n    found = []"
BATCHES = "for start in range(0, len(mels), batch_size):"
PART = "mel, valid = collate(mels[start : start + batch_size])"
BETTER = "if accuracy > self.accuracy:"
CLONE = "{name: tensor.clone() for name, tensor in model.state_dict().items()}"
RECIPE = (
    'return {"steps": 900, "batch_size": 32, "crop_frames": 128, "lr": 2e-3, "warmup_steps": 90}'
)

# fmt: off
MISTAKES = [
    Mistake(
        task="3.1", name="zeros as padding",
        question="padding is -20, the logarithm of silence, not 0",
        replace="max(lengths), mels[0].shape[1]), padding)",
        by="max(lengths), mels[0].shape[1]), 0.0)"),
    Mistake(
        task="3.1", name="always the same padding", question="is padding used, or always -20?",
        replace="max(lengths), mels[0].shape[1]), padding)",
        by="max(lengths), mels[0].shape[1]), -20.0)"),
    Mistake(
        task="3.1", name="padded at the beginning",
        question="pad at the end, not at the beginning", replace=COPY,
        by="row[-len(mel) :] = mel"),
    Mistake(
        task="3.1", name="mask upside down", question="True means real, not padding",
        replace=VALID, by=VALID.replace("<", ">=")),
    Mistake(
        task="3.1", name="mask by value",
        question="silence in an utterance is real: compare frame numbers with lengths",
        replace=VALID, by="valid = ~(batch == padding).all(dim=2)"),
    Mistake(
        task="3.1", name="sorted by length",
        question="are they sorted by length? Their labels are not", replace=LENGTHS,
        by="mels = sorted(mels, key=len, reverse=True)\n    " + LENGTHS),
    Mistake(
        task="3.1", name="cut to the shortest", question="T is the longest, not the shortest",
        replace=LENGTHS, by="mels = [mel[: min(map(len, mels))] for mel in mels]\n    " + LENGTHS),
    Mistake(
        task="3.1", name="numbers as mask", question="valid is True or False: a bool, no number",
        replace="return batch, valid", by="return batch, valid.float()"),
    Mistake(
        task="3.2", name="padding counted", question="is the padding left out of the sum?",
        replace=TOTAL, by="return x.mean(dim=1)"),
    Mistake(
        task="3.2", name="divided by T",
        question="divide by the number of valid frames, not of all", replace=MEAN,
        by="return total / x.shape[1]"),
    Mistake(
        task="3.2", name="not divided", question="is the sum divided by the number of frames?",
        replace=MEAN, by="return total"),
    Mistake(
        task="3.2", name="one number for the batch",
        question="each utterance has its own number of valid frames", replace=MEAN,
        by="return total / valid.sum()"),
    Mistake(
        task="3.2", name="padding in the sum", question="the padding is still in the sum",
        replace=TOTAL, by="total = x.sum(dim=1)"),
    Mistake(
        task="3.2", name="mean over features", question="the mean is over time, axis 1",
        replace=TOTAL, by="return x.mean(dim=2)"),
    Mistake(
        task="3.2", name="counts without an axis",
        question="a number for each utterance: is keepdim=True missing?", replace=MEAN,
        by="return total / valid.sum(dim=1)"),
    Mistake(
        task="3.3", name="begins at zero", question="the first step is 1 / W, not 0", replace=RISE,
        by="return step / warmup_steps"),
    Mistake(
        task="3.3", name="peak a step late",
        question="the peak is step W - 1: the cosine starts there",
        replace=ENDS,
        by="peak, last = warmup_steps, total_steps"),
    Mistake(
        task="3.3", name="end a step late", question="the last step, S - 1, has exactly 0",
        replace=ENDS,
        by="peak, last = max(warmup_steps, 1) - 1, total_steps"),
    Mistake(
        task="3.3", name="a line", question="is the decay half a cosine, or a line?", replace=FALL,
        by="return 1 - progress"),
    Mistake(
        task="3.3", name="a whole cosine",
        question="half a cosine ends at 0: is it halved, and is 1 added?", replace=FALL,
        by="return math.cos(math.pi * progress)"),
    Mistake(
        task="3.3", name="no decay", question="is there a decay after the warm-up?", replace=FALL,
        by="return 1.0"),
    Mistake(
        task="3.3", name="cosine from step 0",
        question="the cosine starts where the warm-up ends, not at step 0", replace=PROGRESS,
        by="progress = step / total_steps"),
    Mistake(
        task="3.3", name="a peak before the first step",
        question="without a warm-up the peak is step 0, not -1", replace=ENDS,
        by=ENDS.replace("max(warmup_steps, 1)", "warmup_steps")),
    Mistake(
        task="3.3", name="no half", question="is the cosine with its 1 halved?", replace=FALL,
        by=FALL.replace("0.5 * ", "")),
    Mistake(
        task="3.4", name="one layer, three times",
        question="is it one layer, used again and again?", replace=LAYERS,
        by="nn.ModuleList([EncoderLayer(d_model, num_heads, d_ff, dropout)] * 3)"),
    Mistake(
        task="3.4", name="layers without the mask",
        question="does every layer and every mean_pool get the mask?", replace=LOOP,
        by=LOOP.replace("x, valid", "x")),
    Mistake(
        task="3.4", name="padding pooled",
        question="does every layer and every mean_pool get the mask?", replace=CLASSIFY,
        by="return self.classify(self.norm(x.mean(dim=1)))"),
    Mistake(
        task="3.4", name="norm not used",
        question="is a norm called after the pooling, and before the classifier?",
        replace=CLASSIFY, by="return self.classify(mean_pool(x, valid))"),
    Mistake(
        task="3.4", name="too wide",
        question="fewer than 500,000: which layers hold most of them?",
        replace=WIDTH, by=WIDTH.replace("64", "192").replace("128", "768")),
    Mistake(
        task="3.4", name="a softmax at the end",
        question="is there a softmax? The loss has one of its own", replace=CLASSIFY,
        by=CLASSIFY + ".softmax(-1)"),
    Mistake(
        task="3.4", name="four layers",
        question="fewer than four layers: how many does num_layers make?",
        replace=WIDTH, by=WIDTH.replace("num_layers=2", "num_layers=4")),
    Mistake(
        task="3.4", name="last layer not used",
        question="is it used in forward, and is nothing detached on the way?", replace=LOOP,
        by=LOOP.replace("self.layers", "self.layers[:-1]")),
    Mistake(
        task="3.4", name="a weight in no parameter",
        question="is there a tensor that no module declares? It counts, too",
        replace=CLASSIFY,
        by="return self.classify(self.norm(mean_pool(x, valid))) + 0 * TABLE.sum()",
        also=(("def stack_frames(mel, valid, factor=4):",
            "TABLE = torch.zeros(800, 800)\n\n\ndef stack_frames(mel, valid, factor=4):"),)),
    Mistake(
        task="3.4", name="mean not subtracted",
        question="is the mean over time subtracted from every band?", replace=CENTER,
        by="mel = mel / 4"),
    Mistake(
        task="3.4", name="mean over the padding subtracted",
        question="does every layer and every mean_pool get the mask?", replace=CENTER,
        by=CENTER.replace("mean_pool(mel, valid)", "mel.mean(dim=1)")),
    Mistake(
        task="3.4", name="the sound not used", question="does forward use its input?",
        replace=CENTER, by="mel = 0 * mel"),
    Mistake(
        task="3.5", name="gradients not cleared",
        question="gradients accumulate in .grad: are they cleared?", replace=ZERO, by=""),
    Mistake(
        task="3.5", name="a softmax too many",
        question="cross_entropy takes logits: is there a softmax before it?", replace=LOSS,
        by=LOSS.replace("model(mel, valid)", "model(mel, valid).softmax(dim=1)")),
    Mistake(
        task="3.5", name="no step",
        question="the weights are unchanged: is there a backward, and then a step?", replace=STEP,
        by="    loss.backward()\n"),
    Mistake(
        task="3.5", name="a sum", question="the loss is the mean over the batch, not the sum",
        replace=LOSS, by=LOSS.replace("labels)", 'labels, reduction="sum")')),
    Mistake(
        task="3.5", name="cleared after backward",
        question="the weights are unchanged: is there a backward, and then a step?", replace=ZERO,
        by="",
        also=((STEP, "    loss.backward()\n    optimizer.zero_grad()\n    optimizer.step()\n"),)),
    Mistake(
        task="3.5", name="evaluation mode", question="where is model.train()?",
        replace=f"    model.train()\n{ZERO}", by=ZERO),
    Mistake(
        task="3.5", name="a tensor as loss", question="loss.item() is a number, without the graph",
        replace="return loss.item()", by="return loss"),
    Mistake(
        task="3.6", name="training mode", question="where is model.eval()?", replace=EVAL,
        by="    found = []"),
    Mistake(
        task="3.6", name="gradients collected",
        question="is torch.no_grad() missing? It saves half of the memory",
        replace="with torch.no_grad():\n        #: Collate",
        by="with torch.enable_grad():\n        #: Collate"),
    Mistake(
        task="3.6", name="last batch left out", question="is the last, smaller batch left out?",
        replace=BATCHES,
        by="for start in range(0, len(mels) // batch_size * batch_size, batch_size):"),
    Mistake(
        task="3.6", name="crops",
        question="whole utterances, not crops: which frames does the model see?", replace=PART,
        by=PART.replace(
        "mels[start : start + batch_size]",
        "[mel[:128] for mel in mels[start : start + batch_size]]",
        )),
    Mistake(
        task="3.6", name="sorted by length",
        question="are they sorted by length? Their labels are not", replace=EVAL,
        by="    mels = sorted(mels, key=len)\n" + EVAL),
    Mistake(
        task="3.6", name="scores in place of speakers",
        question="the index of the highest score, or the score itself?",
        replace="model(mel, valid).argmax(dim=1)", by="model(mel, valid).amax(dim=1)"),
    Mistake(
        task="3.7", name="no copy", question="are the tensors cloned? state_dict() is not a copy",
        replace=CLONE, by="model.state_dict()"),
    Mistake(
        task="3.7", name="a shallow copy",
        question="are the tensors cloned? state_dict() is not a copy", replace=CLONE,
        by="dict(model.state_dict())"),
    Mistake(
        task="3.7", name="always the last",
        question="only a higher accuracy counts: is it compared with self.accuracy, and "
                 "remembered?",
        replace=BETTER, by="if True:"),
    Mistake(
        task="3.7", name="accuracy not remembered",
        question="only a higher accuracy counts: is it compared with self.accuracy, and "
                 "remembered?",
        replace="            self.accuracy = accuracy\n", by=""),
    Mistake(
        task="3.7", name="the last of equals",
        question="only a higher accuracy counts: is it compared with self.accuracy, and "
                 "remembered?",
        replace=BETTER, by=BETTER.replace(">", ">=")),
    Mistake(
        task="3.7", name="the first one",
        question="only an accuracy higher than the best so far counts", replace=BETTER,
        by="if self.state is None:"),
    Mistake(
        task="3.7", name="the kept tensors are handed out",
        question="are the kept tensors the model's own now? load_state_dict copies",
        replace="model.load_state_dict(self.state)",
        by="model.load_state_dict(self.state, assign=True)"),
    Mistake(
        task="3.7", name="the lowest accuracy", question="is higher better, or lower?",
        replace=BETTER, by=BETTER.replace(">", "<")),
    Mistake(
        task="3.8", name="a warm-up without an end",
        question="do the steps end before the warm-up? Take a tenth of them",
        replace=RECIPE, by=RECIPE.replace('"warmup_steps": 90', '"warmup_steps": 900')),
    Mistake(
        task="3.8", name="a name of its own",
        question="the names are those of the arguments of fit",
        replace=RECIPE, by=RECIPE.replace('"lr"', '"learning_rate"')),
    Mistake(
        task="3.8", name="nothing", question="is there a dictionary to return?",
        replace=RECIPE, by="pass"),
    Mistake(
        task="3.8", name="an enormous rate",
        question="is the learning rate of another size? See the steps", replace=RECIPE,
        by=RECIPE.replace("2e-3", "2.0")),
]
# fmt: on

ALTERNATIVES = {
    "torch's own padding, einsum, a loop, deepcopy": [
        (
            LENGTHS,
            "lengths = [mel.size(0) for mel in mels]\n"
            "    batch = nn.utils.rnn.pad_sequence(mels, batch_first=True, padding_value=padding)\n"
            "    ignored",
        ),
        (TOTAL, 'total = torch.einsum("btd,bt->bd", x, valid.to(x.dtype))'),
        (MEAN, "return total / valid.sum(1)[:, None].clamp(min=1)"),
        (CLONE, "copy.deepcopy(model.state_dict())"),
        (BETTER, f"import copy\n\n        {BETTER}"),
        (LOSS, "loss = nn.CrossEntropyLoss()(model(mel, valid), labels)"),
        (ZERO, "    for parameter in model.parameters():\n        parameter.grad = None\n"),
        ("    model.eval()\n", "    model.train(False)\n"),
        (
            "found.append(model(mel, valid).argmax(dim=1))",
            "found.extend(model(mel, valid).max(1)[1])",
        ),
        ("return torch.cat(found)", "return torch.stack(found)"),
        (FALL, "return torch.tensor(math.cos(math.pi * progress / 2) ** 2)"),
        (RECIPE, RECIPE.replace('"steps"', '"every": 50, "steps"')),
    ],
    "BatchNorm, three narrow layers, other names inside": [
        ("self.embed = nn.Linear(4 * 40, d_model)", "self.front = nn.Linear(160, d_model)"),
        ("x = self.embed(x)", "x = self.front(x)"),
        ("self.norm = nn.LayerNorm(d_model)", "self.level = nn.BatchNorm1d(d_model)"),
        (CLASSIFY, CLASSIFY.replace("norm", "level")),
        (WIDTH, "d_model=48, num_heads=3, d_ff=96, num_layers=3, dropout=0.0"),
    ],
    "one layer, and torch's own": [
        (
            LAYERS,
            "nn.ModuleList(\n            [nn.TransformerEncoderLayer(\n"
            "                d_model, num_heads, d_ff, dropout, batch_first=True)]\n        )",
        ),
        (LOOP, LOOP.replace("layer(x, valid)", "layer(x, src_key_padding_mask=~valid)")),
        (RECIPE, RECIPE.replace("900", "1200").replace("128", "200")),
    ],
    "attention that pools, as a module and written out": [
        (
            "self.norm = nn.LayerNorm(d_model)",
            "self.query = nn.Parameter(torch.randn(1, 1, d_model))\n"
            "        self.pool = nn.MultiheadAttention(d_model, 4, batch_first=True)\n"
            "        self.score = nn.Linear(d_model, 2)\n"
            "        self.end = nn.Sequential(nn.LayerNorm(3 * d_model), nn.Dropout(dropout))",
        ),
        (
            "self.classify = nn.Linear(d_model,",
            "self.classify = nn.Linear(3 * d_model,",
        ),
        (
            CLASSIFY,
            "query = self.query.expand(len(x), -1, -1)\n"
            "        pooled, _ = self.pool(query, x, x, key_padding_mask=~valid)\n"
            "        scores = self.score(x).masked_fill(~valid[..., None], -math.inf)\n"
            "        weighted = scores.softmax(dim=1).mT @ x\n"
            "        together = torch.cat([pooled, weighted], dim=1).flatten(1)\n"
            "        return self.classify(self.end(together))",
        ),
    ],
    "layers of one's own, without a module for attention; norms by hand": [
        (
            "class SpeakerClassifier(nn.Module):",
            """class Norm(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.gamma, self.beta = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width))

    def forward(self, x):
        x = (x - x.mean(-1, keepdim=True)) / (x.var(-1, keepdim=True) + 1e-5).sqrt()
        return self.gamma * x + self.beta


class MHSA(nn.Module):
    def __init__(self, width, heads, hidden):
        super().__init__()
        self.heads, self.norm = heads, Norm(width)
        self.maps, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.deep = nn.Sequential(Norm(width), nn.Linear(width, hidden), nn.GELU())
        self.back = nn.Linear(hidden, width)

    def forward(self, x, valid):
        B, T, D = x.shape
        q, k, v = self.maps(self.norm(x)).view(B, T, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=valid[:, None, None, :])
        x = x + self.out(y.transpose(1, 2).flatten(2))
        return x + self.back(self.deep(x))


class SpeakerClassifier(nn.Module):""",
        ),
        (LAYERS, "nn.ModuleList([MHSA(d_model, num_heads, d_ff) for _ in range(3)])"),
        ("self.norm = nn.LayerNorm(d_model)", "self.norm = Norm(d_model)"),
        (RECIPE, RECIPE.replace("900", "1000")),
    ],
}
