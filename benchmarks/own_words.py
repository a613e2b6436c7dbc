"""What a pretrained body is worth with ten clips a word: `--init` and `--head-only`, or nothing.

    python benchmarks/own_words.py RUN                     # other words of a language, embedded
    python benchmarks/own_words.py RUN --people FOLDER     # FOLDER/<speaker>/<word>_<number>.wav

RUN is a run of `keywords` that knows 35 words. For each seed ten clips a word, of as many speakers,
are drawn from the training speakers; all clips of the testing speakers are the test. The first
two trainings have the same clips, steps and seed; only the weights they begin with differ. The
third, `--head-only`, is on the model that comes with kws, and also has all other words.
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
from kws.training.checkpoint import load_model
from kws.training.loop import fit
from kws.training.recipe import load_recipe
from kws.training.splits import load_splits

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
    """The corpus with ten training clips a word, of different speakers where there are as many."""
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
        for split in ("validation", "testing"):
            kept[split] += [name for name in names if splits[name] == split]
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


def new_head(data: Path, words: list[str]) -> tuple[Proportion, Proportion]:
    """Accuracy on the testing speakers' words, and how many other words and silences are taken
    for one of them; the last layer alone is trained."""
    arguments = ["train", "keywords", "--data", data, "--words", ",".join(words), "--head-only"]
    out = data.parent / "head"
    assert run([str(each) for each in (*arguments, "--out", out)]) == 0
    trained = load_model(out)
    found = evaluate(trained, load_split(trained, data, "testing"))[0]
    shutil.rmtree(out)
    own = found.matrix[len(found.labels) - len(words) :]
    right = int(found.matrix.diagonal()[-len(words) :].sum())
    return Proportion(correct=right, n=int(own.sum())), found.false_accepts


def main() -> None:
    """Print a line a seed and kind, then one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--people", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=40)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows, heads = [], []
    with tempfile.TemporaryDirectory() as scratch:
        if arguments.people:
            corpus = by_speaker(arguments.people, Path(scratch) / "people")
            words = sorted(read_listing(corpus).words)
        else:
            words = [str(word) for word in GERMAN]
            corpus = make_corpus(
                Path(scratch) / "de", speakers=100, repetitions=2, words=words, voice="gmw/de"
            )
        for seed in range(arguments.seeds):
            data = few(corpus, words, seed, Path(scratch) / f"few-{seed}" / "data")
            for name, init in (("from scratch", None), ("--init", arguments.run)):
                found = train(data, words, init, seed, arguments.epochs)
                print(f"seed {seed}, {name}: {found}", flush=True)
                rows.append({"seed": seed, "init": init is not None, **found.as_dict()})
            found, accepted = new_head(data, words)
            print(f"seed {seed}, --head-only: {found}, false accepts {accepted}", flush=True)
            heads.append({"seed": seed, **found.as_dict(), "false_accepts": accepted.as_dict()})
    means = {
        key: sum(row["accuracy"] for row in rows if row["init"] == key) / arguments.seeds
        for key in (False, True)
    }
    print(f"mean: from scratch {percent(means[False])} %, --init {percent(means[True])} %")
    kind = {"benchmark": "own_words", "people": bool(arguments.people)}
    print(json.dumps({**kind, "rows": rows, "head_only": heads}))


if __name__ == "__main__":
    main()
