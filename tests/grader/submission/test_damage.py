"""Correct work keeps its definitions, whatever happened to the file, and repairs are named."""

import io
import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from grader.submission import read_submissions
from grader.submission.ipynb import Slim
from tests.grader.submission.conftest import (
    ATTEND,
    BLANK,
    CATALOG,
    CHECK,
    HEADS,
    IMPORTS,
    TRAINING,
    cell,
    dump,
    is_right,
    make_notebook,
    run,
)

Files = dict[str, bytes | str | Callable[[Path], object]]  # what is written, or makes the file
NAME, COPY, HAND_IN = "02_attention.ipynb", "02_attention (1).ipynb", "hand_in.zip"
NOTEBOOK = dump(make_notebook())
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


def zipped(files: dict, name: str = HAND_IN) -> Files:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for path, data in files.items():
            archive.writestr(path, data)
    return {name: buffer.getvalue()}


def zipped_often(times: int) -> bytes:
    data = NOTEBOOK if times == 1 else zipped_often(times - 1)
    return zipped({NAME if times == 1 else "a.zip": data})[HAND_IN]  # type: ignore


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


ODD_CELLS = [
    None,
    3,
    "x",
    {},
    {"cell_type": "code"},
    {"source": 3},
    {"cell_type": [], "source": {}},
]
PRINTED = [{"output_type": "stream", "text": ["x" * 99 + "\n"] * 99_999}]
MAGICS = "%matplotlib inline\n!pip install torch \\\n  numpy\nattend?\nfiles = !ls\n"
PARTS = (IMPORTS, ATTEND, HEADS, TRAINING)
SCRIPT = "\n\n\n".join(PARTS) + "\n"
PERCENT = "# %% [markdown]\n# # 2\n\n# %%\n" + "\n\n# %%\n".join(PARTS) + "\n"
EXPORTED = "#!/usr/bin/env python\n# coding: utf-8\n\n# # 2. Attention\n\n# In[1]:\n\n\n"
EXPORTED += "\n\n\n# In[3]:\n\n\n".join(("get_ipython().system('pip install torch')\n", *PARTS))
UNNOTICED: dict[str, Files | Callable[[], Files]] = {
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
    "zip": zipped({f"work/{NAME}": NOTEBOOK}),
    "zip of a Mac": zipped({NAME: NOTEBOOK, f"__MACOSX/._{NAME}": b"\0\5\x16\7"}),
    "zip in a folder": {f"work/{HAND_IN}": zipped_often(1)},
    "zip in a zip": {HAND_IN: zipped_often(2)},
    "zip called notebook": {NAME: zipped_often(1)},
    "zip that leads out": zipped(
        {f"../../{NAME}": NOTEBOOK, "/etc/passwd.txt": b"root", "..": b""}
    ),
}
MAGIC, LOOKS = "lines that only Jupyter understands", "characters that only look like Python's"
ANYWAY = "is a notebook whatever its name says"
SLIPPED = cell("code", f'{ATTEND}\n    raise NotImplementedError("TODO 2.1")')
REPORTED: dict[
    str, tuple[str, Files | Callable[[], Files]]
] = {  # what the student reads, and files
    "copy by Colab in Japanese": (ANYWAY, {f"work/{NAME} のコピー": NOTEBOOK}),
    "download not renamed": (ANYWAY, {f"work/{NAME}.download": NOTEBOOK}),
    "notebook called script": (ANYWAY, {"02_attention.py": NOTEBOOK}),
    "notebook called text": (ANYWAY, {f"{NAME}.txt": NOTEBOOK}),
    "script called notebook": ("is a script whatever its name says", {NAME: SCRIPT}),
    "metadata stripped": ("tags were missing", {NAME: stripped()}),
    "stripped and renamed": ("tags were missing", {"final version (2).ipynb": stripped()}),
    "older format": ("tags were missing", {NAME: older_format()}),
    "a cell twice": (
        "`attend` is defined 2 times, in cell 3, line 4 and cell 4, line 4",
        book(*CELLS[:3], ANSWER, *CELLS[3:]),
    ),
    "TODO above": ("`attend` is defined 2 times", book(*CELLS[:2], TODO, *CELLS[2:])),
    "TODO below": ("the one in cell 3, line 4 counts", book(*CELLS, TODO)),
    "raw try": ("the one in cell 3, line 4 counts", more("raw", "def attend(q, k):\n    return 3")),
    "raise left below": (
        "`attend` is defined 2 times",
        book(*CELLS[:2], SLIPPED, *CELLS[3:], TODO),
    ),
    "markdown cell": (
        "cell 3 is a markdown cell, read as code: it defines `SCALE`, `attend`",
        swap(3, ATTEND, "markdown"),
    ),
    "fenced in markdown": (
        "cell 3 is a markdown cell, read as code",
        swap(3, f"My answer:\n\n```python\n{ATTEND}\n```\nDone.", "markdown"),
    ),
    "raw cell": (
        "cell 2 is a raw cell, read as code: it defines `math`, `dataclass`",
        swap(2, IMPORTS, "raw"),
    ),
    "magics": (f"{MAGIC} were read as Python: cell 2", swap(2, MAGICS + IMPORTS)),
    "cell magic": (f"{MAGIC} were read as Python: cell 3", swap(3, "%%time\n" + ATTEND)),
    "bash": ("read as Python: cell 7", more("code", "%%bash\ndef attend\nrm -rf x")),
    "slip elsewhere": ("cell 6: Python cannot read it at line 1", swap(6, "def plot(:\n    pass")),
    "slip above": ("cell 3: Python cannot read it at line 1", swap(3, "x = = 3\n" + ATTEND)),
    "slip below": ("cell 3: Python cannot read it", swap(3, ATTEND + "\nprint(attend(3\nx = 3")),
    "pasted from a page": (LOOKS, swap(3, ATTEND.replace(" " * 4, "\u00a0" * 4))),
    "tabs among spaces": (LOOKS, swap(3, ATTEND.replace("    return", "\treturn"))),
    "UTF-16": ("UTF-16", {NAME: NOTEBOOK.decode().encode("utf-16")}),
    "Latin-1": (
        "read as Windows-1252",
        {NAME: NOTEBOOK.replace(b"Average", "Größe".encode("latin-1"))},
    ),
    "script with a slip": (
        "02_attention.py: Python cannot read it at line",
        {"02_attention.py": SCRIPT + "\nprint('half a line\n"},
    ),
    "TODO copy beside": (
        f"{COPY} counts for this assignment, and not {NAME}",
        {f"work/{COPY}": NOTEBOOK, f"work/{NAME}": book(TODO)[NAME]},
    ),
    "link beside": (
        "a link was not followed",
        {NAME: NOTEBOOK, "02_link.ipynb": lambda path: path.symlink_to("/etc/passwd")},
    ),
    "pipe beside": ("is not a file", {NAME: NOTEBOOK, "02_attention.py": os.mkfifo}),
    "zip with a link": (
        "a link was not followed",
        zipped({NAME: NOTEBOOK, link_in_zip(): b"/etc/passwd"}),
    ),
    "zip bomb": (
        "is larger than 64 MiB",
        lambda: zipped({NAME: NOTEBOOK, "a.txt": bytes(65 << 20)}),
    ),
    "zip of many large files": (
        "all files exceed 256 MiB",
        lambda: zipped({NAME: NOTEBOOK} | {f"{n}.txt": bytes(60 << 20) for n in range(5)}),
    ),
    "zip in zips without end": (
        "is an archive within archives",
        zipped({NAME: NOTEBOOK, "a.zip": zipped_often(5)}),
    ),
}


def write(folder: Path, files: Files | Callable[[], Files]) -> Path:
    """The only file or folder at the top, or else the folder of all."""
    for name, data in (files() if callable(files) else files).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if callable(data):
            data(path)
        else:
            path.write_bytes(data if isinstance(data, bytes) else data.encode())
    top = list(folder.iterdir())
    return top[0] if len(top) == 1 else folder


@pytest.mark.parametrize("name", [*UNNOTICED, *REPORTED])
def test_correct_work_keeps_its_definitions_and_repairs_are_named(name, tmp_path):
    sentence, files = REPORTED.get(name) or ("", UNNOTICED[name])
    (submission,) = read_submissions(write(tmp_path, files), catalog=CATALOG)
    assert submission.assignment == "02"
    assert is_right(run(submission)), submission.repairs
    if sentence:
        assert any(sentence in repair for repair in submission.repairs), submission.repairs
    else:
        assert submission.repairs == ()
    assert all("\n" not in repair for repair in submission.repairs)


POOL = "def pool(x):\n    return x\n\n\nclass Speakers:\n    pass"
CONFLICT = b"<<<<<<< HEAD\n1\n=======\n2\n>>>>>>> b\n"
UNREAD = f"{NAME} could not be read"
LEFT: dict[str, tuple[str, Files | Callable[[], Files]]] = {  # to a person: never a 0
    "cut": (f"{UNREAD}: hand in the .ipynb file again", {NAME: NOTEBOOK[:900]}),
    "merge conflict": (UNREAD, {NAME: NOTEBOOK.replace(b'"execution_count": 1', CONFLICT, 1)}),
    "no bytes": (UNREAD, {NAME: b""}),
    "too large": (UNREAD, lambda: swap(1, "x" * (65 << 20), "markdown")),
    "another assignment": (f"{NAME} answers assignment 03", book(cell("code", POOL))),
    "something else": (
        "defines nothing that this assignment asks for: is it the right file?",
        book(cell("code", "x = 3")),
    ),
    "cut beside a TODO copy": (UNREAD, {NAME: NOTEBOOK[:900], COPY: book(TODO)[NAME]}),
}


@pytest.mark.parametrize("name", LEFT)
def test_what_was_not_read_waits_for_a_person(name, tmp_path):
    sentence, files = LEFT[name]
    write(tmp_path, files)
    (submission,) = read_submissions(tmp_path, "02", catalog=CATALOG)
    assert sentence in submission.unread


def test_outputs_of_any_size_are_dropped_and_figures_kept(tmp_path):
    printed = {"output_type": "stream", "text": ['loss \\ "0.1]"\n' * 100] * 25_000}
    figure = {"output_type": "display_data", "data": {"image/png": "aGk="}}
    outputs = [printed, figure, {"text": "x" * 30_000_000}]
    path = write(tmp_path, book(*CELLS[:3], {**CHECKING, "outputs": outputs}, *CELLS[4:]))
    assert path.stat().st_size > 64 << 20
    (submission,) = read_submissions(path, catalog=CATALOG)
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
