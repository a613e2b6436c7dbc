"""What train and evaluate do for models that speak or draw codes, whose data the engine says."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from kws.files import write_text

if TYPE_CHECKING:
    from kws.training.objective import Objective, ObjectiveRun
    from kws.training.recipe import Recipe


def begin_generator(
    recipe: "Recipe", out: Path, device: str, resume: bool, init: Path | None
) -> "ObjectiveRun":
    """A run that learns from what the engine says, announced."""
    from kws.device import choose_device
    from kws.models.counts import count_parameters
    from kws.training.objective import begin

    place, progress = choose_device(device), sys.stderr.isatty()

    def objective() -> "Objective":
        if recipe.data.task == "speech":
            from kws.training.voice_run import speaking

            return speaking(recipe, place)
        if recipe.data.task == "codec":
            from kws.training.codec_run import coding

            return coding(recipe, place, progress=progress)
        from kws.training.prior_run import drawing, known_codec

        return drawing(recipe, known_codec(init, out, resume=resume), place, progress=progress)

    learned = objective()
    run = begin(learned, out, resume=resume)
    what = "phrases" if recipe.data.task == "speech" else "clips"
    print(f"training: {len(learned):,} {what} that the speech engine says")
    parameters = count_parameters(learned.model)
    print(f"{recipe.model.name}: {parameters:,} parameters, on {place}", flush=True)
    return run


def evaluate_generator(run: Path, split: str, listen: bool) -> None:
    """Print what a voice, a codec or a prior reaches on a split that the engine says again."""
    from kws.inference.generator_figures import measure_generator

    found = measure_generator(run, split, listen=listen, progress=sys.stderr.isatty())
    print(f"{found.model}, step {found.step:,}, {split}: {found.data}")
    print(*found.lines, sep="\n")
    out = (run if run.is_dir() else run.parent) / f"figures-{split}.json"
    table = {"data": found.data, "step": found.step, **found.figures}
    write_text(out, json.dumps(table, ensure_ascii=False, indent=1) + "\n")
    print(f"written: {out}")
