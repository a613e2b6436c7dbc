"""Planted mistakes of assignment 3, and other right answers: as in `mistakes_02.py`."""

NEED_WEIGHTS = ("3.8-accuracy", "3.8-trained-model-ignores-padding")

VALID = "valid = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]"
COPY = "row[: len(mel)] = mel"
LENGTHS = "lengths = [len(mel) for mel in mels]\n    batch"
TOTAL = "total = x.masked_fill(~valid[..., None], 0).sum(dim=1)"
MEAN = "return total / valid.sum(dim=1, keepdim=True)"
RISE = "return (step + 1) / warmup_steps"
PROGRESS = "progress = min(1.0, (step - peak) / max(last - peak, 1))"
FALL = "return 0.5 * (1 + math.cos(math.pi * progress))"
LAYERS = """nn.ModuleList(
            EncoderLayer(d_model, num_heads, d_ff, dropout, norm_first=True)
            for _ in range(num_layers)
        )"""
LOOP = """        for layer in self.layers:
            x = layer(x, valid)
        #: Pool"""
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

MISTAKES = [
    (
        "3.1",
        "zeros as padding",
        "max(lengths), mels[0].shape[1]), padding)",
        "max(lengths), mels[0].shape[1]), 0.0)",
        "3.1-collate-values",
        "not 0",
    ),
    (
        "3.1",
        "always the same padding",
        "max(lengths), mels[0].shape[1]), padding)",
        "max(lengths), mels[0].shape[1]), -20.0)",
        "3.1-collate-values",
        "or always -20?",
    ),
    (
        "3.1",
        "padded at the beginning",
        COPY,
        "row[-len(mel) :] = mel",
        "3.1-collate-values",
        "not at the beginning",
    ),
    (
        "3.1",
        "mask upside down",
        VALID,
        VALID.replace("<", ">="),
        "3.1-collate-values",
        "True means real",
    ),
    (
        "3.1",
        "mask by value",
        VALID,
        "valid = ~(batch == padding).all(dim=2)",
        "3.1-collate-takes-lengths-not-values",
        "silence in an utterance is real",
    ),
    (
        "3.1",
        "sorted by length",
        LENGTHS,
        "mels = sorted(mels, key=len, reverse=True)\n    " + LENGTHS,
        "3.1-collate-values",
        "sorted by length?",
    ),
    (
        "3.1",
        "cut to the shortest",
        LENGTHS,
        "mels = [mel[: min(map(len, mels))] for mel in mels]\n    " + LENGTHS,
        "3.1-collate-values",
        "not the shortest",
    ),
    ("3.2", "padding counted", TOTAL, "return x.mean(dim=1)", "3.2-pool-values", "left out"),
    ("3.2", "divided by T", MEAN, "return total / x.shape[1]", "3.2-pool-values", "not of all"),
    ("3.2", "not divided", MEAN, "return total", "3.2-pool-values", "divided by a number"),
    (
        "3.2",
        "one number for the batch",
        MEAN,
        "return total / valid.sum()",
        "3.2-pool-values",
        "its own number",
    ),
    (
        "3.2",
        "padding in the sum",
        TOTAL,
        "total = x.sum(dim=1)",
        "3.2-pool-values",
        "still in the sum",
    ),
    ("3.2", "mean over features", TOTAL, "return x.mean(dim=2)", "3.2-pool-values", "axis 1"),
    ("3.3", "begins at zero", RISE, "return step / warmup_steps", "3.3-schedule-values", "not 0"),
    (
        "3.3",
        "peak a step late",
        "peak, last = max(warmup_steps, 1) - 1, total_steps - 1",
        "peak, last = warmup_steps, total_steps",
        "3.3-schedule-values",
        "the peak is step W - 1",
    ),
    (
        "3.3",
        "end a step late",
        "peak, last = max(warmup_steps, 1) - 1, total_steps - 1",
        "peak, last = max(warmup_steps, 1) - 1, total_steps",
        "3.3-schedule-values",
        "the last step, S - 1",
    ),
    ("3.3", "a line", FALL, "return 1 - progress", "3.3-schedule-values", "along a line?"),
    (
        "3.3",
        "a whole cosine",
        FALL,
        "return math.cos(math.pi * progress)",
        "3.3-schedule-values",
        "is it halved",
    ),
    ("3.3", "no fall", FALL, "return 1.0", "3.3-schedule-values", "does it fall at all"),
    (
        "3.3",
        "cosine from step 0",
        PROGRESS,
        "progress = step / total_steps",
        "3.3-schedule-values",
        "not at step 0",
    ),
    (
        "3.4",
        "one layer, three times",
        LAYERS,
        "nn.ModuleList([EncoderLayer(d_model, num_heads, d_ff, dropout)] * 3)",
        "3.4-model-layers-are-separate",
        "used again and again?",
    ),
    (
        "3.4",
        "layers without the mask",
        LOOP,
        LOOP.replace("x, valid", "x"),
        "3.4-model-ignores-padding",
        "get the mask?",
    ),
    (
        "3.4",
        "padding pooled",
        CLASSIFY,
        "return self.classify(self.norm(x.mean(dim=1)))",
        "3.4-model-ignores-padding",
        "get the mask?",
    ),
    (
        "3.4",
        "norm not used",
        CLASSIFY,
        "return self.classify(mean_pool(x, valid))",
        "3.4-model-normalizes-before-classifying",
        "norm is there",
    ),
    (
        "3.4",
        "too wide",
        WIDTH,
        WIDTH.replace("64", "192").replace("128", "768"),
        "3.4-model-uses-few-tensors",
        "expected at most 499,999",
    ),
    (
        "3.4",
        "a softmax at the end",
        CLASSIFY,
        CLASSIFY + ".softmax(-1)",
        "3.4-model-fits-the-budget",
        "is there a softmax?",
    ),
    (
        "3.4",
        "four layers",
        WIDTH,
        WIDTH.replace("num_layers=2", "num_layers=4"),
        "3.4-model-has-few-layers",
        "number of layers",
    ),
    (
        "3.4",
        "last layer not used",
        LOOP,
        LOOP.replace("self.layers", "self.layers[:-1]"),
        "3.4-model-learns-everywhere",
        "used in forward",
    ),
    (
        "3.4",
        "a weight in no parameter",
        CLASSIFY,
        "return self.classify(self.norm(mean_pool(x, valid))) + 0 * TABLE.sum()",
        "3.4-model-uses-few-tensors",
        "that no module declares",
        (
            "def stack_frames(mel, valid, factor=4):",
            "TABLE = torch.zeros(800, 800)\n\n\ndef stack_frames(mel, valid, factor=4):",
        ),
    ),
    ("3.5", "gradients add up", ZERO, "", "3.5-step-values", "who clears them?"),
    (
        "3.5",
        "a softmax too many",
        LOSS,
        LOSS.replace("model(mel, valid)", "model(mel, valid).softmax(dim=1)"),
        "3.5-step-values",
        "softmax too many?",
    ),
    ("3.5", "no step", STEP, "    loss.backward()\n", "3.5-step-values", "nothing moved"),
    (
        "3.5",
        "a sum",
        LOSS,
        LOSS.replace("labels)", 'labels, reduction="sum")'),
        "3.5-step-values",
        "not the sum",
    ),
    (
        "3.5",
        "cleared after backward",
        ZERO,
        "",
        "3.5-step-values",
        "nothing moved",
        (STEP, "    loss.backward()\n    optimizer.zero_grad()\n    optimizer.step()\n"),
    ),
    (
        "3.5",
        "evaluation mode",
        f"    model.train()\n{ZERO}",
        ZERO,
        "3.5-step-trains-and-tells",
        "model.train()?",
    ),
    (
        "3.5",
        "a tensor as loss",
        "return loss.item()",
        "return loss",
        "3.5-step-trains-and-tells",
        "loss.item()",
    ),
    (
        "3.6",
        "training mode",
        EVAL,
        "    found = []",
        "3.6-predict-evaluates",
        "model.eval()?",
    ),
    (
        "3.6",
        "gradients collected",
        "with torch.no_grad():\n        #: Collate",
        "with torch.enable_grad():\n        #: Collate",
        "3.6-predict-evaluates",
        "no_grad()",
    ),
    (
        "3.6",
        "last batch left out",
        BATCHES,
        "for start in range(0, len(mels) // batch_size * batch_size, batch_size):",
        "3.6-predict-whole-utterances",
        "smaller batch left out?",
    ),
    (
        "3.6",
        "crops",
        PART,
        PART.replace(
            "mels[start : start + batch_size]",
            "[mel[:128] for mel in mels[start : start + batch_size]]",
        ),
        "3.6-predict-whole-utterances",
        "not crops",
    ),
    (
        "3.6",
        "sorted by length",
        EVAL,
        "    mels = sorted(mels, key=len)\n" + EVAL,
        "3.6-predict-whole-utterances",
        "sorted by length?",
    ),
    ("3.7", "no copy", CLONE, "model.state_dict()", "3.7-best-by-hand", "cloned?"),
    (
        "3.7",
        "a shallow copy",
        CLONE,
        "dict(model.state_dict())",
        "3.7-best-of-many",
        "cloned?",
    ),
    ("3.7", "always the last", BETTER, "if True:", "3.7-best-by-hand", "remembered"),
    (
        "3.7",
        "accuracy not remembered",
        "            self.accuracy = accuracy\n",
        "",
        "3.7-best-by-hand",
        "remembered",
    ),
    (
        "3.7",
        "the last of equals",
        BETTER,
        BETTER.replace(">", ">="),
        "3.7-best-of-many",
        "only a higher accuracy",
    ),
    (
        "3.7",
        "the first one",
        BETTER,
        "if self.state is None:",
        "3.7-best-by-hand",
        "higher than the best so far",
    ),
    (
        "3.7",
        "the kept tensors are handed out",
        "model.load_state_dict(self.state)",
        "model.load_state_dict(self.state, assign=True)",
        "3.7-best-stays",
        "load_state_dict copies",
    ),
    (
        "3.8",
        "a warm-up without an end",
        RECIPE,
        RECIPE.replace('"warmup_steps": 90', '"warmup_steps": 900'),
        "3.8-recipe",
        "a tenth of the steps?",
    ),
    (
        "3.8",
        "a name of its own",
        RECIPE,
        RECIPE.replace('"lr"', '"learning_rate"'),
        "3.8-recipe",
        "names in recipe()",
    ),
    ("3.8", "nothing", RECIPE, "pass", "3.8-recipe", "arguments of fit"),
    ("3.8", "an enormous rate", RECIPE, RECIPE.replace("2e-3", "2.0"), "3.8-recipe", "lr is"),
]

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
        (CLONE, "__import__('copy').deepcopy(model.state_dict())"),
        (LOSS, "loss = nn.CrossEntropyLoss()(model(mel, valid), labels)"),
        (ZERO, "    for parameter in model.parameters():\n        parameter.grad = None\n"),
        ("    model.eval()\n", "    model.train(False)\n"),
        (
            "found.append(model(mel, valid).argmax(dim=1))",
            "found.extend(model(mel, valid).max(1)[1])",
        ),
        ("return torch.cat(found)", "return torch.stack(found)"),
        (FALL, "return math.cos(math.pi * progress / 2) ** 2"),
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
}
