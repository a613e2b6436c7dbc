"""Planted mistakes of assignment 5, and other right answers, as edits of our solution.

A mistake: its task, a name, what to replace by what, the check that must name it, and words of the
hint (or, where there is none, of the fact). An alternative: a name and its edits.
"""

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
ADDED = "return x if self.places is None else x + self.places"
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

MISTAKES = [
    (
        "5.1",
        "no cls token",
        PLUS_ONE,
        "return bands * frames",
        "5.1-tokens-by-hand",
        "cls token counted?",
    ),
    (
        "5.1",
        "rounded down",
        SHRINK,
        "bands, frames = bands // stride, frames // stride",
        "5.1-tokens-of-any-stem",
        "incomplete step counts",
    ),
    (
        "5.1",
        "four bytes forgotten",
        BYTES,
        BYTES.replace("4 * ", ""),
        "5.1-memory-of-attention",
        "4 bytes",
    ),
    (
        "5.1",
        "not squared",
        BYTES,
        BYTES.replace("**2", ""),
        "5.1-memory-of-attention",
        "attends to every token",
    ),
    (
        "5.1",
        "one head",
        BYTES,
        BYTES.replace(" * num_heads", ""),
        "5.1-memory-of-attention",
        "each head",
    ),
    (
        "5.2",
        "bands first",
        ORDER,
        "x = x.permute(0, 2, 3, 1)",
        "5.2-points",
        "time comes first",
    ),
    (
        "5.2",
        "frames as rows",
        ONE_MAP,
        "x = mel[:, None]",
        "5.2-points",
        "bands are the rows",
        (ORDER, "x = x.permute(0, 2, 3, 1)"),
    ),
    (
        "5.2",
        "no batch norm",
        FIRST,
        "x = self.conv1(x).relu()",
        "5.2-points",
        "batch norm after each",
        (SECOND, "x = self.conv2(x).relu()"),
    ),
    (
        "5.2",
        "no ReLU",
        FIRST,
        FIRST.replace(".relu()", ""),
        "5.2-points",
        "ReLU after each",
        (SECOND, SECOND.replace(".relu()", "")),
    ),
    (
        "5.2",
        "ReLU first",
        FIRST,
        "x = self.norm1(self.conv1(x).relu())",
        "5.2-points",
        "first the batch norm",
        (SECOND, "x = self.norm2(self.conv2(x).relu())"),
    ),
    (
        "5.2",
        "channels first in a column",
        JOIN,
        "return x.mT.flatten(2) if self.columns else x.flatten(1, 2)",
        "5.2-columns",
        "each with its channels",
    ),
    (
        "5.2",
        "no bias",
        CONV2,
        CONV2.replace("padding=1", "padding=1, bias=False"),
        "5.2-stem-parameters",
        "number of parameters",
    ),
    (
        "5.3",
        "behind",
        FRONT,
        "x = torch.cat([x, self.token.expand(len(x), 1, -1)], dim=1)",
        "5.3-token-by-hand",
        "not behind",
    ),
    (
        "5.3",
        "a constant token",
        TOKEN,
        'self.register_buffer("token", 0.02 * torch.randn(d_model))',
        "5.3-token-parameters",
        "an nn.Parameter?",
    ),
    (
        "5.3",
        "positions not added",
        ADDED,
        "return x",
        "5.3-token-and-positions",
        "positions added?",
    ),
    (
        "5.3",
        "no place for the token",
        f"{FRONT}\n",
        "pass\n",
        "5.3-token-parameters",
        "has a place, too",
        (PLACES, "0.02 * torch.randn(num_tokens, d_model)"),
        (
            ADDED,
            "x = x if self.places is None else x + self.places\n"
            "        return torch.cat([self.token.expand(len(x), 1, -1), x], dim=1)",
        ),
    ),
    (
        "5.3",
        "zeros",
        PLACES,
        "torch.zeros(num_tokens + 1, d_model)",
        "5.3-token-parameters",
        "start equal",
    ),
    (
        "5.4",
        "the mean answers",
        ANSWER,
        "return self.classify(x.mean(dim=1))",
        "5.4-transformer-chains-its-parts",
        "not the mean",
    ),
    (
        "5.4",
        "the last token answers",
        ANSWER,
        "return self.classify(x[:, -1])",
        "5.4-transformer-chains-its-parts",
        "which one answered?",
    ),
    (
        "5.4",
        "one layer, again and again",
        LAYERS,
        "nn.ModuleList([EncoderLayer(d_model, num_heads, d_ff, dropout=0.0)] * num_layers)",
        "5.4-layers-are-independent",
        "again and again?",
    ),
    (
        "5.4",
        "a plain list",
        LAYERS,
        LAYERS.replace("nn.ModuleList", "list"),
        "5.4-layers-are-independent",
        "nn.ModuleList?",
    ),
    (
        "5.4",
        "one layer too few",
        LOOP,
        LOOP.replace("self.layers", "self.layers[:-1]"),
        "5.4-transformer-chains-its-parts",
        "expected 3",
    ),
    (
        "5.4",
        "clips as a sequence",
        LOOP,
        LOOP.replace("x = layer(x)", "x = layer(x.transpose(0, 1)).transpose(0, 1)"),
        "5.4-transformer-chains-its-parts",
        "are axes swapped?",
    ),
    (
        "5.4",
        "compared with the other clips",
        ANSWER,
        "return self.classify(x[:, 0] - x[:, 0].mean(dim=0))",
        "5.4-clips-do-not-hear-each-other",
        "mixes clips?",
    ),
    (
        "5.5",
        "no cls token",
        SUM_TOKENS,
        "tokens = second * d_model + d_model",
        "5.5-count-for-any-size",
        "cls token counted?",
    ),
    (
        "5.5",
        "no batch norms",
        SUM_STEM,
        "stem = 9 * first + first + 9 * first * second + second",
        "5.5-count-for-any-size",
        "batch norms counted",
    ),
    (
        "5.5",
        "one layer",
        SUM_LAYERS,
        "layers = (",
        "5.5-count-for-any-size",
        "every layer counted?",
    ),
    (
        "5.5",
        "twelve classes always",
        TOTAL,
        TOTAL.replace("num_classes", "12"),
        "5.5-count-for-other-classes",
        "number of classes occur",
    ),
    (
        "5.6",
        "no warm-up",
        RECIPE,
        RECIPE.replace('"warmup_steps": 100', '"warmup_steps": 0'),
        "5.6-recipe",
        "a tenth of the steps?",
    ),
    (
        "5.6",
        "a rate of ten",
        RECIPE,
        RECIPE.replace("1e-3", "10"),
        "5.6-recipe",
        "lr is 10",
    ),
    (
        "5.6",
        "a large model",
        SMALL,
        "        d_model=256,\n",
        "5.6-small-model-learns",
        "expected at most 500,000",
    ),
    (
        "5.6",
        "another name",
        RECIPE,
        RECIPE.replace('"lr"', '"learning_rate"'),
        "5.6-recipe",
        "names in recipe()",
    ),
    (
        "5.7",
        "rows and columns exchanged",
        PAIRS,
        "pairs = predicted * num_classes + labels",
        "5.7-confusion-counts",
        "rows are the true classes",
    ),
    (
        "5.7",
        "absent classes lost",
        COUNTED,
        "size = int(max(predicted.max(), labels.max())) + 1\n"
        "    counts = torch.bincount(labels * size + predicted, minlength=size**2)\n"
        "    return counts.reshape(size, size)",
        "5.7-confusion-of-absent-classes",
        "expected (C, C)",
    ),
    (
        "5.7",
        "twice counts once",
        COUNTED,
        "matrix = torch.zeros(num_classes, num_classes).long()\n"
        "    matrix[labels, predicted] += 1\n    return matrix",
        "5.7-confusion-counts",
        "twice counts twice",
    ),
    (
        "5.8",
        "upside down",
        UNSURE,
        UNSURE.replace("<", ">="),
        "5.8-threshold-values",
        "not above it",
    ),
    (
        "5.8",
        "no threshold",
        UNSURE,
        "return guess",
        "5.8-threshold-values",
        "is the threshold used?",
    ),
    (
        "5.8",
        "minus one",
        UNSURE,
        UNSURE.replace("unknown)", "-1)"),
        "5.8-threshold-values",
        "stands for unknown?",
    ),
    (
        "5.8",
        "the probability",
        SURE,
        "confidence, guess = probabilities.max(dim=1).values, probabilities.max(dim=1).values",
        "5.8-threshold-values",
        "not its probability",
    ),
    (
        "5.9",
        "with underscores",
        BARE,
        "label = label_names[row]",
        "5.9-table-by-hand",
        "without the underscores",
        (KNOWN, "table[name] = label"),
    ),
    (
        "5.9",
        "every word",
        KNOWN,
        "table[name] = label",
        "5.9-table-of-every-word",
        "does not know every word",
    ),
    (
        "5.9",
        "silence is unknown",
        'allowed = {"silence", ',
        "allowed = {",
        "5.9-table-of-every-word",
        "expected 'silence'",
    ),
]

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
