"""Planted mistakes of assignment 5, and other right answers (name -> edits of our solution)."""

from grader.course.mistakes.mistake import Mistake

SHRINK = "bands, frames = (bands - 1) // stride + 1, (frames - 1) // stride + 1"
PLUS_ONE = "return bands * frames + 1"
BYTES = "return 4 * batch_size * num_layers * num_heads * num_tokens**2"
ONE_MAP = "x = mel.mT[:, None]"
FIRST = "x = self.norm1(self.conv1(x)).relu()"
SECOND = "x = self.norm2(self.conv2(x)).relu()"
ORDER = "x = x.permute(0, 3, 2, 1)"
JOIN = "return x.flatten(2) if self.columns else x.flatten(1, 2)"
CONV2 = "self.conv2 = nn.Conv2d(first, second, 3, stride=strides[1], padding=1)"
TOKEN = "self.token = nn.Parameter(0.02 * torch.randn(d_model))"
PLACES = "0.02 * torch.randn(num_tokens + 1, d_model)"
FRONT = "x = torch.cat([self.token.expand(len(x), 1, -1), x], dim=1)"
ADDED = "return x if self.positions is None else x + self.positions"
PROBE = """with torch.no_grad():
            num_tokens, width = self.stem.eval()(torch.zeros(1, FRAMES, N_MELS)).shape[1:]
        self.stem.train()
"""
LOOP = """        for layer in self.layers:
            x = layer(x)
"""
ANSWER = "return self.classify(x[:, 0])"
LAYERS = """nn.ModuleList(
            EncoderLayer(d_model, num_heads, d_ff, dropout=0.0) for _ in range(num_layers)
        )"""
SUM_STEM = "stem = 9 * first + first + 2 * first + 9 * first * second + second + 2 * second"
SUM_TOKENS = "tokens = second * d_model + d_model + d_model"
SUM_LAYERS = "layers = num_layers * ("
TOTAL = "return stem + tokens + layers + num_classes * (d_model + 1)"
RECIPE = '{"steps": 1000, "batch_size": 32, "lr": 1e-3, "warmup_steps": 100}'
SMALL = """        d_model=64,
        num_heads=4,
        d_ff=128,
        num_layers=2,
"""
PAIRS = "pairs = labels * num_classes + predicted"
COUNTED = "return torch.bincount(pairs, minlength=num_classes**2).reshape(num_classes, num_classes)"
SURE = "confidence, guess = probabilities.max(dim=1)"
UNSURE = "return guess.masked_fill(confidence < threshold, unknown)"
BARE = 'label = label_names[row].strip("_")'
KNOWN = 'table[name] = label if label in allowed else "unknown"'

NEED_WEIGHTS = ("5.6-accuracy",)

# fmt: off
MISTAKES = [
    Mistake(name="no cls token", check="5.1-tokens-by-hand", hint="cls token counted?",
        replace=PLUS_ONE, by="return bands * frames"),
    Mistake(name="rounded down", check="5.1-tokens-of-any-stem", hint="incomplete step counts",
        replace=SHRINK, by="bands, frames = bands // stride, frames // stride"),
    Mistake(name="four bytes forgotten", check="5.1-memory-of-attention", hint="4 bytes",
        replace=BYTES, by=BYTES.replace("4 * ", "")),
    Mistake(name="not squared", check="5.1-memory-of-attention", hint="attends to every token",
        replace=BYTES, by=BYTES.replace("**2", "")),
    Mistake(name="one head", check="5.1-memory-of-attention", hint="each head", replace=BYTES,
        by=BYTES.replace(" * num_heads", "")),
    Mistake(name="bands first", check="5.2-points", hint="time comes first", replace=ORDER,
        by="x = x.permute(0, 2, 3, 1)"),
    Mistake(name="frames as rows", check="5.2-points", hint="bands are the rows", replace=ONE_MAP,
        by="x = mel[:, None]", also=((ORDER, "x = x.permute(0, 2, 3, 1)"),)),
    Mistake(name="no batch norm", check="5.2-points", hint="batch norm after each", replace=FIRST,
        by="x = self.conv1(x).relu()", also=((SECOND, "x = self.conv2(x).relu()"),)),
    Mistake(name="no ReLU", check="5.2-points", hint="ReLU after each", replace=FIRST,
        by=FIRST.replace(".relu()", ""), also=((SECOND, SECOND.replace(".relu()", "")),)),
    Mistake(name="ReLU first", check="5.2-points", hint="first the batch norm", replace=FIRST,
        by="x = self.norm1(self.conv1(x).relu())",
        also=((SECOND, "x = self.norm2(self.conv2(x).relu())"),)),
    Mistake(name="channels first in a column", check="5.2-columns", hint="each with its channels",
        replace=JOIN, by="return x.mT.flatten(2) if self.columns else x.flatten(1, 2)"),
    Mistake(name="no bias", check="5.2-stem-parameters", hint="number of parameters", replace=CONV2,
        by=CONV2.replace("padding=1", "padding=1, bias=False")),
    Mistake(name="the token comes last", check="5.3-token-by-hand", hint="not last", replace=FRONT,
        by="x = torch.cat([x, self.token.expand(len(x), 1, -1)], dim=1)"),
    Mistake(name="a constant token", check="5.3-token-parameters", hint="an nn.Parameter?",
        replace=TOKEN, by='self.register_buffer("token", 0.02 * torch.randn(d_model))'),
    Mistake(name="positions not added", check="5.3-token-and-positions", hint="positions added?",
        replace=ADDED, by="return x"),
    Mistake(name="no position for the token", check="5.3-token-parameters",
        hint="has a position, too", replace=f"{FRONT}\n", by="pass\n",
        also=((PLACES, "0.02 * torch.randn(num_tokens, d_model)"), (ADDED,
            "x = x if self.positions is None else x + self.positions\n"
        "        return torch.cat([self.token.expand(len(x), 1, -1), x], dim=1)"),)),
    Mistake(name="zeros", check="5.3-token-parameters", hint="start equal", replace=PLACES,
        by="torch.zeros(num_tokens + 1, d_model)"),
    Mistake(name="the mean is classified", check="5.4-transformer-chains-its-parts",
        hint="not the mean", replace=ANSWER, by="return self.classify(x.mean(dim=1))"),
    Mistake(name="the last token is classified", check="5.4-transformer-chains-its-parts",
        hint="which one is classified?", replace=ANSWER, by="return self.classify(x[:, -1])"),
    Mistake(name="one layer, used several times", check="5.4-layers-are-independent",
        hint="used several times?", replace=LAYERS,
        by="nn.ModuleList([EncoderLayer(d_model, num_heads, d_ff, dropout=0.0)] * num_layers)"),
    Mistake(name="a plain list", check="5.4-layers-are-independent", hint="nn.ModuleList?",
        replace=LAYERS, by=LAYERS.replace("nn.ModuleList", "list")),
    Mistake(name="one layer too few", check="5.4-transformer-chains-its-parts", hint="expected 3",
        replace=LOOP, by=LOOP.replace("self.layers", "self.layers[:-1]")),
    Mistake(name="clips as a sequence", check="5.4-transformer-chains-its-parts",
        hint="are axes swapped?", replace=LOOP,
        by=LOOP.replace("x = layer(x)", "x = layer(x.transpose(0, 1)).transpose(0, 1)")),
    Mistake(name="compared with the other clips", check="5.4-clips-are-independent",
        hint="mixes clips?", replace=ANSWER,
        by="return self.classify(x[:, 0] - x[:, 0].mean(dim=0))"),
    Mistake(name="no cls token", check="5.5-count-for-any-size", hint="cls token counted?",
        replace=SUM_TOKENS, by="tokens = second * d_model + d_model"),
    Mistake(name="no batch norms", check="5.5-count-for-any-size", hint="batch norms counted",
        replace=SUM_STEM, by="stem = 9 * first + first + 9 * first * second + second"),
    Mistake(name="one layer", check="5.5-count-for-any-size", hint="every layer counted?",
        replace=SUM_LAYERS, by="layers = ("),
    Mistake(name="twelve classes always", check="5.5-count-for-other-classes",
        hint="number of classes occur", replace=TOTAL, by=TOTAL.replace("num_classes", "12")),
    Mistake(name="no warm-up", check="5.6-recipe", hint="a tenth of the steps?", replace=RECIPE,
        by=RECIPE.replace('"warmup_steps": 100', '"warmup_steps": 0')),
    Mistake(name="a rate of ten", check="5.6-recipe", hint="lr is 10", replace=RECIPE,
        by=RECIPE.replace("1e-3", "10")),
    Mistake(name="a large model", check="5.6-small-model-learns", hint="expected at most 500,000",
        replace=SMALL, by="        d_model=256,\n"),
    Mistake(name="another name", check="5.6-recipe", hint="names in recipe()", replace=RECIPE,
        by=RECIPE.replace('"lr"', '"learning_rate"')),
    Mistake(name="rows and columns exchanged", check="5.7-confusion-counts",
        hint="rows are the true classes", replace=PAIRS,
        by="pairs = predicted * num_classes + labels"),
    Mistake(name="absent classes lost", check="5.7-confusion-of-absent-classes",
        hint="expected (C, C)", replace=COUNTED,
        by="size = int(max(predicted.max(), labels.max())) + 1\n"
        "    counts = torch.bincount(labels * size + predicted, minlength=size**2)\n"
        "    return counts.reshape(size, size)"),
    Mistake(name="twice counts once", check="5.7-confusion-counts", hint="twice counts twice",
        replace=COUNTED, by="matrix = torch.zeros(num_classes, num_classes).long()\n"
        "    matrix[labels, predicted] += 1\n    return matrix"),
    Mistake(name="upside down", check="5.8-threshold-values", hint="not above it", replace=UNSURE,
        by=UNSURE.replace("<", ">=")),
    Mistake(name="no threshold", check="5.8-threshold-values", hint="is the threshold used?",
        replace=UNSURE, by="return guess"),
    Mistake(name="minus one", check="5.8-threshold-values", hint="class is unknown?",
        replace=UNSURE, by=UNSURE.replace("unknown)", "-1)")),
    Mistake(name="the probability", check="5.8-threshold-values", hint="not its probability",
        replace=SURE,
        by="confidence, guess = probabilities.max(dim=1).values, probabilities.max(dim=1).values"),
    Mistake(name="with underscores", check="5.9-table-by-hand", hint="without the underscores",
        replace=BARE, by="label = label_names[row]", also=((KNOWN, "table[name] = label"),)),
    Mistake(name="every word", check="5.9-table-of-every-word", hint="does not know every word",
        replace=KNOWN, by="table[name] = label"),
    Mistake(name="silence is unknown", check="5.9-table-of-every-word", hint="expected 'silence'",
        replace='allowed = {"silence", ', by="allowed = {"),
]
# fmt: on

ALTERNATIVES = {
    "one clip at a time, into zeros of the default dtype": [
        (
            "return x.flatten(2) if self.columns else x.flatten(1, 2)",
            "x = x.flatten(2) if self.columns else x.flatten(1, 2)\n"
            "        y = torch.zeros(x.shape)\n        for b in range(len(x)):\n"
            "            y[b] = x[b]\n        return y",
        ),
    ],
    "the parts of the stem in a sequence, tokens by other means": [
        (
            "bands, frames = (bands - 1) // stride + 1, (frames - 1) // stride + 1",
            "bands, frames = -(-bands // stride), -(-frames // stride)",
        ),
        (
            "self.conv1 = nn.Conv2d(1, first, 3, stride=strides[0], padding=1)\n"
            "        self.norm1 = nn.BatchNorm2d(first)\n",
            "self.all = nn.Sequential(\n"
            "            nn.Conv2d(1, first, 3, strides[0], 1), nn.BatchNorm2d(first), nn.ReLU(),\n"
            "            nn.Conv2d(first, second, 3, strides[1], 1), nn.BatchNorm2d(second),\n"
            "            nn.ReLU(),\n"
            "        )\n",
        ),
        (f"        {CONV2}\n        self.norm2 = nn.BatchNorm2d(second)\n", ""),
        (FIRST, "x = self.all(x)"),
        (SECOND, ""),
        (ONE_MAP, "x = mel.transpose(1, 2).unsqueeze(1)"),
        (TOKEN, "self.token = nn.Parameter(torch.randn(1, 1, d_model) * 0.02)"),
        (FRONT, "x = torch.cat([self.token.repeat(x.shape[0], 1, 1), x], 1)"),
        (
            LAYERS,
            "nn.Sequential()\n        for _ in range(num_layers):\n"
            "            self.layers.append(EncoderLayer(d_model, num_heads, d_ff, 0.0))",
        ),
        (LOOP, "        x = self.layers(x)\n"),
        (
            COUNTED,
            "one = torch.nn.functional.one_hot\n"
            "    return one(labels, num_classes).T @ one(predicted, num_classes)",
        ),
        (UNSURE, "return torch.where(confidence >= threshold, guess, unknown)"),
    ],
    "the number of tokens from section 5.1, a matrix counted in a loop": [
        (
            PROBE,
            "num_tokens, width = count_tokens(N_MELS, FRAMES, strides) - 1, channels[1]\n"
            "        if columns:\n"
            "            bands = count_tokens(N_MELS, 1, strides) - 1\n"
            "            num_tokens, width = num_tokens // bands, width * bands\n",
        ),
        (
            COUNTED,
            "matrix = torch.zeros(num_classes, num_classes, dtype=torch.long)\n"
            "    for label, guess in zip(labels, predicted):\n"
            "        matrix[label, guess] += 1\n    return matrix",
        ),
        (SURE, "guess = probabilities.argmax(1)\n    confidence = probabilities.amax(1)"),
        (UNSURE, "guess[confidence < threshold] = unknown\n    return guess"),
        (BARE, 'label = label_names[row].replace("_", "")'),
        (SUM_LAYERS, "layers = float(num_layers) * ("),
    ],
}
