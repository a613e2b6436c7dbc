"""No bytes make the reader raise or hang; what stands in front of a cut is kept."""

import copy
import io
import json
import zipfile
from random import Random

import pytest

from grader.submission import read_submissions
from tests.conftest import limited
from tests.grader.submission.conftest import (
    CATALOG,
    NOTEBOOK,
    dump,
    is_right,
    make_notebook,
    run,
    write,
    zipped,
)

CASES = 20  # of each kind
SECONDS = 60  # of the processor, for any one test: a hang, not a benchmark


@pytest.fixture(autouse=True)
def no_hang():
    with limited(SECONDS, AssertionError(f"still reading after {SECONDS} s")):
        yield


def read(tmp_path, name: str, data: bytes):
    submissions = read_submissions(write(tmp_path, {name: data}) / name, catalog=CATALOG)
    assert submissions
    for each in submissions:
        "".join((*each.repairs, each.text, *(piece.source for piece in each.pieces))).encode()
    return submissions


PACKED = {"work/02_attention.ipynb": NOTEBOOK, "work/notes.txt": "x = 3\n" * 50}
FILES = {
    "02_attention.ipynb": NOTEBOOK,
    "a.zip": zipped(PACKED),
    "stored.zip": zipped(PACKED, zipfile.ZIP_STORED),
    "lzma.zip": zipped(PACKED, zipfile.ZIP_LZMA),
    "wide.ipynb": NOTEBOOK.decode().encode("utf-16"),
    "02_attention.py": "\n".join(c["source"] for c in make_notebook()["cells"][1:5]).encode(),
}


@pytest.mark.parametrize("name", FILES)
def test_no_cut_and_no_flipped_bytes_raise(tmp_path, name):
    random = Random(name)
    for _ in range(CASES):
        read(tmp_path, name, FILES[name][: random.randrange(len(FILES[name]))])
        data = bytearray(FILES[name])
        for _ in range(random.choice((1, 1, 3, 30))):
            data[random.randrange(len(data))] = random.randrange(256)
        read(tmp_path, name, bytes(data))


@pytest.mark.parametrize("name", ["x.ipynb", "x.zip", "x.py", "x", "02_attention.ipynb"])
def test_no_noise_raises(tmp_path, name):
    random = Random(name)
    for head in (b"", b"PK\x03\x04", b"PK\x05\x06", b'{"cells": [', b"\xff\xfe", b"\xef\xbb\xbf"):
        for size in (0, 1, 30, 3000):
            (submission,) = read(tmp_path, name, head + random.randbytes(size))
            assert submission.pieces == ()
            assert submission.repairs or submission.unread


ODD = (None, True, 3, -1.5, "x", "\ud800", "\0", [], [[]], [None, 3], {}, {"x": 1}, "def f(:", "%%")


def test_no_odd_value_in_a_notebook_raises_and_no_zip_of_overlapping_bombs_hangs(tmp_path):
    random = Random(0)
    for _ in range(4 * CASES):
        notebook = copy.deepcopy(make_notebook())
        node = random.choice([notebook, notebook["metadata"], *notebook["cells"]])
        node[random.choice(sorted(node))] = random.choice(ODD)
        read(tmp_path, "02_attention.ipynb", json.dumps(notebook).encode())
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.txt", bytes(65 << 20))
        first = archive.infolist()[0]
        for number in range(500):
            again = copy.copy(first)
            again.filename = f"{number:05}.txt"
            archive.filelist.append(again)
            archive.NameToInfo[again.filename] = again
    read(tmp_path, "a.zip", buffer.getvalue())


MANY = 110_000
SLOW = {
    "brackets": "(" * MANY,
    "nested lists": "[" * MANY + "]" * MANY,
    "signs": "-" * MANY + "1",
    "a chain of calls": "(f\n" + "()\n" * MANY + ")",
    "a chain of sums": "(1\n" + "+1\n" * MANY + ")",
    "a chain of branches": "if x:\n pass\n" + "elif x:\n pass\n" * (MANY // 10),
    "a long line": "x = '" + "a" * 10 * MANY + "'",
    "spaces": " " * MANY + "!",
    "many broken lines": "def f(\n" * (MANY // 10),
    "many quotes": '"""\n' * (MANY // 10) + "x = (",
    "many conflicts": "<<<<<<< a\n=======\n" * (MANY // 10),
    "many prompts": "%x \\\n" * (MANY // 10) + "(",
}


@pytest.mark.parametrize("kind", ["code", "markdown"])
@pytest.mark.parametrize("name", SLOW)
def test_no_code_of_bad_will_hangs(tmp_path, name, kind):
    notebook = make_notebook()
    notebook["cells"].append({"cell_type": kind, "metadata": {}, "source": SLOW[name]})
    (submission,) = read(tmp_path, "02_attention.ipynb", dump(notebook))
    assert is_right(run(submission))


@pytest.mark.parametrize(
    "text",
    [
        "[" * 10 * MANY,
        '{"cells": ' * MANY,
        '{"cells": [' + '{"source": {"source": ' * MANY,
        '{"cells": [' + '{"id": [' * 800 + '{"id": 1},' * MANY,
        '{"cells": [{"cell_type": "code", "source": "' + "\\n" * 10 * MANY,
        '{"cells": [' + '{"cell_type": "code", "source": ["x = 1' * (MANY // 10),
        '{"cells":[{"source":' + '{"id":x,' * MANY,
        '{"cells":[{"source":' + '"source":' * MANY,
        '{"cells":[{"source":' + '"source":"\\x' * MANY,
        '{"cells":[{"source":' + '{"id":"source":"\\x' * MANY,
        '{"cells":[{"source":' + '{"id":1}' * MANY,
    ],
    ids=lambda text: text[:45],
)
def test_no_json_of_bad_will_hangs(tmp_path, text):
    read(tmp_path, "02_attention.ipynb", text.encode())
