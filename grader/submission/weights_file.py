"""Match trained weights to a notebook, among submitted files and those beside it."""

import re
from pathlib import Path, PurePosixPath

from grader.adapters import ASSIGNMENTS, Assignment
from grader.core.text import listed, short
from grader.submission.archive import PICKLED, WEIGHTS, Collected, File


def add_weights_beside(collected: Collected, path: Path) -> None:
    """For a lone notebook: the weights in its folder that can only be its own."""
    beside = [
        file
        for file in sorted(path.parent.glob(f"*{WEIGHTS}"))
        if file.is_file() and not file.is_symlink()
    ]
    own = [file for file in beside if file.stem == path.stem]
    called = {"model", *(each.stem for each in ASSIGNMENTS.values())}
    usual = [file for file in beside if file.stem in called or re.fullmatch(r"0?\d", file.stem)]
    number = re.match(r"0?(\d)[_.-]", path.name)
    matching = [file for file in beside if number and re.match(rf"0?{number[1]}(?!\d)", file.stem)]
    if not own and len(matching) > 1 and not set(matching) & set(usual):
        names = ", ".join(file.name for file in matching)
        collected.note(f"of {names} none was read: call the right one {path.stem}{WEIGHTS}")
    elif len(matching) == 1:
        usual = sorted({*usual, *matching})
    for file in own or usual:
        collected.add_from_disk(file, file.name, links=False)


def choose_weights(
    assignment: Assignment, answer: PurePosixPath, collected: Collected
) -> tuple[bytes | None, list[str]]:
    """The weights by stem, number or `model`, or the only ones, nearest to the answer; notes."""
    stem = assignment.stem
    ours = re.compile(rf"0?{int(assignment.number)}(?:[_.-].*)?")
    ranked: list[tuple[int, str, bytes]] = []
    others: list[File] = []
    for file in collected.files:
        path = file.path
        if path.suffix.lower() != WEIGHTS:
            continue
        beside, model = path.parent == answer.parent, path.name == f"model{WEIGHTS}"
        if path.stem in (stem, answer.stem):
            rank = 0 if beside else 1
        elif ours.fullmatch(path.stem):
            rank = 2 if beside else 3
        elif model and ours.fullmatch(path.parent.name):
            rank = 4
        elif model and beside:
            rank = 5
        elif model and not re.match(r"\d", path.parent.name):
            rank = 6
        else:
            if not model and not _of_another(path.stem, assignment):
                others.append(file)
            continue
        ranked.append((rank, path.as_posix(), file.data))
    cure = f"call them {stem}{WEIGHTS}"
    if ranked:
        _, name, data = min(ranked)
        rest = sorted(path for _, path, _ in ranked if path != name)
        if not rest or PurePosixPath(name).stem == stem:
            return data, []
        return data, [f"{short(name)} was taken for the weights, and not {listed(rest)}: {cure}"]
    if len(others) == 1:
        return others[0].data, [f"{short(others[0].path)} was taken for the weights: {cure}"]
    if others:
        names = listed(str(file.path) for file in others)
        return None, [f"no weights were read, as {names} may all be meant: {cure}"]
    if pickled := listed(name for name in collected.closed if name.lower().endswith(PICKLED)):
        save = "safetensors.torch.save_file(model.state_dict(), …)"
        return None, [f"{pickled} was not read, as it could run code: save it with {save}"]
    return None, []


def _of_another(stem: str, assignment: Assignment) -> bool:
    others = [each for each in ASSIGNMENTS.values() if each.number != assignment.number]
    return bool(re.match(r"0?\d[_.-]", stem)) or any(each.slug in stem for each in others)
