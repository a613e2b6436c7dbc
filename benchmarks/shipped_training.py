"""Train the model that comes with kws, kws/pretrained/keywords.pt, on clips of people.

    python benchmarks/shipped_training.py RECORDINGS RUN --train [--wide] [--more CLIPS]
    python benchmarks/shipped_training.py RECORDINGS RUN --end [--wide] [--more CLIPS]
    python benchmarks/shipped_training.py RECORDINGS RUN --mean
    python benchmarks/shipped_training.py RECORDINGS RUN --distill TEACHER …
    python benchmarks/shipped_training.py RECORDINGS FIRST --join WIDE

RECORDINGS has speech_commands_people/ (words, and lists of the speakers for validation) and
speech_commands_excerpt/, of which only _background_noise_ is read here: its clips of words are part
of the official test. CLIPS are more of the same, by `data_scripts/collect_clips.py`. The first
command trains as the recipe keywords-stream says, the second goes on from its averaged weights, in
RUN-end, as keywords-sentences says; both continue what was interrupted; --wide trains the wider of
the two networks of `crnn-pair`. The third writes RUN-mean.pt, the weights halfway between those at
the end of RUN and of RUN-end (Wortsman et al. 2022, https://arxiv.org/abs/2109.01903). RUN may also
be a checkpoint. The last joins two such files into keywords.pt, in 8 bits, and writes
keywords.onnx, the same weights as a graph for onnxruntime; `benchmarks/shipped.py` measures them
and writes their card. --distill is tried, and not what ships: in place of --end, with most of each
target from the mean of the teachers' probabilities (`benchmarks/distillation.py`).
"""

import argparse
import subprocess
import tempfile
from pathlib import Path

import torch
from distillation import distill

from kws.cli import run as run_command
from kws.files import write_bytes
from kws.inference.export import export_onnx
from kws.inference.onnx_stream import SHIPPED_ONNX
from kws.inference.small_graph import with_short_names, with_small_weights
from kws.models.pair import CrnnPairConfig, join
from kws.training.checkpoint import (
    SHIPPED,
    load_model,
    model_state,
    new_model,
    quantize_weights,
    read_checkpoint,
    save_checkpoint,
    weights_of,
)
from kws.training.other_words import without_parts
from kws.training.recipe import load_recipe
from kws.training.splits import load_splits

RECIPE, THEN = "keywords-stream", "keywords-sentences"
SHARE = 0.9  # of a target that the teachers give
DISTILLING_STEPS = 3600
PAIR = CrnnPairConfig()
WIDE = [f"model.channels={[*PAIR.wide_channels]}", f"model.hidden_size={PAIR.wide_hidden_size}"]


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
    parser.add_argument("--wide", action="store_true")
    parser.add_argument("--mean", action="store_true")
    parser.add_argument("--distill", type=Path, nargs="+", metavar="TEACHER")
    parser.add_argument("--join", type=Path, metavar="WIDE")
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
    elif chosen.train or chosen.end:
        command = ["train", "--data", str(data), "--device", "cpu", "--resume", "--out"]
        command += [str(run), RECIPE] if chosen.train else [str(end), THEN, "--init", str(first)]
        wide = [word for each in WIDE for word in ("--set", each)] if chosen.wide else []
        raise SystemExit(run_command(command + wide))
    elif chosen.mean:
        write_mean([each for each in (first, end / "last.pt") if each.exists()], f"{run}-mean.pt")
    elif chosen.join:
        write_pair(run, chosen.join)
    else:
        parser.error("nothing to do: choose --train, --end, --mean, --distill or --join")


def write_mean(paths: list[Path], out: str) -> None:
    """The mean of the weights of checkpoints, and how they were made, as a checkpoint."""
    commit = subprocess.check_output(["git", "rev-parse", "--short=7", "HEAD"], text=True).strip()
    states = [read_checkpoint(each) for each in paths]
    parts = [each.get("made") or f"{each['step']:,} steps, at commit {commit}" for each in states]
    several = [weights_of(each) for each in states]
    weights = dict(several[-1])
    for name, weight in several[-1].items():
        if weight.is_floating_point():
            weights[name] = torch.stack([each[name].float() for each in several]).mean(0).half()
    kept = {**states[-1], "weights": weights, "made": ", then ".join(parts)}
    save_checkpoint(out, {key: value for key, value in kept.items() if key != "training"})
    print(f"{out}: {kept['made']}")


def write_pair(*paths: Path) -> None:
    """The model that ships, of a narrow and of a wide network."""
    first, wide = (load_model(each) for each in paths)
    recipe = load_recipe(THEN, ["model.name=crnn-pair"])
    model = new_model(recipe, len(first.labels))
    bodies = [without_parts(each.model).state_dict() for each in (first, wide)]
    without_parts(model).load_state_dict(join(*bodies))
    named = {"labels": first.labels, "protocol": first.protocol, "normalizer": first.normalizer}
    state = model_state(model, recipe=recipe, step=first.step, **named)
    made = [read_checkpoint(each)["made"] for each in paths]
    out = SHIPPED["keywords"]
    save_checkpoint(out, {**quantize_weights(state), "made": f"{made[0]}; the wider one {made[1]}"})
    print(f"{out}: {out.stat().st_size / 1000:.0f} kB")
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / "plain.onnx"
        export_onnx(load_model("keywords"), plain)
        graph = with_small_weights(plain.read_bytes(), lambda _: True)
    write_bytes(SHIPPED_ONNX, with_short_names(graph))
    print(f"{SHIPPED_ONNX}: {SHIPPED_ONNX.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
