"""The weights that lie beside a lone notebook and are not handed in with it by name.

Whoever grades one file of a folder means the weights that its student trained; what begins with the
same number may be another student's.
"""

import re
from pathlib import Path, PurePosixPath

from grader.adapters import ASSIGNMENTS
from grader.salvage.archive import MAX_FILE, WEIGHTS, Collected, File


def add_weights_beside(collected: Collected, path: Path) -> None:
    """For a lone notebook: the weights in its folder that can be no other's.

    Those called like it; or else `model`, those called like an assignment, and those that begin
    with an assignment's number as the notebook does, where no second file does.
    """
    beside = [
        file
        for file in sorted(path.parent.glob(f"*{WEIGHTS}"))
        if file.is_file() and not file.is_symlink()
    ]
    own = [file for file in beside if file.stem == path.stem]
    called = {"model", *(each.stem for each in ASSIGNMENTS.values())}
    usual = [file for file in beside if file.stem in called or re.fullmatch(r"0?\d", file.stem)]
    number = re.match(r"0?(\d)[_.-]", path.name)
    alike = [file for file in beside if number and re.match(rf"0?{number[1]}(?!\d)", file.stem)]
    if not own and len(alike) > 1 and not set(alike) & set(usual):
        names = ", ".join(file.name for file in alike)
        collected.note(f"of {names} none was read: call the right one {path.stem}{WEIGHTS}")
    elif len(alike) == 1:
        usual = sorted({*usual, *alike})
    for file in own or usual:
        if file.stat().st_size > MAX_FILE:
            collected.note(f"{file.name} is larger than {MAX_FILE >> 20} MiB and was not read")
        else:
            collected.files.append(File(path=PurePosixPath(file.name), data=file.read_bytes()))
