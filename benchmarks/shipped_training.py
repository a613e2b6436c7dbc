"""Train the model that comes with kws, kws/pretrained/keywords.pt, on clips of people.

    python benchmarks/shipped_training.py RECORDINGS RUN --train [--more CLIPS]
    python benchmarks/shipped_training.py RECORDINGS RUN --end [--more CLIPS]
    python benchmarks/shipped_training.py RECORDINGS RUN
    python benchmarks/shipped_training.py RECORDINGS RUN --distill TEACHER …

RECORDINGS has speech_commands_people/ (words, and lists of the speakers for validation) and
speech_commands_excerpt/, of which only _background_noise_ is read here: its clips of words are part
of the official test. CLIPS are more of the same, by `data_scripts/collect_clips.py`. The first
command trains as the recipe keywords-stream says, the second goes on from its averaged weights, in
RUN-end, as keywords-sentences says; both continue what was interrupted. The third writes the
weights halfway between those at the end of RUN and of RUN-end (Wortsman et al. 2022,
https://arxiv.org/abs/2109.01903), rounded to 16 bits. RUN may also be a checkpoint: a copy of
kws/pretrained/keywords.pt, to train on.
`benchmarks/shipped.py` measures them and writes their card. The third also writes keywords.onnx,
the same weights as a graph for onnxruntime; --graph does that alone. --distill is tried, and not
what ships: in place of --end, with most of each target from the mean of the teachers' probabilities
(`benchmarks/distillation.py`).
"""

import argparse
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import onnx
import torch
from distillation import distill
from onnx import numpy_helper

from kws.cli import run as run_command
from kws.files import write_bytes
from kws.inference.export import export_onnx
from kws.inference.onnx_stream import SHIPPED_ONNX
from kws.inference.small_graph import with_short_names
from kws.training.checkpoint import (
    SHIPPED,
    load_model,
    read_checkpoint,
    save_checkpoint,
    weights_of,
)
from kws.training.recipe import load_recipe
from kws.training.splits import load_splits

RECIPE, THEN = "keywords-stream", "keywords-sentences"
SHARE = 0.9  # of a target that the teachers give
DISTILLING_STEPS = 3600
SMALLEST = 256  # numbers of a tensor that is worth a node of its own


def gather(recordings: Path, out: Path, more: Path | None = None) -> Path:
    """A folder with the words of people, more clips of them, and the background noise, as links.

    Without lists: the rule of the archive, which the lists of the people follow, divides them all.
    """
    clips = sorted((recordings / "speech_commands_people").glob("*/*_nohash_*"))
    noises = (recordings / "speech_commands_excerpt" / "_background_noise_").iterdir()
    for path in (*clips, *noises, *(more.glob("*/*_nohash_*") if more else ())):
        (out / path.parent.name).mkdir(parents=True, exist_ok=True)
        if not (link := out / path.parent.name / path.name).exists():
            link.symlink_to(path.resolve())
    return out


def main() -> None:
    """Train, end a training, or write what was trained."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recordings", type=Path)
    parser.add_argument("run", type=Path, help="its data are linked in RUN-data")
    parser.add_argument("--more", type=Path, metavar="CLIPS")
    parser.add_argument("--train", action="store_true")
    parser.add_argument("--end", action="store_true")
    parser.add_argument("--distill", type=Path, nargs="+", metavar="TEACHER")
    parser.add_argument("--graph", action="store_true")
    chosen = parser.parse_args()
    run, end = chosen.run, chosen.run.with_name(f"{chosen.run.name}-end")
    first = run / "last.pt" if run.is_dir() else run
    data = run.with_name(f"{run.name}-data")
    if chosen.train or chosen.end or chosen.distill:
        gather(chosen.recordings, data, chosen.more)
    if chosen.distill:
        recipe = load_recipe(THEN, [f"train.total_steps={DISTILLING_STEPS}"])
        teachers = [load_model(each) for each in chosen.distill]
        distill(recipe, load_splits(recipe, data), teachers, end, share=SHARE, init=first)
        return
    if chosen.train or chosen.end:
        command = ["train", "--data", str(data), "--device", "cpu", "--resume", "--out"]
        command += [str(run), RECIPE] if chosen.train else [str(end), THEN, "--init", str(first)]
        raise SystemExit(run_command(command))
    if chosen.graph:
        write_graph()
        return
    commit = subprocess.check_output(["git", "rev-parse", "--short=7", "HEAD"], text=True).strip()
    paths = [each for each in (first, end / "last.pt") if each.exists()]
    states = [read_checkpoint(each) for each in paths]
    parts = [each.get("made") or f"{each['step']:,} steps, at commit {commit}" for each in states]
    made = ", then ".join(parts)
    several = [weights_of(each) for each in states]
    weights = {
        name: torch.stack([each[name].float() for each in several]).mean(0).half()
        if weight.is_floating_point()
        else weight
        for name, weight in several[-1].items()
    }
    out, kept = SHIPPED["keywords"], {**states[-1], "weights": weights, "made": made}
    save_checkpoint(out, {key: value for key, value in kept.items() if key != "training"})
    print(f"{out}: {out.stat().st_size / 1000:.0f} kB, {made}")
    write_graph()


def write_graph() -> None:
    """The same model for onnxruntime: weights in 16 bits, which become 32 when it is opened."""
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / "plain.onnx"
        export_onnx(load_model("keywords"), plain)
        graph = onnx.load(plain)
    inside, ahead = graph.graph, []
    for tensor in [each for each in inside.initializer if each.data_type == onnx.TensorProto.FLOAT]:
        name, values = tensor.name, numpy_helper.to_array(tensor)
        if values.size < SMALLEST or not np.array_equal(values.astype(np.float16), values):
            continue
        tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}/half"))
        half, kind = [f"{name}/half"], onnx.TensorProto.FLOAT
        ahead.append(onnx.helper.make_node("Cast", half, [name], to=kind))
    for node in ahead:
        inside.node.insert(0, node)
    write_bytes(SHIPPED_ONNX, with_short_names(graph.SerializeToString()))
    print(f"{SHIPPED_ONNX}: {SHIPPED_ONNX.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
