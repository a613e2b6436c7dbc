"""Correct work keeps its definitions, whatever happened to the file, and repairs are named."""

import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from grader.submission.ipynb import Slim
from tests.grader.conftest import code_beside
from tests.grader.submission.conftest import (
    ATTEND,
    BLANK,
    CHECK,
    HEADS,
    IMPORTS,
    NOTEBOOK,
    TRAINING,
    cell,
    dump,
    is_right,
    make_notebook,
    read,
    run,
    write,
    zipped,
)

SAYS = code_beside(__file__)
Files = dict[str, bytes | str | Callable[[Path], object]]  # what is written, or makes the file
NAME, COPY, HAND_IN = "02_attention.ipynb", "02_attention (1).ipynb", "hand_in.zip"
CELLS = make_notebook()["cells"]
TEXT, IMPORTING, ANSWER, CHECKING, _, TRAINS = CELLS
TODO = cell("code", BLANK, "export")


def book(*cells: object, **more: object) -> Files:
    return {NAME: dump(make_notebook() | {"cells": cells} | more)}


def more(kind: str, source: str) -> Files:
    return book(*CELLS, cell(kind, source))


def swap(number: int, source: object, kind: str = "code") -> Files:
    """With another source in one cell."""
    return book(*CELLS[: number - 1], cell(kind, source), *CELLS[number:])  # type: ignore


def sources(change: Callable[[str], object]) -> Files:
    return book(*({**each, "source": change(each["source"])} for each in CELLS))


def packed(files: dict) -> Files:
    return {HAND_IN: zipped(files)}


def zipped_often(times: int) -> bytes:
    data = NOTEBOOK if times == 1 else zipped_often(times - 1)
    return zipped({NAME if times == 1 else "a.zip": data})


def stripped() -> bytes:
    bare = [{key: each[key] for key in each if key != "id"} | {"metadata": {}} for each in CELLS]
    return dump(make_notebook() | {"cells": bare, "metadata": {}})


def older_format() -> bytes:
    kinds = [each["cell_type"] for each in CELLS]
    cells = [
        {"cell_type": kind, "input" if kind == "code" else "source": each["source"]}
        for kind, each in zip(kinds, CELLS, strict=True)
    ]
    return dump({"worksheets": [{"cells": cells[:3]}, {"cells": cells[3:]}], "nbformat": 3})


def link_in_zip() -> zipfile.ZipInfo:
    link = zipfile.ZipInfo("02_attention.py")
    link.external_attr = 0o120777 << 16
    return link


ODD_CELLS = [None, 3, "x", {}, {"cell_type": "code"}, {"source": 3}]
ODD_CELLS.append({"cell_type": [], "source": {}})
PRINTED = [{"output_type": "stream", "text": ["x" * 99 + "\n"] * 99_999}]
MAGICS = "%matplotlib inline\n!pip install torch \\\n  numpy\nattend?\nfiles = !ls\n"
PARTS = (IMPORTS, ATTEND, HEADS, TRAINING)
SCRIPT = "\n\n\n".join(PARTS) + "\n"
PERCENT = "# %% [markdown]\n# # 2\n\n# %%\n" + "\n\n# %%\n".join(PARTS) + "\n"
EXPORTED = "#!/usr/bin/env python\n# coding: utf-8\n\n# # 2. Attention\n\n# In[1]:\n\n\n"
EXPORTED += "\n\n\n# In[3]:\n\n\n".join(("get_ipython().system('pip install torch')\n", *PARTS))
POOL = "def pool(x):\n    return x\n\n\nclass Speakers:\n    pass"
CONFLICT = b"<<<<<<< HEAD\n1\n=======\n2\n>>>>>>> b\n"
SLIPPED = cell("code", f'{ATTEND}\n    raise NotImplementedError("TODO 2.1")')
FILES: dict[str, Files | Callable[[], Files]] = {
    "untouched": {NAME: NOTEBOOK},
    "imports first, other cells shuffled": book(
        TRAINS, IMPORTING, CELLS[4], CHECKING, ANSWER, TEXT
    ),
    "other cells deleted": book(*CELLS[1:3], CELLS[4]),
    "all in one cell": book(cell("code", "\n".join((IMPORTS, ATTEND, CHECK, HEADS, TRAINING)))),
    "source as lines": sources(lambda source: source.splitlines(keepends=True)),
    "source as lines without newlines": sources(str.splitlines),
    "Windows newlines in the source": sources(lambda source: source.replace("\n", "\r\n")),
    "odd cells": book(*CELLS, *ODD_CELLS),
    "huge outputs": lambda: book(*CELLS[:3], {**CHECKING, "outputs": PRINTED}, *CELLS[4:]),
    "nothing but the list of cells": {NAME: json.dumps(CELLS)},
    "indented cell": swap(3, "    " + ATTEND.replace("\n", "\n    ")),
    "UTF-8 with its mark": {NAME: b"\xef\xbb\xbf" + NOTEBOOK},
    "Windows newlines": {NAME: NOTEBOOK.replace(b"\n", b"\r\n")},
    "script": {"02_attention.py": SCRIPT},
    "script for Windows, another name": {"solution.py": "\ufeff" + SCRIPT.replace("\n", "\r\n")},
    "percent script": {"02_attention.py": PERCENT},
    "exported script": {"02_attention.py": EXPORTED},
    "in a folder": {f"work/assignments/{NAME}": NOTEBOOK},
    "notebook as a folder": {f"{NAME}/notebook.ipynb": NOTEBOOK},
    "checkpoints beside": {
        f"work/{NAME}": NOTEBOOK,
        "work/.ipynb_checkpoints/02_attention-checkpoint.ipynb": book(TODO)[NAME],
    },
    "whole kit": {
        f"work/assignments/{NAME}": NOTEBOOK,
        "work/kws/models/attention.py": BLANK,
        "work/conftest.py": "import os\nos._exit(0)\n",
    },
    "zip": packed({f"work/{NAME}": NOTEBOOK}),
    "zip of a Mac": packed({NAME: NOTEBOOK, f"__MACOSX/._{NAME}": b"\0\5\x16\7"}),
    "zip in a folder": {f"work/{HAND_IN}": zipped_often(1)},
    "zip in a zip": {HAND_IN: zipped_often(2)},
    "zip called notebook": {NAME: zipped_often(1)},
    "zip that leads out": packed({f"../../{NAME}": NOTEBOOK, "/etc/a.txt": b"root", "..": b""}),
    "copy by Colab in Japanese": {f"work/{NAME} のコピー": NOTEBOOK},
    "download not renamed": {f"work/{NAME}.download": NOTEBOOK},
    "notebook called script": {"02_attention.py": NOTEBOOK},
    "notebook called text": {f"{NAME}.txt": NOTEBOOK},
    "script called notebook": {NAME: SCRIPT},
    "metadata stripped": {NAME: stripped()},
    "stripped and renamed": {"final version (2).ipynb": stripped()},
    "older format": {NAME: older_format()},
    "a cell twice": book(*CELLS[:3], ANSWER, *CELLS[3:]),
    "TODO above": book(*CELLS[:2], TODO, *CELLS[2:]),
    "TODO below": book(*CELLS, TODO),
    "raw try": more("raw", "def attend(q, k):\n    return 3"),
    "raise left below": book(*CELLS[:2], SLIPPED, *CELLS[3:], TODO),
    "markdown cell": swap(3, ATTEND, "markdown"),
    "fenced in markdown": swap(3, f"My answer:\n\n```python\n{ATTEND}\n```\nDone.", "markdown"),
    "raw cell": swap(2, IMPORTS, "raw"),
    "magics": swap(2, MAGICS + IMPORTS),
    "cell magic": swap(3, "%%time\n" + ATTEND),
    "bash": more("code", "%%bash\ndef attend\nrm -rf x"),
    "slip elsewhere": swap(6, "def plot(:\n    pass"),
    "slip above": swap(3, "x = = 3\n" + ATTEND),
    "slip below": swap(3, ATTEND + "\nprint(attend(3\nx = 3"),
    "pasted from a page": swap(3, ATTEND.replace(" " * 4, "\u00a0" * 4)),
    "tabs among spaces": swap(3, ATTEND.replace("    return", "\treturn")),
    "UTF-16": {NAME: NOTEBOOK.decode().encode("utf-16")},
    "Latin-1": {NAME: NOTEBOOK.replace(b"Average", "Größe".encode("latin-1"))},
    "script with a slip": {"02_attention.py": SCRIPT + "\nprint('half a line\n"},
    "TODO copy beside": {f"work/{COPY}": NOTEBOOK, f"work/{NAME}": book(TODO)[NAME]},
    "link beside": {NAME: NOTEBOOK, "02_link.ipynb": lambda path: path.symlink_to("/etc/passwd")},
    "pipe beside": {NAME: NOTEBOOK, "02_attention.py": os.mkfifo},
    "zip with a link": packed({NAME: NOTEBOOK, link_in_zip(): b"/etc/passwd"}),
    "zip bomb": lambda: packed({NAME: NOTEBOOK, "a.txt": bytes(65 << 20)}),
    "zip of many large files": lambda: packed(
        {NAME: NOTEBOOK} | {f"{n}.txt": bytes(60 << 20) for n in range(5)}
    ),
    "zip in zips without end": packed({NAME: NOTEBOOK, "a.zip": zipped_often(5)}),
    # left to a person: never a 0
    "cut": {NAME: NOTEBOOK[:900]},
    "merge conflict": {NAME: NOTEBOOK.replace(b'"execution_count": 1', CONFLICT, 1)},
    "no bytes": {NAME: b""},
    "too large": lambda: swap(1, "x" * (65 << 20), "markdown"),
    "another assignment": book(cell("code", POOL)),
    "something else": book(cell("code", "x = 3")),
    "cut beside a TODO copy": {NAME: NOTEBOOK[:900], COPY: book(TODO)[NAME]},
}


def handed_in(folder: Path, files: Files) -> Path:
    """The only file or folder at the top, or else the folder of all."""
    top = list(write(folder, files).iterdir())
    return top[0] if len(top) == 1 else folder


@pytest.mark.parametrize("name", FILES)
def test_correct_work_keeps_its_definitions_repairs_are_named_and_the_rest_is_for_a_person(
    name, tmp_path
):
    files = FILES[name]
    path = handed_in(tmp_path, files() if callable(files) else files)
    if name in SAYS["unread"]:
        assert SAYS["unread"][name] in read(tmp_path).unread
        return
    submission = read(path, None)
    assert submission.assignment == "02"
    assert is_right(run(submission)), submission.repairs
    sentence = SAYS["repairs"].get(name)
    if sentence is None:
        assert submission.repairs == ()
    else:
        assert any(sentence in repair for repair in submission.repairs), submission.repairs
    assert all("\n" not in repair for repair in submission.repairs)


def test_outputs_of_any_size_are_dropped_and_figures_kept(tmp_path):
    printed = {"output_type": "stream", "text": ['loss \\ "0.1]"\n' * 100] * 25_000}
    figure = {"output_type": "display_data", "data": {"image/png": "aGk="}}
    outputs = [printed, figure, {"text": "x" * 30_000_000}]
    path = handed_in(tmp_path, book(*CELLS[:3], {**CHECKING, "outputs": outputs}, *CELLS[4:]))
    assert path.stat().st_size > 64 << 20
    submission = read(path)
    assert is_right(run(submission))
    assert (submission.unread, submission.repairs) == ("", ())
    assert json.loads(submission.handed_in)["cells"][3]["outputs"] == [figure]


@pytest.mark.parametrize("size", [1, 7, 4096])
def test_no_part_of_a_notebook_but_its_outputs_is_dropped(size):
    notebook = make_notebook()
    notebook["cells"][1]["source"] += '\nx = "\\\\" + \'"outputs": [\' # [{'
    data, slim = dump(notebook), Slim()
    for begin in range(0, len(data), size):
        slim.feed(data[begin : begin + size])
    for each in notebook["cells"]:
        each |= {"outputs": []} if "outputs" in each else {}
    assert json.loads(slim.kept) == notebook
