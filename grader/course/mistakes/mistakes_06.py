"""Planted mistakes of assignment 6, and other right answers (name -> edits of our solution)."""

from grader.course.mistakes.mistake import Mistake

NONE_FITS = """    if bands < patch[0] or frames < patch[1]:
        raise ValueError(f"no patch of {patch} in {bands} x {frames}")
"""
COUNTED = "return (bands - patch[0]) // stride[0] + 1, (frames - patch[1]) // stride[1] + 1"
IMAGE = "image = mel.mT\n"
WINDOWS = "image = image.unfold(1, patch[0], stride[0]).unfold(2, patch[1], stride[1])"
JOINED = "return image.flatten(3).flatten(1, 2)"
PROJECT = "self.project = nn.Conv2d(1, d_model, patch, stride)"
PROJECTED = "return self.project(mel.mT[:, None])"
BY_ROW = "by_row = sinusoids((torch.arange(rows) + 0.5) / rows * 8, d_model // 2)"
BY_COLUMN = "by_column = sinusoids((torch.arange(columns) + 0.5) / columns * 24, d_model // 2)"
HALVES = "return 0.5 * torch.cat([by_row, by_column])"
TABLE = "self.table = nn.Parameter(sinusoids_2d(rows, columns, d_model))"
TOO_LARGE = """        if f > rows or t > columns:
            raise ValueError(f"{f} x {t} tokens, {rows} x {columns} positions")
"""
ADDED = "return x + self.table[:, :f, :t]"
OF_ROWS = "self.by_row = nn.Parameter(0.02 * torch.randn(d_model, rows))"
OF_COLUMNS = "self.by_column = nn.Parameter(0.02 * torch.randn(d_model, columns))"
BOTH = "return x + self.by_row[:, :f, None] + self.by_column[:, None, :t]"
PLACES = "places = ((torch.arange(new) + 0.5) * old / new - 0.5).clamp(0, old - 1)"
WEIGHTS = "return (1 - (places[:, None] - torch.arange(old)).abs()).clamp(min=0)"
RESIZED = "return rows @ table @ columns.T"
OLD_ROWS = "rows = linear_weights(table.shape[1], size[0])"
OLD_COLUMNS = "columns = linear_weights(table.shape[2], size[1])"
MIDDLE = "top, left = (table.shape[1] - size[0]) // 2, (table.shape[2] - size[1]) // 2"
ROWS_KEPT = "rows_kept = torch.randperm(x.shape[2], generator=generator)[rows:]"
COLUMNS_KEPT = "columns_kept = torch.randperm(x.shape[3], generator=generator)[columns:]"
GRID_KEPT = "return x[:, :, rows_kept][:, :, :, columns_kept]"
SOME_KEPT = "return x[:, torch.randperm(x.shape[1], generator=generator)[:keep]]"
GRID = "self.positions = GridPositions(d_model, *count_patches(bands, frames, patch, stride))"
LAYERS = """nn.ModuleList(
            EncoderLayer(d_model, num_heads, d_ff, 0.0, activation="gelu", norm_first=True)
            for _ in range(num_layers)
        )"""
OUT = """        if self.training:
            x = structured(x, *self.patchout)
"""
EMBEDDED = "x = self.positions(self.embed(mel))"
FRONT = "x = torch.cat([(self.tokens + self.places).expand(len(x), -1, -1), x], dim=1)"
LOOP = """        for layer in self.layers:
            x = layer(x)
"""
HEAD = "return self.head(self.norm(x)[:, : len(self.tokens)].mean(dim=1))"
SUM_PATCHES = "patches = patch[0] * patch[1] * d_model + d_model + d_model * grid[0] * grid[1]"
SUM_TOKENS = "tokens = 2 * d_model * (1 + distilled)"
NORM = "2 * d_model * d_ff + d_ff) + 2 * d_model"
TOTAL = "return patches + tokens + layers + num_classes * (d_model + 1)"
MATRICES = "matrices = num_tokens * (4 * d_model**2 + 2 * d_model * d_ff)"
PAIRS = "attention = 2 * num_tokens**2 * d_model"
ALL = "return num_layers * (matrices + attention)"
STRANGERS = """    for name in state:
        if name not in own and not name.startswith("head."):
            raise ValueError(f"{name} is not in the model")
"""
NEW = """        if name.startswith("head."):
            report["new"].append(name)
"""
LACKS = """        elif name not in state:
            raise ValueError(f"{name} is not in the weights")
"""
COPIED = "own[name].copy_(state[name])"
TABLES = "elif state[name].ndim == own[name].ndim == 3 and len(state[name]) == len(own[name]):"
STRETCHED = "own[name].copy_(resize(state[name], own[name].shape[1:]))"
OTHER_SIZE = (
    'raise ValueError(f"{name} is {tuple(state[name].shape)}, not {tuple(own[name].shape)}")'
)
OWN = "own = model.state_dict()"
BODY = 'body = [p for name, p in model.named_parameters() if not name.startswith("head.")]'
GROUPS = 'return [{"params": body, "lr": factor * lr}, {"params": head, "lr": lr}]'
MIXED = "own = own[torch.randperm(len(own), generator=generator)].tolist()"
ONCE = "first.setdefault(speakers[row], row)"
FIRST_K = "rows += list(first.values())[:k]"
SMALL = "return SpectrogramTransformer(num_classes)\n"
RECIPE = '{"steps": 90, "batch_size": 40, "lr": 1e-2, "warmup_steps": 9, "factor": 0.05}'

NEED_WEIGHTS = ("6.9-accuracy",)

# fmt: off
MISTAKES = [
    Mistake(
        task="6.1", name="rounded up", question="an incomplete patch is none: (n - p) // s + 1",
        replace=COUNTED,
        by="sizes = zip((bands, frames), patch, stride)\n"
        "    return tuple(-((p - n) // s) + 1 for n, p, s in sizes)"),
    Mistake(
        task="6.1", name="a padded axis", question="the axis is not padded: (n - p) // s + 1",
        replace=COUNTED, by="return (bands - 1) // stride[0] + 1, (frames - 1) // stride[1] + 1"),
    Mistake(
        task="6.1", name="one patch too few",
        question="the first patch begins at 0, and counts: + 1", replace=COUNTED,
        by="return (bands - patch[0]) // stride[0], (frames - patch[1]) // stride[1]"),
    Mistake(
        task="6.1", name="the stride is the overlap",
        question="patches begin every stride, not every (patch - stride)", replace=COUNTED,
        by="steps = [max(p - s, 1) for p, s in zip(patch, stride)]\n"
        "    return (bands - patch[0]) // steps[0] + 1, (frames - patch[1]) // steps[1] + 1"),
    Mistake(
        task="6.1", name="the product", question="the pair (f, t), not the number of all patches",
        replace=COUNTED, by=COUNTED.replace("return ", "return (").replace(", (", ") * (")),
    Mistake(
        task="6.1", name="no patch is fine",
        question="is a clip that is smaller than a patch refused?", replace=NONE_FITS, by=""),
    Mistake(
        task="6.1", name="column after column",
        question="all patches of the lowest band row come first, in time", replace=JOINED,
        by="return image.flatten(3).transpose(1, 2).flatten(1, 2)"),
    Mistake(
        task="6.1", name="frame after frame in a patch",
        question="in a patch, band after band", replace=JOINED,
        by="return image.mT.flatten(3).flatten(1, 2)"),
    Mistake(
        task="6.1", name="frames as rows", question="bands are the rows of the image",
        replace=IMAGE, by="image = mel\n"),
    Mistake(
        task="6.1", name="no overlap", question="is the stride used?", replace=WINDOWS,
        by="image = image.unfold(1, patch[0], patch[0]).unfold(2, patch[1], patch[1])"),
    Mistake(
        task="6.2", name="frames as rows", question="bands are the rows of the image",
        replace=PROJECTED, by="return self.project(mel[:, None])"),
    Mistake(
        task="6.2", name="the map turned", question="(B, D, f, t): rows are bands",
        replace=PROJECTED, by="return self.project(mel.mT[:, None]).mT"),
    Mistake(
        task="6.2", name="no bias", question="does the layer have a bias?", replace=PROJECT,
        by=PROJECT.replace("stride)", "stride, bias=False)")),
    Mistake(
        task="6.2", name="no overlap", question="is the stride used?", replace=PROJECT,
        by="self.project = nn.Conv2d(1, d_model, patch, patch)"),
    Mistake(
        task="6.2", name="in one row", question="the tokens keep their grid: (B, D, f, t)",
        replace=PROJECTED, by="return self.project(mel.mT[:, None]).flatten(2).mT"),
    Mistake(
        task="6.2", name="an activation", question="a linear layer: is there an activation?",
        replace=PROJECTED, by="return self.project(mel.mT[:, None]).relu()"),
    Mistake(
        task="6.3", name="columns first", question="rows first, then columns", replace=HALVES,
        by="return 0.5 * torch.cat([by_column, by_row])"),
    Mistake(
        task="6.3", name="beginnings of rows",
        question="the middle of a row or column: (i + 1/2)", replace=BY_ROW,
        by=BY_ROW.replace("(torch.arange(rows) + 0.5)", "torch.arange(rows)"),
        also=((BY_COLUMN, BY_COLUMN.replace("(torch.arange(columns) + 0.5)",
        "torch.arange(columns)")),)),
    Mistake(
        task="6.3", name="numbers of rows", question="a place is a share of the whole axis",
        replace=BY_ROW, by=BY_ROW.replace(" / rows * 8", ""),
        also=((BY_COLUMN, BY_COLUMN.replace(" / columns * 24", "")),)),
    Mistake(
        task="6.3", name="not halved",
        question="half as large as usual: are the sinusoids multiplied by 0.5?",
        replace=HALVES,
        by="return torch.cat([by_row, by_column])"),
    Mistake(
        task="6.3", name="added up",
        question="half of the features for the row, half for the column", replace=BY_ROW,
        by=BY_ROW.replace(" // 2", ""),
        also=((BY_COLUMN, BY_COLUMN.replace(" // 2", "")),
        (HALVES, "return 0.5 * (by_row + by_column)"))),
    Mistake(
        task="6.3", name="a constant table", question="is the table an nn.Parameter?",
        replace=TABLE, by='self.register_buffer("table", sinusoids_2d(rows, columns, d_model))'),
    Mistake(
        task="6.3", name="a random table", question="the table begins with sinusoids_2d",
        replace=TABLE, by="self.table = nn.Parameter(0.02 * torch.randn(d_model, rows, columns))"),
    Mistake(
        task="6.3", name="the last columns", question="a smaller grid takes the first columns",
        replace=ADDED, by="return x + self.table[:, :f, -t:]"),
    Mistake(
        task="6.3", name="a larger grid goes wrong later",
        question="is a grid that is larger than the table refused, with a ValueError?",
        replace=TOO_LARGE, by=""),
    Mistake(
        task="6.3", name="rows times columns", question="the sum of both, not their product",
        replace=BOTH,
        by="return x + self.by_row[:, :f, None] * self.by_column[:, None, :t]"),
    Mistake(
        task="6.3", name="rows only", question="are the columns added, too?", replace=BOTH,
        by="return x + self.by_row[:, :f, None]"),
    Mistake(
        task="6.3", name="large numbers", question="small random numbers: 0.02 times normal ones",
        replace=OF_ROWS, by=OF_ROWS.replace("0.02 * ", "")),
    Mistake(
        task="6.4", name="corners aligned", question="cells are aligned, not corners",
        replace=PLACES,
        by="places = torch.arange(new) * ((old - 1) / max(new - 1, 1))"),
    Mistake(
        task="6.4", name="no half cell", question="half a cell: (i + 1/2) * old / new - 1/2",
        replace=PLACES, by="places = (torch.arange(new) * old / new).clamp(0, old - 1)"),
    Mistake(
        task="6.4", name="the nearest", question="the nearest cell? Neighbors are mixed",
        replace=WEIGHTS,
        by="return (places.round()[:, None] == torch.arange(old)).float()"),
    Mistake(
        task="6.4", name="not clamped",
        question="beyond the outermost middles, the outermost cell counts alone: clamp",
        replace=PLACES, by=PLACES.replace(".clamp(0, old - 1)", "")),
    Mistake(
        task="6.4", name="negative weights", question="at least 0: cells far away do not count",
        replace=WEIGHTS, by=WEIGHTS.replace(".clamp(min=0)", "")),
    Mistake(
        task="6.4", name="upside down", question="(i + 1/2) * old / new, not new / old",
        replace=PLACES, by=PLACES.replace("old / new", "new / old")),
    Mistake(
        task="6.4", name="rows only", question="are the columns interpolated, too?",
        replace=RESIZED, by="return rows @ table"),
    Mistake(
        task="6.4", name="axes exchanged", question="the first of the size is for the rows",
        replace=OLD_ROWS, by=OLD_ROWS.replace("size[0]", "size[1]"),
        also=((OLD_COLUMNS, OLD_COLUMNS.replace("size[1]", "size[0]")),)),
    Mistake(
        task="6.4", name="cut at the end", question="the middle: half is cut from the beginning",
        replace=MIDDLE, by="top, left = 0, 0"),
    Mistake(
        task="6.4", name="more cut at the beginning",
        question="of an odd number of cells left over, one more is cut at the end",
        replace=MIDDLE, by=MIDDLE.replace("size[0])", "size[0] + 1)").replace(
        "size[1])", "size[1] + 1)")),
    Mistake(
        task="6.5", name="with replacement",
        question="is a place drawn twice? Without replacement", replace=SOME_KEPT,
        by="return x[:, torch.randint(x.shape[1], (keep,), generator=generator)]"),
    Mistake(
        task="6.5", name="so many dropped", question="keep is the number that stays",
        replace=SOME_KEPT, by=SOME_KEPT.replace("[:keep]", "[keep:]")),
    Mistake(
        task="6.5", name="other tokens in each clip", question="one draw holds for the whole batch",
        replace=SOME_KEPT,
        by="drawn = [torch.randperm(x.shape[1], generator=generator)[:keep] for _ in x]\n"
        "    return torch.stack([one[kept] for one, kept in zip(x, drawn)])"),
    Mistake(
        task="6.5", name="the first ones", question="is anything random?", replace=SOME_KEPT,
        by="return x[:, :keep]"),
    Mistake(
        task="6.5", name="generator not used", question="is the generator used?",
        replace=SOME_KEPT, by=SOME_KEPT.replace(", generator=generator", "")),
    Mistake(
        task="6.5", name="zeros in place of tokens",
        question="tokens are left out, and not replaced by zeros", replace=GRID_KEPT,
        by="y = torch.zeros_like(x)\n    for row in rows_kept:\n"
        "        y[:, :, row, columns_kept] = x[:, :, row, columns_kept]\n    return y"),
    Mistake(
        task="6.5", name="so many rows stay", question="rows and columns say how many go",
        replace=ROWS_KEPT, by=ROWS_KEPT.replace("[rows:]", "[:rows]"),
        also=((COLUMNS_KEPT, COLUMNS_KEPT.replace("[columns:]", "[:columns]")),)),
    Mistake(
        task="6.5", name="rows and columns exchanged",
        question="axis 2 are rows, axis 3 columns", replace=ROWS_KEPT,
        by=ROWS_KEPT.replace("[rows:]", "[columns:]"),
        also=((COLUMNS_KEPT, COLUMNS_KEPT.replace("[columns:]", "[rows:]")),)),
    Mistake(
        task="6.5", name="pairs of a row and a column",
        question="whole rows and whole columns: index the rows, then the columns",
        replace=GRID_KEPT,
        by="n = min(len(rows_kept), len(columns_kept))\n"
        "    return x[:, :, rows_kept[:n], columns_kept[:n]]"),
    Mistake(
        task="6.5", name="the same rows always", question="are rows drawn, too?",
        replace=ROWS_KEPT, by="rows_kept = torch.arange(x.shape[2])[rows:]"),
    Mistake(
        task="6.6", name="the mean of all is read",
        question="the head reads the tokens in front, not the mean of all", replace=HEAD,
        by="return self.head(self.norm(x).mean(dim=1))"),
    Mistake(
        task="6.6", name="one token is read",
        question="with a distillation token, the mean of both", replace=HEAD,
        by="return self.head(self.norm(x)[:, 0])"),
    Mistake(
        task="6.6", name="no norm at the end", question="is there a norm before the head?",
        replace=HEAD, by="return self.head(x[:, : len(self.tokens)].mean(dim=1))"),
    Mistake(
        task="6.6", name="mean before the norm", question="first the norm, then the mean",
        replace=HEAD, by="return self.head(self.norm(x[:, : len(self.tokens)].mean(dim=1)))"),
    Mistake(
        task="6.6", name="post-norm", question="are the layers pre-norm (norm_first=True)?",
        replace='activation="gelu", norm_first=True)\n', by='activation="gelu")\n'),
    Mistake(
        task="6.6", name="ReLU", question='is the activation "gelu"?',
        replace='0.0, activation="gelu", norm_first=True)\n', by="0.0, norm_first=True)\n"),
    Mistake(
        task="6.6", name="dropout left on",
        question="is there dropout? EncoderLayer has some unless it is told dropout=0.0",
        replace='d_ff, 0.0, activation="gelu", norm_first=True)\n',
        by='d_ff, activation="gelu", norm_first=True)\n'),
    Mistake(
        task="6.6", name="tokens without places", question="do the tokens in front have places?",
        replace=FRONT, by=FRONT.replace("(self.tokens + self.places)", "self.tokens")),
    Mistake(
        task="6.6", name="the tokens come last", question="the tokens come first", replace=FRONT,
        by="x = torch.cat([x, (self.tokens + self.places).expand(len(x), -1, -1)], dim=1)"),
    Mistake(
        task="6.6", name="no positions", question="are positions added to the patches?",
        replace=EMBEDDED, by="x = self.embed(mel)"),
    Mistake(
        task="6.6", name="patchout in evaluation",
        question="patchout only in training: self.training", replace=OUT,
        by="        x = structured(x, *self.patchout)\n"),
    Mistake(
        task="6.6", name="no patchout", question="is structured patchout used in training?",
        replace=OUT, by=""),
    Mistake(
        task="6.6", name="positions after patchout",
        question="positions are added before patchout: who stays says where it stood",
        replace=EMBEDDED, by="x = self.embed(mel)",
        also=((OUT, f"{OUT}        x = self.positions(x)\n"),)),
    Mistake(
        task="6.6", name="four heads always", question="is num_heads used?", replace=LAYERS,
        by=LAYERS.replace("num_heads", "4")),
    Mistake(
        task="6.6", name="patches side by side", question="is the stride used?",
        replace="self.embed = PatchEmbedding(d_model, patch, stride)",
        by="self.embed = PatchEmbedding(d_model, patch, patch)"),
    Mistake(
        task="6.6", name="one layer, used several times",
        question="is it one layer, used several times?", replace=LAYERS,
        by='nn.ModuleList([EncoderLayer(d_model, num_heads, d_ff, 0.0, activation="gelu", '
        "norm_first=True)] * num_layers)"),
    Mistake(
        task="6.6", name="one layer too few",
        question="one layer is missing: how often does the loop run?", replace=LOOP,
        by=LOOP.replace("self.layers", "self.layers[:-1]")),
    Mistake(
        task="6.6", name="a softmax at the end", question="no softmax: the loss takes logits",
        replace=HEAD, by=f"{HEAD}.softmax(-1)"),
    Mistake(
        task="6.6", name="no places counted",
        question="have the tokens in front places? has the norm a bias?", replace=SUM_TOKENS,
        by="tokens = d_model * (1 + distilled)"),
    Mistake(
        task="6.6", name="no norm counted", question="is the norm at the end counted?",
        replace=NORM, by="2 * d_model * d_ff + d_ff)"),
    Mistake(
        task="6.6", name="no table counted", question="is the table of positions counted?",
        replace=SUM_PATCHES, by=SUM_PATCHES.replace(" + d_model * grid[0] * grid[1]", "")),
    Mistake(
        task="6.6", name="split positions counted",
        question="a table has a vector for each place: f times t", replace=SUM_PATCHES,
        by=SUM_PATCHES.replace("grid[0] * grid[1]", "(grid[0] + grid[1])")),
    Mistake(
        task="6.7", name="no attention", question="is attention counted, too?", replace=ALL,
        by="return num_layers * matrices"),
    Mistake(
        task="6.7", name="one product for each pair",
        question="scores and averages: two products for each pair", replace=PAIRS,
        by="attention = num_tokens**2 * d_model"),
    Mistake(
        task="6.7", name="not squared", question="every token attends to every token",
        replace=PAIRS, by="attention = 2 * num_tokens * d_model"),
    Mistake(
        task="6.7", name="no output projection",
        question="four matrices: queries, keys, values, output", replace=MATRICES,
        by=MATRICES.replace("4 * d_model", "3 * d_model")),
    Mistake(
        task="6.7", name="one feed-forward matrix",
        question="two matrices of the feed-forward network", replace=MATRICES,
        by=MATRICES.replace("+ 2 * d_model", "+ d_model")),
    Mistake(
        task="6.7", name="one layer", question="is every layer counted?", replace=ALL,
        by="return matrices + attention"),
    Mistake(
        task="6.8", name="strict=False",
        question="a name that is only in the weights: is it refused?", replace=STRANGERS, by=""),
    Mistake(
        task="6.8", name="what is missing stays new",
        question="a name that the weights lack: is it refused?", replace=LACKS,
        by='        elif name not in state:\n            report["new"].append(name)\n'),
    Mistake(
        task="6.8", name="the head comes along",
        question="the head stays new, even if it fits", replace=NEW,
        by='        if name.startswith("head.") and (\n'
        "            name not in state or state[name].shape != own[name].shape\n        ):\n"
        '            report["new"].append(name)\n'),
    Mistake(
        task="6.8", name="whatever begins with head",
        question='the head is "head.", with its dot: there may be a "headway"', replace=NEW,
        by=NEW.replace('"head."', '"head"')),
    Mistake(
        task="6.8", name="not copied", question="do the weights get into the model?",
        replace=OWN, by="own = {name: own.clone() for name, own in model.state_dict().items()}"),
    Mistake(
        task="6.8", name="tables begin again",
        question="a table of another grid is resized, and not left as it was",
        replace=STRETCHED, by="pass"),
    Mistake(
        task="6.8", name="the other sizes pass",
        question="another size that is no table of positions: is it refused?",
        replace=OTHER_SIZE, by='report["new"].append(name)'),
    Mistake(
        task="6.8", name="any three axes",
        question="a table of another width D cannot be resized: is it refused?", replace=TABLES,
        by="elif state[name].ndim == own[name].ndim == 3:"),
    Mistake(
        task="6.8", name="the rates exchanged", question="the low rate is that of the body",
        replace=GROUPS,
        by='return [{"params": body, "lr": lr}, {"params": head, "lr": factor * lr}]'),
    Mistake(
        task="6.8", name="the head twice", question="each parameter in exactly one group",
        replace=BODY, by="body = list(model.parameters())"),
    Mistake(
        task="6.8", name="the factor alone", question="factor times lr", replace=GROUPS,
        by='return [{"params": body, "lr": factor}, {"params": head, "lr": lr}]'),
    Mistake(
        task="6.9", name="a speaker twice", question="does a speaker say a word twice?",
        replace=FIRST_K, by="rows += own[:k]"),
    Mistake(
        task="6.9", name="the first rows", question="are the rows drawn at random?",
        replace=MIXED, by="own = own.tolist()"),
    Mistake(
        task="6.9", name="generator not used", question="is the generator used?", replace=MIXED,
        by=MIXED.replace(", generator=generator", "")),
    Mistake(
        task="6.9", name="k rows in all", question="k rows of each class, not in all",
        replace="    return torch.tensor(rows)\n", by="    return torch.tensor(rows[:k])\n"),
    Mistake(
        task="6.9", name="no warm-up", question="is there a warm-up? A tenth of the steps is usual",
        replace=RECIPE, by=RECIPE.replace('"warmup_steps": 9', '"warmup_steps": 0')),
    Mistake(
        task="6.9", name="half a step",
        question="steps is a whole number: range takes no other",
        replace=RECIPE,
        by=RECIPE.replace("90", "90.5")),
    Mistake(
        task="6.9", name="another name",
        question="the names are those of the arguments of fit",
        replace=RECIPE, by=RECIPE.replace('"factor"', '"body"')),
    Mistake(
        task="6.9", name="a rate of ten",
        question="lr lies between 0.000001 and 0.1: 0.01 is usual for the head",
        replace=RECIPE,
        by=RECIPE.replace("1e-2", "10")),
    Mistake(
        task="6.9", name="a large model", question="at most 500,000: a width of 96 will do",
        replace=SMALL,
        by="return SpectrogramTransformer(num_classes, d_model=256, d_ff=512)\n"),
]
# fmt: on

ALTERNATIVES = {
    "a linear layer of cut patches, windows gathered one by one": [
        (
            WINDOWS,
            "f, t = count_patches(image.shape[1], image.shape[2], patch, stride)\n"
            "    cut = []\n    for i in range(f):\n        for j in range(t):\n"
            "            window = image[:, i * stride[0] :, j * stride[1] :]\n"
            "            cut.append(window[:, : patch[0], : patch[1]].flatten(1))",
        ),
        (JOINED, "return torch.stack(cut, dim=1)"),
        (
            PROJECT,
            "self.patch, self.stride = patch, stride\n"
            "        self.project = nn.Linear(patch[0] * patch[1], d_model)",
        ),
        (
            PROJECTED,
            "f, t = count_patches(mel.shape[2], mel.shape[1], self.patch, self.stride)\n"
            "        x = self.project(cut_patches(mel, self.patch, self.stride))\n"
            "        return x.transpose(1, 2).unflatten(2, (f, t))",
        ),
        (
            WEIGHTS,
            "low = places.floor().long()\n    high = (low + 1).clamp(max=old - 1)\n"
            "    weights = torch.zeros(new, old)\n    for i in range(new):\n"
            "        weights[i, low[i]] += 1 - (places[i] - low[i])\n"
            "        weights[i, high[i]] += places[i] - low[i]\n    return weights",
        ),
        (RESIZED, 'return torch.einsum("if,dft,jt->dij", rows, table, columns)'),
        (
            SOME_KEPT,
            "order = torch.rand(x.shape[1], generator=generator).argsort()\n"
            "    return x[:, order[-keep:].sort().values]",
        ),
        (GRID_KEPT, "return x.index_select(2, rows_kept).index_select(3, columns_kept)"),
    ],
    "one parameter for tokens and places each, layers in a sequence": [
        (
            "self.tokens = nn.Parameter(0.02 * torch.randn(1 + distilled, d_model))",
            "self.front = nn.Parameter(torch.randn(2, 1 + distilled, d_model) / 50)",
        ),
        ("        self.places = nn.Parameter(0.02 * torch.randn(1 + distilled, d_model))\n", ""),
        (
            FRONT,
            "front = self.front.sum(0, keepdim=True).repeat(x.shape[0], 1, 1)\n"
            "        n = front.shape[1]\n        x = torch.cat((front, x), 1)",
        ),
        (HEAD, "return self.head(sum(self.norm(x[:, i]) for i in range(n)) / n)"),
        (
            '    load_positions(module, {name: weights[name] for name in ("tokens", "places")})\n',
            "    with torch.no_grad():\n"
            '        module.front.copy_(torch.stack([weights["tokens"], weights["places"]]))\n',
        ),
        (LOOP, "        x = nn.Sequential(*self.layers)(x)\n"),
        (
            'head = [p for name, p in model.named_parameters() if name.startswith("head.")]',
            "head = list(model.head.parameters())",
        ),
        (BODY, "body = [p for p in model.parameters() if all(p is not h for h in head)]"),
        (
            MIXED,
            "own = own[torch.rand(len(own), generator=generator).argsort()].tolist()",
        ),
        ("    return torch.tensor(rows)\n", "    return rows\n"),
        (ALL, "return torch.tensor(num_layers) * (matrices + attention)"),
    ],
    "a matrix of pixels, embeddings for rows and columns, lists of lists": [
        (
            COUNTED,
            "sizes = zip((bands, frames), patch, stride)\n"
            "    return [len(range(0, n - p + 1, s)) for n, p, s in sizes]",
        ),
        (
            PROJECT,
            "self.patch, self.stride = patch, stride\n"
            "        self.weight = nn.Parameter(torch.randn(patch[0] * patch[1], d_model) / 20)\n"
            "        self.bias = nn.Parameter(torch.zeros(d_model))",
        ),
        (
            PROJECTED,
            "f, _ = count_patches(mel.shape[2], mel.shape[1], self.patch, self.stride)\n"
            "        x = cut_patches(mel, self.patch, self.stride) @ self.weight + self.bias\n"
            "        return x.mT.unflatten(2, (f, -1))",
        ),
        (
            "        for name, own in module.project.named_parameters():\n"
            "            own.copy_(weights[name].reshape(own.shape))",
            '        module.weight.copy_(weights["weight"].T)\n'
            '        module.bias.copy_(weights["bias"])',
        ),
        (
            OF_ROWS,
            "self.by_row = nn.Embedding(rows, d_model)\n        self.by_row.weight.data *= 0.02",
        ),
        (
            OF_COLUMNS,
            "self.by_column = nn.Embedding(columns, d_model)\n"
            "        self.by_column.weight.data *= 0.02",
        ),
        (
            "if f > self.by_row.shape[1] or t > self.by_column.shape[1]:",
            "if f > self.by_row.num_embeddings or t > self.by_column.num_embeddings:",
        ),
        (
            BOTH,
            "by_row, by_column = self.by_row.weight.T, self.by_column.weight.T\n"
            "        return x + by_row[:, :f, None] + by_column[:, None, :t]",
        ),
        (
            "            getattr(module, name).copy_(weight)",
            "            own = getattr(module, name)\n"
            "            (own.weight.T if isinstance(own, nn.Embedding) else own).copy_(weight)",
        ),
        (
            PLACES,
            "places = [min(max((i + 0.5) * old / new - 0.5, 0), old - 1) for i in range(new)]",
        ),
        (WEIGHTS, "return [[max(0, 1 - abs(place - j)) for j in range(old)] for place in places]"),
        (
            RESIZED,
            "rows, columns = torch.tensor(rows).double(), torch.tensor(columns).double()\n"
            "    return (rows @ table.double() @ columns.T).to(table.dtype)",
        ),
        (GROUPS, 'return ({"params": body, "lr": factor * lr}, {"params": head, "lr": lr})'),
        ("    return torch.tensor(rows)\n", "    return rows[::-1]\n"),
        (RECIPE, RECIPE.replace("90", "int(90)")),
    ],
}
