"""What a pretrained body is worth with ten clips a word: `--init` and `--head-only`, or nothing.

    python benchmarks/own_words.py [RUN]                   # other words of a language, embedded
    python benchmarks/own_words.py [RUN] --people FOLDER   # FOLDER/<speaker>/<word>_<number>.wav
    python benchmarks/own_words.py --english RECORDINGS    # three words by people

RUN is a run of `keywords` that knows 35 words. For each seed ten clips a word, of as many speakers,
are drawn from the training speakers; all clips of the testing speakers are the test. The first
two trainings have the same clips, steps and seed; only the weights they begin with differ; without
RUN they are left out. The others are last layers on the model that comes with kws, and also have
all other words: `--head-only`, and prototypes, the nearest mean embedding of a class by the cosine
(Snell et al. 2017, https://arxiv.org/abs/1703.05175, with the cosine of Vinyals et al. 2016). "Of
the words alone" is the share that is right if silence and unknown cannot be answered.

--english trains on validation clips of speech_commands_people and tests on speech_commands_excerpt,
speakers whom the body was not trained on; each seed draws three of ten words, and clips of the
other seven, by people, count as other words in the test. The body was trained on these ten as other
words, though.
"""

import argparse
import json
import random
import shutil
import tempfile
from collections import defaultdict
from pathlib import Path

import torch

from kws.cli import run
from kws.data.embedded.corpus import make_corpus
from kws.data.listing import read_listing
from kws.data.protocols import own_protocol
from kws.inference.evaluate import evaluate, load_split
from kws.metrics import Proportion, percent
from kws.models.classifier import CosineLogits
from kws.training.batches import evaluation_batches
from kws.training.checkpoint import load_model
from kws.training.loop import fit
from kws.training.new_head import embed, head_of
from kws.training.recipe import load_recipe
from kws.training.splits import load_splits

ENGLISH = ("bed", "cat", "happy", "zero", "one", "two", "three", "four", "five", "eight")
GERMAN = ("ja", "nein", "hoch", "runter", "links", "rechts", "an", "aus", "halt", "los")
CLIPS = 10  # of a word


def by_speaker(folder: Path, out: Path) -> Path:
    """`<speaker>/<word>_<number>.wav` as `<word>/<speaker>_nohash_<number>.wav`; a third tests."""
    people = sorted(path for path in folder.iterdir() if path.is_dir())
    lists: dict[str, list[str]] = {"validation": [], "testing": []}
    for place, person in enumerate(people):
        for clip in sorted(person.glob("*.wav")):
            word, _, number = clip.stem.rpartition("_")
            name = f"{word}/{person.name}_nohash_{number}.wav"
            (out / word).mkdir(parents=True, exist_ok=True)
            shutil.copyfile(clip, out / name)
            if place % 3 == 0:
                lists["testing"].append(name)
            elif place % 9 == 1:
                lists["validation"].append(name)
    for split, names in lists.items():
        (out / f"{split}_list.txt").write_text("\n".join(names) + "\n")
    return out


def few(corpus: Path, words: list[str], seed: int, out: Path) -> Path:
    """The corpus with ten training clips a word, of different speakers where there are as many;
    of other words it has those of the test."""
    listing = read_listing(corpus)
    splits = dict(zip(listing.names, listing.splits, strict=True))
    kept: dict[str, list[str]] = defaultdict(list)
    for word in words:
        names = [name for name in listing.names if name.startswith(f"{word}/")]
        own = [name for name in names if splits[name] == "training"]
        random.Random(f"{seed} {word}").shuffle(own)
        turn: dict[str, int] = defaultdict(int)
        order = []
        for name in own:
            speaker = name.partition("_nohash_")[0]
            order.append((turn[speaker], len(order), name))
            turn[speaker] += 1
        kept["training"] += [name for _, _, name in sorted(order)[:CLIPS]]
        kept["validation"] += [name for name in names if splits[name] == "validation"]
    kept["testing"] = [name for name in listing.names if splits[name] == "testing"]
    for split in ("validation", "testing"):
        (out / f"{split}_list.txt").parent.mkdir(parents=True, exist_ok=True)
        (out / f"{split}_list.txt").write_text("\n".join(sorted(kept[split])) + "\n")
    for name in (name for names in kept.values() for name in names):
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(corpus / name, out / name)
    return out


def train(data: Path, words: list[str], init: Path | None, seed: int, epochs: int) -> Proportion:
    """Accuracy on the testing speakers, of words, silence and unknown."""
    settings = [
        f'data.protocol="{own_protocol(words).name}"',
        f"train.seed={seed}",
        f"train.epochs={epochs}",
        "train.batch_size=16",
    ]
    recipe = load_recipe("keywords", settings)
    training, validation = load_splits(recipe, data)
    out = data.parent / f"run-{init is not None}"
    fit(recipe, train=training, validation=validation, out=out, init=init, progress=False)
    trained = load_model(out)
    found = evaluate(trained, load_split(trained, data, "testing"))[0].accuracy
    shutil.rmtree(out)
    return found


def new_heads(data: Path, words: list[str]) -> dict[str, dict[str, Proportion]]:
    """Of a softmax and of prototypes on the model that comes with kws: the testing speakers' words
    that are right, with all answers and of the words alone, and clips of other words and silence
    that are taken for one of them."""
    arguments = ["train", "keywords", "--data", data, "--words", ",".join(words), "--head-only"]
    out = data.parent / "head"
    assert run([str(each) for each in (*arguments, "--out", out)]) == 0
    trained = load_model(out)
    shutil.rmtree(out)
    parts = {}
    for split in (load_splits(trained.recipe, data)[0], load_split(trained, data, "testing")):
        batches = list(evaluation_batches(split, trained.recipe, trained.normalizer))
        labels = torch.cat([batch.labels for batch in batches])
        parts[split.split] = embed(trained.model, batches), labels
    (known, classes), (tested, truth) = parts["training"], parts["testing"]
    means = [known[classes == c].mean(dim=0) for c in range(len(trained.labels))]
    prototypes = CosineLogits(known.shape[1], len(means), scale=1.0)
    prototypes.weight.data = torch.stack(means)
    return {
        name: score_words(head(tested).detach(), truth, len(means) - len(words))
        for name, head in (("--head-only", head_of(trained.model)), ("prototypes", prototypes))
    }


def score_words(logits: torch.Tensor, truth: torch.Tensor, first: int) -> dict[str, Proportion]:
    """Figures of logits whose columns from `first` on are the words."""
    given, is_word = logits.argmax(dim=1), truth >= first
    alone = logits[:, first:].argmax(dim=1) + first
    right, right_alone = ((each == truth)[is_word] for each in (given, alone))
    taken = (given >= first)[~is_word]
    found = {"words": right, "of the words alone": right_alone, "false accepts": taken}
    return {name: Proportion(correct=int(x.sum()), n=len(x)) for name, x in found.items()}


def english(recordings: Path, out: Path) -> Path:
    """Clips of ENGLISH whose speakers the body was not trained on, and what else there is."""
    people, excerpt = (recordings / f"speech_commands_{name}" for name in ("people", "excerpt"))
    known = (people / "validation_list.txt").read_text().split()
    tested = [f"{word}/{path.name}" for word in ENGLISH for path in (excerpt / word).iterdir()]
    for name in sorted({*known, *tested}):
        if name.partition("/")[0] in ENGLISH:
            (out / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile((excerpt if name in tested else people) / name, out / name)
    (out / "testing_list.txt").write_text("\n".join(sorted(tested)) + "\n")
    spare = [name for word in ENGLISH for name in sorted(known) if name.startswith(f"{word}/")][::6]
    (out / "validation_list.txt").write_text("\n".join(spare) + "\n")  # not read by a last layer
    return out


def main() -> None:
    """Print a line a seed and kind, then one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, nargs="?")
    parser.add_argument("--people", type=Path)
    parser.add_argument("--english", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=40)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows, heads = [], []
    with tempfile.TemporaryDirectory() as scratch:
        if arguments.people:
            corpus = by_speaker(arguments.people, Path(scratch) / "people")
            words = sorted(read_listing(corpus).words)
        elif arguments.english:
            corpus = english(arguments.english, Path(scratch) / "en")
            words = [str(word) for word in ENGLISH]
        else:
            words = [str(word) for word in GERMAN]
            corpus = make_corpus(
                Path(scratch) / "de", speakers=100, repetitions=2, words=words, voice="gmw/de"
            )
        for seed in range(arguments.seeds):
            drawn = sorted(random.Random(seed).sample(words, 3)) if arguments.english else words
            data = few(corpus, drawn, seed, Path(scratch) / f"few-{seed}" / "data")
            bodies = (("from scratch", None), ("--init", arguments.run)) if arguments.run else ()
            for name, init in bodies:
                found = train(data, drawn, init, seed, arguments.epochs)
                print(f"seed {seed}, {name}: {found}", flush=True)
                rows.append({"seed": seed, "init": init is not None, **found.as_dict()})
            for name, figures in new_heads(data, drawn).items():
                texts = (f"{key} {each}" for key, each in figures.items())
                print(f"seed {seed}, {' '.join(drawn)}, {name}: {', '.join(texts)}", flush=True)
                heads.append((seed, name, figures))
    for key in sorted({row["init"] for row in rows}):
        mean = sum(row["accuracy"] for row in rows if row["init"] == key) / arguments.seeds
        print(f"mean, {'--init' if key else 'from scratch'}: {percent(mean)} %")
    for head in sorted({name for _, name, _ in heads}):
        of_head = [figures for _, name, figures in heads if name == head]
        texts = []
        for key in of_head[0]:
            correct, n = (
                sum(getattr(each[key], of) for each in of_head) for of in ("correct", "n")
            )
            texts.append(f"{key} {Proportion(correct=correct, n=n)}")
        print(f"all seeds together, {head}: {', '.join(texts)}")
    figures_of_heads = [
        {"seed": seed, "head": name, **{key: each.as_dict() for key, each in figures.items()}}
        for seed, name, figures in heads
    ]
    kind = {"benchmark": "own_words", "people": bool(arguments.people or arguments.english)}
    print(json.dumps({**kind, "rows": rows, "heads": figures_of_heads}))


if __name__ == "__main__":
    main()
