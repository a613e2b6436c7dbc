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
PROBE = """tokens = Stem(channels, strides, columns)(torch.zeros(1, FRAMES, N_MELS))
        num_tokens, width = tokens.shape[1:]
"""
LOOP = """        for layer in self.layers:
            x = layer(x)
"""
ANSWER = "return self.classify(x[:, 0])"
WIDEN = "self.widen = nn.Linear(width, d_model)"
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
BARE = 'label = label_names[predicted[row]].strip("_")'
KNOWN = 'table[name] = label if label in allowed else "unknown"'

NEED_WEIGHTS = ("5.6-accuracy",)

# fmt: off
MISTAKES = [
    Mistake(
        task="5.1", name="no cls token", question="is the cls token counted?", replace=PLUS_ONE,
        by="return bands * frames"),
    Mistake(
        task="5.1", name="rounded down",
        question="the last, incomplete step counts: (n - 1) // stride + 1", replace=SHRINK,
        by="bands, frames = bands // stride, frames // stride"),
    Mistake(
        task="5.1", name="four bytes forgotten", question="a float32 has 4 bytes", replace=BYTES,
        by=BYTES.replace("4 * ", "")),
    Mistake(
        task="5.1", name="not squared", question="every token attends to every token",
        replace=BYTES, by=BYTES.replace("**2", "")),
    Mistake(
        task="5.1", name="one head", question="each head has weights of its own", replace=BYTES,
        by=BYTES.replace(" * num_heads", "")),
    Mistake(
        task="5.1", name="one clip", question="each clip of the batch has weights of its own",
        replace=BYTES, by=BYTES.replace(" * batch_size", "")),
    Mistake(
        task="5.1", name="one layer", question="each layer has weights of its own", replace=BYTES,
        by=BYTES.replace(" * num_layers", "")),
    Mistake(
        task="5.1", name="the product is rounded",
        question="round each axis by itself, not their product", replace=SHRINK,
        by="bands, frames = (bands * frames - 1) // stride**2 + 1, 1"),
    Mistake(
        task="5.2", name="bands first",
        question="time comes first: all bands of frame 0, then those of frame 1", replace=ORDER,
        by="x = x.permute(0, 2, 3, 1)"),
    Mistake(
        task="5.2", name="frames as rows",
        question="bands are the rows of the map, frames its columns", replace=ONE_MAP,
        by="x = mel[:, None]", also=((ORDER, "x = x.permute(0, 2, 3, 1)"),)),
    Mistake(
        task="5.2", name="no batch norm", question="is there a batch norm after each convolution?",
        replace=FIRST, by="x = self.conv1(x).relu()",
        also=((SECOND, "x = self.conv2(x).relu()"),)),
    Mistake(
        task="5.2", name="no ReLU", question="is there a ReLU after each batch norm?",
        replace=FIRST, by=FIRST.replace(".relu()", ""),
        also=((SECOND, SECOND.replace(".relu()", "")),)),
    Mistake(
        task="5.2", name="ReLU first", question="first the batch norm, then ReLU", replace=FIRST,
        by="x = self.norm1(self.conv1(x).relu())",
        also=((SECOND, "x = self.norm2(self.conv2(x).relu())"),)),
    Mistake(
        task="5.2", name="channels first in a column",
        question="one band follows the other, each with its channels", replace=JOIN,
        by="return x.mT.flatten(2) if self.columns else x.flatten(1, 2)"),
    Mistake(
        task="5.2", name="no bias",
        question="do both convolutions have a bias?",
        replace=CONV2, by=CONV2.replace("padding=1", "padding=1, bias=False")),
    Mistake(
        task="5.2", name="columns not used", question="is columns used?", replace=JOIN,
        by="return x.flatten(1, 2)"),
    Mistake(
        task="5.2", name="channels before bands",
        question="the channels of a point are one token: they are the last axis", replace=ORDER,
        by="x = x.permute(0, 3, 1, 2)"),
    Mistake(
        task="5.2", name="one stride for both", question="each convolution has a stride of its own",
        replace=CONV2, by=CONV2.replace("strides[1]", "strides[0]")),
    Mistake(
        task="5.2", name="no batch norm at the end",
        question="is there a batch norm after the second convolution?", replace=SECOND,
        by="x = self.conv2(x).relu()"),
    Mistake(
        task="5.3", name="the token comes last", question="the token comes first, not last",
        replace=FRONT, by="x = torch.cat([x, self.token.expand(len(x), 1, -1)], dim=1)"),
    Mistake(
        task="5.3", name="a constant token", question="is the token an nn.Parameter?",
        replace=TOKEN, by='self.register_buffer("token", 0.02 * torch.randn(d_model))'),
    Mistake(
        task="5.3", name="zeros", question="the positions have to start as random numbers",
        replace=PLACES, by="torch.zeros(num_tokens + 1, d_model)"),
    Mistake(
        task="5.3", name="positions not added", question="are the positions added?", replace=ADDED,
        by="return x"),
    Mistake(
        task="5.3", name="no position for the token", question="the cls token has a position, too",
        replace=f"{FRONT}\n", by="pass\n",
        also=((PLACES, "0.02 * torch.randn(num_tokens, d_model)"), (ADDED,
            "x = x if self.positions is None else x + self.positions\n"
        "        return torch.cat([self.token.expand(len(x), 1, -1), x], dim=1)"),)),
    Mistake(
        task="5.3", name="a plain tensor",
        question="is the token an nn.Parameter?", replace=TOKEN,
        by="self.token = 0.02 * torch.randn(d_model)"),
    Mistake(
        task="5.3", name="large numbers", question="small random numbers: 0.02 times normal ones",
        replace=TOKEN, by=TOKEN.replace("0.02 * ", "")),
    Mistake(
        task="5.3", name="positions for the tokens alone",
        question="are the positions added to the cls token too, and not shifted by one?",
        replace=ADDED,
        by="return x if self.positions is None else torch.cat([x[:, :1], "
        "x[:, 1:] + self.positions[1:]], dim=1)"),
    Mistake(
        task="5.4", name="the mean is classified",
        question="the classifier reads the cls token, not the mean of all", replace=ANSWER,
        by="return self.classify(x.mean(dim=1))"),
    Mistake(
        task="5.4", name="the last token is classified",
        question="the cls token is the first: which one is classified?", replace=ANSWER,
        by="return self.classify(x[:, -1])"),
    Mistake(
        task="5.4", name="one layer, used several times",
        question="is it one layer, used several times?", replace=LAYERS,
        by="nn.ModuleList([EncoderLayer(d_model, num_heads, d_ff, dropout=0.0)] * num_layers)"),
    Mistake(
        task="5.4", name="a plain list",
        question="are the layers in an nn.ModuleList? A plain list hides their parameters",
        replace=LAYERS, by=LAYERS.replace("nn.ModuleList", "list")),
    Mistake(
        task="5.4", name="one layer too few",
        question="one layer is missing: how often does the loop run?",
        replace=LOOP, by=LOOP.replace("self.layers", "self.layers[:-1]")),
    Mistake(
        task="5.4", name="clips as a sequence",
        question="attention runs over the tokens of a clip: are axes swapped?", replace=LOOP,
        by=LOOP.replace("x = layer(x)", "x = layer(x.transpose(0, 1)).transpose(0, 1)")),
    Mistake(
        task="5.4", name="compared with the other clips",
        question="which step mixes clips?",
        replace=ANSWER, by="return self.classify(x[:, 0] - x[:, 0].mean(dim=0))"),
    Mistake(
        task="5.4", name="dropout left on",
        question="is there dropout? EncoderLayer has some unless it is told dropout=0.0",
        replace="EncoderLayer(d_model, num_heads, d_ff, dropout=0.0) for _",
        by="EncoderLayer(d_model, num_heads, d_ff, dropout=0.1) for _"),
    Mistake(
        task="5.4", name="positions not passed on",
        question="does the ClassToken get to know about positions?",
        replace="self.reader = ClassToken(d_model, num_tokens, positions)",
        by="self.reader = ClassToken(d_model, num_tokens)"),
    Mistake(
        task="5.4", name="columns not passed on", question="does the Stem get to know columns?",
        replace=PROBE, by=PROBE.replace(", columns", ""),
        also=(("self.stem = Stem(channels, strides, columns)\n",
            "self.stem = Stem(channels, strides)\n"),)),
    Mistake(
        task="5.4", name="the width of points",
        question="a column is wider than a point: channels times bands", replace=WIDEN,
        by="self.widen = nn.Linear(channels[1], d_model)"),
    Mistake(
        task="5.4", name="a softmax at the end",
        question="no softmax: the loss takes logits", replace=ANSWER,
        by="return self.classify(x[:, 0]).softmax(-1)"),
    Mistake(
        task="5.4", name="the stem stays in evaluation mode",
        question="is the stem put back into training mode?",
        replace="self.stem = Stem(channels, strides, columns)\n",
        by="self.stem = Stem(channels, strides, columns).eval()\n"),
    Mistake(
        task="5.4", name="the cls token comes late",
        question="the cls token has to pass through the layers with the others",
        replace="x = self.reader(self.widen(self.stem(mel)))",
        by="x = self.widen(self.stem(mel))",
        also=((ANSWER, "return self.classify(self.reader(x)[:, 0])"),)),
    Mistake(
        task="5.5", name="no cls token", question="is the cls token counted?", replace=SUM_TOKENS,
        by="tokens = second * d_model + d_model"),
    Mistake(
        task="5.5", name="no batch norms",
        question="are the batch norms counted, scale and shift?", replace=SUM_STEM,
        by="stem = 9 * first + first + 9 * first * second + second"),
    Mistake(
        task="5.5", name="one layer", question="is every layer counted?", replace=SUM_LAYERS,
        by="layers = ("),
    Mistake(
        task="5.5", name="twelve classes always",
        question="does the number of classes occur in the formula?", replace=TOTAL,
        by=TOTAL.replace("num_classes", "12")),
    Mistake(
        task="5.5", name="no biases in the convolutions",
        question="do the convolutions have a bias?", replace=SUM_STEM,
        by="stem = 9 * first + 2 * first + 9 * first * second + 2 * second"),
    Mistake(
        task="5.5", name="no layer to D",
        question="is the linear layer between stem and encoder counted?", replace=SUM_TOKENS,
        by="tokens = d_model"),
    Mistake(
        task="5.5", name="no bias in the classifier", question="does the classifier have a bias?",
        replace=TOTAL, by=TOTAL.replace("(d_model + 1)", "d_model")),
    Mistake(
        task="5.6", name="no warm-up", check="5.6-recipe", question="a tenth of the steps?",
        replace=RECIPE, by=RECIPE.replace('"warmup_steps": 100', '"warmup_steps": 0')),
    Mistake(
        task="5.6", name="a rate of ten", check="5.6-recipe", question="lr is 10", replace=RECIPE,
        by=RECIPE.replace("1e-3", "10")),
    Mistake(
        task="5.6", name="a large model", check="5.6-small-model-learns",
        question="expected at most 500,000", replace=SMALL, by="        d_model=256,\n"),
    Mistake(
        task="5.6", name="another name", check="5.6-recipe", question="names in recipe()",
        replace=RECIPE, by=RECIPE.replace('"lr"', '"learning_rate"')),
    Mistake(
        task="5.7", name="rows and columns exchanged",
        question="rows are the true classes, columns the predicted ones", replace=PAIRS,
        by="pairs = predicted * num_classes + labels"),
    Mistake(
        task="5.7", name="absent classes lost",
        question="there are num_classes rows, also where some classes are absent",
        replace=COUNTED,
        by="size = int(max(predicted.max(), labels.max())) + 1\n"
        "    counts = torch.bincount(labels * size + predicted, minlength=size**2)\n"
        "    return counts.reshape(size, size)"),
    Mistake(
        task="5.7", name="bincount without minlength",
        question="bincount stops at the largest number that occurs: give it minlength",
        replace=COUNTED,
        by="return torch.bincount(pairs).reshape(num_classes, num_classes)"),
    Mistake(
        task="5.7", name="twice counts once", question="what occurs twice counts twice",
        replace=COUNTED,
        by="matrix = torch.zeros(num_classes, num_classes).long()\n"
        "    matrix[labels, predicted] += 1\n    return matrix"),
    Mistake(
        task="5.8", name="upside down", question="below the threshold, not above it",
        replace=UNSURE, by=UNSURE.replace("<", ">=")),
    Mistake(
        task="5.8", name="not above it", question="what equals the threshold is not below it",
        replace=UNSURE, by=UNSURE.replace("<", "<=")),
    Mistake(
        task="5.8", name="no threshold", question="is the threshold used?", replace=UNSURE,
        by="return guess"),
    Mistake(
        task="5.8", name="minus one", question="which class is unknown?", replace=UNSURE,
        by=UNSURE.replace("unknown)", "-1)")),
    Mistake(
        task="5.8", name="the probability", question="the class, not its probability",
        replace=SURE,
        by="confidence, guess = probabilities.max(dim=1).values, probabilities.max(dim=1).values"),
    Mistake(
        task="5.9", name="with underscores", question="Kaggle's labels have no underscores",
        replace=BARE, by="label = label_names[predicted[row]]",
        also=((KNOWN, "table[name] = label"),)),
    Mistake(
        task="5.9", name="every label in underscores is unknown",
        question="_silence_ is silence on Kaggle: look it up without underscores",
        replace=BARE, by="label = label_names[predicted[row]]"),
    Mistake(
        task="5.9", name="every word", question="Kaggle does not know every word", replace=KNOWN,
        by="table[name] = label"),
    Mistake(
        task="5.9", name="silence is unknown",
        question="_silence_ is silence on Kaggle: look it up without underscores",
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
        (
            "    module.load_state_dict(weights)\n",
            '    places = {"conv1": 0, "norm1": 1, "conv2": 3, "norm2": 4}\n'
            "    for name, weight in weights.items():\n"
            '        part, _, inside = name.partition(".")\n'
            "        getattr(module.all[places[part]], inside).data.copy_(weight)\n",
        ),
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
        (UNSURE, "return torch.where(confidence >= threshold, guess, unknown).tolist()"),
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
        (BARE, 'label = label_names[predicted[row]].replace("_", "")'),
        (
            "self.classify = nn.Linear(d_model, num_classes)",
            "class Head(nn.Linear):\n            pass\n\n"
            "        self.classify = Head(d_model, num_classes)",
        ),
        (ANSWER, "return self.classify.forward(x[:, 0])"),
        (SUM_LAYERS, "layers = torch.tensor(float(num_layers)) * ("),
    ],
}
