"""ONNX Runtime Web is found in a folder, or fetched by npm and compared with what we know."""

import base64
import gzip
import hashlib
import io
import tarfile

import pytest

from kws.errors import UsageError
from kws.inference import web_runtime
from kws.inference.web_runtime import FILES, PACKAGE, runtime_files

CONTENT = {name: f"content of {name}".encode() for name in FILES}
WANTED = {page: CONTENT[name] for name, page in FILES.items()}


def package(files=CONTENT) -> bytes:
    """What npm packs: the same bytes each time, for gzip writes the time into its header."""
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(f"package/dist/{name}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return gzip.compress(held.getvalue(), mtime=0)


@pytest.fixture
def npm(tmp_path, monkeypatch):
    """`npm("…")`: a program of this name, alone on the path, that runs this script."""
    monkeypatch.setenv("KWS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    (tmp_path / "bin").mkdir()

    def make(script: str) -> None:
        program = tmp_path / "bin" / "npm"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)

    return make


@pytest.fixture
def known(monkeypatch):
    """The package that is made here is the one that was checked."""
    digest = base64.b64encode(hashlib.sha512(package()).digest()).decode()
    monkeypatch.setattr(web_runtime, "INTEGRITY", f"sha512-{digest}")
    hashes = {page: hashlib.sha256(data).hexdigest() for page, data in WANTED.items()}
    monkeypatch.setattr(web_runtime, "SHA256", hashes)


@pytest.mark.parametrize("below", [".", "dist", f"node_modules/{PACKAGE}/dist"])
def test_from_a_folder_or_a_page(below, tmp_path):
    with pytest.raises(UsageError, match=r"contains no ONNX Runtime Web, ort\.wasm\.min\.mjs"):
        runtime_files(tmp_path)
    for folder, files in ((tmp_path / "a" / below, CONTENT), (tmp_path / "page", WANTED)):
        folder.mkdir(parents=True)
        for name, data in files.items():
            (folder / name).write_bytes(data)
    assert runtime_files(tmp_path / "a") == runtime_files(tmp_path / "page") == WANTED


def test_fetched_once_and_kept(npm, known, tmp_path):
    (tmp_path / "ours.tgz").write_bytes(package())
    npm(f'echo "$@" >> {tmp_path}/asked; /bin/cp {tmp_path}/ours.tgz onnxruntime-web.tgz')
    assert runtime_files() == WANTED
    assert runtime_files() == WANTED
    wanted = (tmp_path / "asked").read_text().splitlines()
    assert wanted == [f"pack --silent --ignore-scripts {PACKAGE}@{web_runtime.VERSION}"]
    damaged = next((tmp_path / "cache").rglob("ort.js"))
    damaged.write_text("damaged")
    assert runtime_files() == WANTED, "fetched again"


def test_another_package_is_refused(npm, known, tmp_path):
    (tmp_path / "other.tgz").write_bytes(package({**CONTENT, "ort.wasm.min.mjs": b"evil"}))
    npm(f"/bin/cp {tmp_path}/other.tgz onnxruntime-web.tgz")
    with pytest.raises(UsageError, match=r"npm gave another onnxruntime-web .* with --runtime"):
        runtime_files()
    assert not (tmp_path / "cache").exists()


def test_no_npm_or_no_network(npm):
    with pytest.raises(UsageError, match=r"npm is not installed.*: install it, or run `npm pack"):
        runtime_files()
    npm("echo npm error network ENOTFOUND >&2; echo more >&2; exit 1")
    with pytest.raises(UsageError, match=r"could not fetch .*\(npm error network ENOTFOUND\): run"):
        runtime_files()
