"""A right notebook after editors, downloads and mail programs: no case may cost a point.

Each case turns the JSON of a notebook into the submitted file: name and bytes.
"""

import io
import json
import zipfile
from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any

Notebook = dict[str, Any]
File = tuple[str, bytes]


def _written(notebook: Notebook, name: str = "answer.ipynb", encoding: str = "utf-8") -> File:
    return name, json.dumps(notebook, indent=1, ensure_ascii=False).encode(encoding)


def _code(*lines: str) -> dict[str, Any]:
    source = "\n".join(lines)
    return {"cell_type": "code", "metadata": {}, "source": source, "outputs": []}


def stripped_metadata(notebook: Notebook) -> File:
    """Saved by an editor that keeps only text: no ids, no tags."""
    kept = ("cell_type", "source")
    cells = [{key: cell[key] for key in kept} | {"metadata": {}} for cell in notebook["cells"]]
    return _written({**notebook, "cells": cells, "metadata": {}})


def duplicated_cells(notebook: Notebook) -> File:
    twice = [deepcopy(cell) for cell in notebook["cells"] for _ in range(2)]
    return _written({**notebook, "cells": twice})


def one_cell(notebook: Notebook) -> File:
    sources = [cell["source"] for cell in notebook["cells"] if cell["cell_type"] == "code"]
    return _written({**notebook, "cells": [_code(*sources)]})


def magics(notebook: Notebook) -> File:
    extra = _code("%matplotlib inline", "!pip install torch", "x = !ls")
    return _written({**notebook, "cells": [extra, *notebook["cells"]]})


def slip_in_a_cell(notebook: Notebook) -> File:
    """A cell that is not Python, between the answers."""
    half = len(notebook["cells"]) // 2
    cells = [*notebook["cells"][:half], _code("def half(:"), *notebook["cells"][half:]]
    return _written({**notebook, "cells": cells})


def endless_training(notebook: Notebook) -> File:
    """A cell that would never end, if it ran."""
    return _written({**notebook, "cells": [*notebook["cells"], _code("while True:", "    pass")]})


def much_output(notebook: Notebook) -> File:
    cells = deepcopy(notebook["cells"])
    output = {"output_type": "stream", "name": "stdout", "text": "loss 0.1\n" * 1_000_000}
    next(c for c in cells if c["cell_type"] == "code")["outputs"] = [output]
    return _written({**notebook, "cells": cells})


def cut_off(notebook: Notebook) -> File:
    """A truncated upload, which a person reviews."""
    name, data = _written(notebook)
    return name, data[: len(data) // 2]


def utf_16(notebook: Notebook) -> File:
    """Saved as UTF-16."""
    return _written(notebook, encoding="utf-16")


def marked_for_windows(notebook: Notebook) -> File:
    """A byte order mark, and Windows newlines."""
    name, data = _written(notebook, encoding="utf-8-sig")
    return name, data.replace(b"\n", b"\r\n")


def older_format(notebook: Notebook) -> File:
    """nbformat 3: worksheets, and `input` in the place of `source`."""
    cells = [
        {**cell, "input": cell["source"], "language": "python"}
        if cell["cell_type"] == "code"
        else cell
        for cell in notebook["cells"]
    ]
    for cell in cells:
        if "input" in cell:
            cell.pop("source")
    table = {"nbformat": 3, "nbformat_minor": 0, "metadata": {}, "worksheets": [{"cells": cells}]}
    return _written(table)


def script(notebook: Notebook) -> File:
    sources = [cell["source"] for cell in notebook["cells"] if cell["cell_type"] == "code"]
    return "answer.py", "\n\n\n".join(sources).encode()


def zip_in_a_zip(notebook: Notebook) -> File:
    """Packed twice, with what a Mac adds."""
    name, data = _written(notebook, "my answer (1).ipynb")
    for inner in ("homework/", ""):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr(f"{inner}{name}", data)
            archive.writestr(f"__MACOSX/{inner}._{name}", b"\0")
        name, data = "hand in.zip", buffer.getvalue()
    return name, data


BROKEN: Mapping[str, Callable[[Notebook], File]] = {
    case.__name__.replace("_", " "): case
    for case in (
        stripped_metadata,
        duplicated_cells,
        one_cell,
        magics,
        slip_in_a_cell,
        endless_training,
        much_output,
        utf_16,
        marked_for_windows,
        older_format,
        script,
        zip_in_a_zip,
    )
}
