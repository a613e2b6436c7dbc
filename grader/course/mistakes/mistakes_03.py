"""Planted mistakes of assignment 3, and other right answers (name -> edits of our solution)."""

from grader.course.mistakes.mistake import Mistake

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

# fmt: off
MISTAKES = [
    Mistake(name="zeros as padding", check="3.1-collate-values", hint="not 0",
        replace="max(lengths), mels[0].shape[1]), padding)",
        by="max(lengths), mels[0].shape[1]), 0.0)"),
    Mistake(name="always the same padding", check="3.1-collate-values", hint="or always -20?",
        replace="max(lengths), mels[0].shape[1]), padding)",
        by="max(lengths), mels[0].shape[1]), -20.0)"),
    Mistake(name="padded at the beginning", check="3.1-collate-values", hint="not at the beginning",
        replace=COPY, by="row[-len(mel) :] = mel"),
    Mistake(name="mask upside down", check="3.1-collate-values", hint="True means real",
        replace=VALID, by=VALID.replace("<", ">=")),
    Mistake(name="mask by value", check="3.1-collate-takes-lengths-not-values",
        hint="silence in an utterance is real", replace=VALID,
        by="valid = ~(batch == padding).all(dim=2)"),
    Mistake(name="sorted by length", check="3.1-collate-values", hint="sorted by length?",
        replace=LENGTHS, by="mels = sorted(mels, key=len, reverse=True)\n    " + LENGTHS),
    Mistake(name="cut to the shortest", check="3.1-collate-values", hint="not the shortest",
        replace=LENGTHS, by="mels = [mel[: min(map(len, mels))] for mel in mels]\n    " + LENGTHS),
    Mistake(name="padding counted", check="3.2-pool-values", hint="left out", replace=TOTAL,
        by="return x.mean(dim=1)"),
    Mistake(name="divided by T", check="3.2-pool-values", hint="not of all", replace=MEAN,
        by="return total / x.shape[1]"),
    Mistake(name="not divided", check="3.2-pool-values", hint="divided by the number", replace=MEAN,
        by="return total"),
    Mistake(name="one number for the batch", check="3.2-pool-values", hint="its own number",
        replace=MEAN, by="return total / valid.sum()"),
    Mistake(name="padding in the sum", check="3.2-pool-values", hint="still in the sum",
        replace=TOTAL, by="total = x.sum(dim=1)"),
    Mistake(name="mean over features", check="3.2-pool-values", hint="axis 1", replace=TOTAL,
        by="return x.mean(dim=2)"),
    Mistake(name="begins at zero", check="3.3-schedule-values", hint="not 0", replace=RISE,
        by="return step / warmup_steps"),
    Mistake(name="peak a step late", check="3.3-schedule-values", hint="the peak is step W - 1",
        replace="peak, last = max(warmup_steps, 1) - 1, total_steps - 1",
        by="peak, last = warmup_steps, total_steps"),
    Mistake(name="end a step late", check="3.3-schedule-values", hint="the last step, S - 1",
        replace="peak, last = max(warmup_steps, 1) - 1, total_steps - 1",
        by="peak, last = max(warmup_steps, 1) - 1, total_steps"),
    Mistake(name="a line", check="3.3-schedule-values", hint="or a line?", replace=FALL,
        by="return 1 - progress"),
    Mistake(name="a whole cosine", check="3.3-schedule-values", hint="is it halved", replace=FALL,
        by="return math.cos(math.pi * progress)"),
    Mistake(name="no decay", check="3.3-schedule-values", hint="is there a decay", replace=FALL,
        by="return 1.0"),
    Mistake(name="cosine from step 0", check="3.3-schedule-values", hint="not at step 0",
        replace=PROGRESS, by="progress = step / total_steps"),
    Mistake(name="one layer, three times", check="3.4-model-layers-are-separate",
        hint="used again and again?", replace=LAYERS,
        by="nn.ModuleList([EncoderLayer(d_model, num_heads, d_ff, dropout)] * 3)"),
    Mistake(name="layers without the mask", check="3.4-model-ignores-padding", hint="get the mask?",
        replace=LOOP, by=LOOP.replace("x, valid", "x")),
    Mistake(name="padding pooled", check="3.4-model-ignores-padding", hint="get the mask?",
        replace=CLASSIFY, by="return self.classify(self.norm(x.mean(dim=1)))"),
    Mistake(name="norm not used", check="3.4-model-normalizes-before-classifying",
        hint="norm is there", replace=CLASSIFY, by="return self.classify(mean_pool(x, valid))"),
    Mistake(name="too wide", check="3.4-model-uses-few-tensors", hint="expected at most 499,999",
        replace=WIDTH, by=WIDTH.replace("64", "192").replace("128", "768")),
    Mistake(name="a softmax at the end", check="3.4-model-fits-the-budget",
        hint="is there a softmax?", replace=CLASSIFY, by=CLASSIFY + ".softmax(-1)"),
    Mistake(name="four layers", check="3.4-model-has-few-layers", hint="number of layers",
        replace=WIDTH, by=WIDTH.replace("num_layers=2", "num_layers=4")),
    Mistake(name="last layer not used", check="3.4-model-learns-everywhere", hint="used in forward",
        replace=LOOP, by=LOOP.replace("self.layers", "self.layers[:-1]")),
    Mistake(name="a weight in no parameter", check="3.4-model-uses-few-tensors",
        hint="that no module declares", replace=CLASSIFY,
        by="return self.classify(self.norm(mean_pool(x, valid))) + 0 * TABLE.sum()",
        also=(("def stack_frames(mel, valid, factor=4):",
            "TABLE = torch.zeros(800, 800)\n\n\ndef stack_frames(mel, valid, factor=4):"),)),
    Mistake(name="gradients not cleared", check="3.5-step-values", hint="are they cleared?",
        replace=ZERO, by=""),
    Mistake(name="a softmax too many", check="3.5-step-values", hint="a softmax before it?",
        replace=LOSS, by=LOSS.replace("model(mel, valid)", "model(mel, valid).softmax(dim=1)")),
    Mistake(name="no step", check="3.5-step-values", hint="weights are unchanged", replace=STEP,
        by="    loss.backward()\n"),
    Mistake(name="a sum", check="3.5-step-values", hint="not the sum", replace=LOSS,
        by=LOSS.replace("labels)", 'labels, reduction="sum")')),
    Mistake(name="cleared after backward", check="3.5-step-values", hint="weights are unchanged",
        replace=ZERO, by="",
        also=((STEP, "    loss.backward()\n    optimizer.zero_grad()\n    optimizer.step()\n"),)),
    Mistake(name="evaluation mode", check="3.5-step-trains-and-tells", hint="model.train()?",
        replace=f"    model.train()\n{ZERO}", by=ZERO),
    Mistake(name="a tensor as loss", check="3.5-step-trains-and-tells", hint="loss.item()",
        replace="return loss.item()", by="return loss"),
    Mistake(name="training mode", check="3.6-predict-evaluates", hint="model.eval()?", replace=EVAL,
        by="    found = []"),
    Mistake(name="gradients collected", check="3.6-predict-evaluates", hint="no_grad()",
        replace="with torch.no_grad():\n        #: Collate",
        by="with torch.enable_grad():\n        #: Collate"),
    Mistake(name="last batch left out", check="3.6-predict-whole-utterances",
        hint="smaller batch left out?", replace=BATCHES,
        by="for start in range(0, len(mels) // batch_size * batch_size, batch_size):"),
    Mistake(name="crops", check="3.6-predict-whole-utterances", hint="not crops", replace=PART,
        by=PART.replace(
        "mels[start : start + batch_size]",
        "[mel[:128] for mel in mels[start : start + batch_size]]",
        )),
    Mistake(name="sorted by length", check="3.6-predict-whole-utterances", hint="sorted by length?",
        replace=EVAL, by="    mels = sorted(mels, key=len)\n" + EVAL),
    Mistake(name="no copy", check="3.7-best-by-hand", hint="cloned?", replace=CLONE,
        by="model.state_dict()"),
    Mistake(name="a shallow copy", check="3.7-best-of-many", hint="cloned?", replace=CLONE,
        by="dict(model.state_dict())"),
    Mistake(name="always the last", check="3.7-best-by-hand", hint="remembered", replace=BETTER,
        by="if True:"),
    Mistake(name="accuracy not remembered", check="3.7-best-by-hand", hint="remembered",
        replace="            self.accuracy = accuracy\n", by=""),
    Mistake(name="the last of equals", check="3.7-best-of-many", hint="only a higher accuracy",
        replace=BETTER, by=BETTER.replace(">", ">=")),
    Mistake(name="the first one", check="3.7-best-by-hand", hint="higher than the best so far",
        replace=BETTER, by="if self.state is None:"),
    Mistake(name="the kept tensors are handed out", check="3.7-best-stays",
        hint="load_state_dict copies", replace="model.load_state_dict(self.state)",
        by="model.load_state_dict(self.state, assign=True)"),
    Mistake(name="a warm-up without an end", check="3.8-recipe", hint="a tenth of the steps?",
        replace=RECIPE, by=RECIPE.replace('"warmup_steps": 90', '"warmup_steps": 900')),
    Mistake(name="a name of its own", check="3.8-recipe", hint="names in recipe()", replace=RECIPE,
        by=RECIPE.replace('"lr"', '"learning_rate"')),
    Mistake(name="nothing", check="3.8-recipe", hint="arguments of fit", replace=RECIPE, by="pass"),
    Mistake(name="an enormous rate", check="3.8-recipe", hint="lr is", replace=RECIPE,
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
