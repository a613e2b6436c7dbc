"""ONNX Runtime Web for the page: from the npm package, of one version, checked; or from a folder.

`npm pack` fetches the package, whatever registry npm is set to. Its integrity is the one that the
registry publishes and a package-lock.json would hold. What was unpacked once is kept in the cache,
and its hashes are compared each time. MIT license, in the first lines of `ort.js`.

Source: https://onnxruntime.ai/docs/tutorials/web/ (`ort.wasm`: WebAssembly only).
"""

import base64
import hashlib
import io
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

from kws.errors import UsageError
from kws.files import cache_dir, write_bytes

PACKAGE, VERSION = "onnxruntime-web", "1.22.0"  # a quarter smaller than 1.30
INTEGRITY = (
    "sha512-Ud/+EBo6mhuaQWt/OjaOk0iNWjXqJoeeMFr6xQEE"
    "RZdIZH2OWpGzuujz7lfuOBjUa6TEE/sc4nb7Da5dNL34fg=="
)
FILES = {  # in the package -> on the page: not every web server knows that .mjs is JavaScript
    "ort.wasm.min.mjs": "ort.js",
    "ort-wasm-simd-threaded.mjs": "ort-wasm.js",
    "ort-wasm-simd-threaded.wasm": "ort-wasm.wasm",
}
SHA256 = {
    "ort.js": "6ef726f355b791129f7ddf3f62e7877a16b9b777abe87004b8ab306e6b9cf265",
    "ort-wasm.js": "30dd851d9c00622940500f71ddd2ff8820c5cb65270816080175b958705385a8",
    "ort-wasm.wasm": "71aef04959c5c1b6de461b6538e2058e306610034a85aad2742d0c7fd4533fe4",
}
SECONDS = 600  # for npm, on a slow line
BY_HAND = (
    f"run `npm pack {PACKAGE}@{VERSION}` where there is a network, unpack it, and name its folder "
    "dist with --runtime"
)


def runtime_files(folder: str | Path | None = None) -> dict[str, bytes]:
    """The three files of the runtime by their names on the page.

    Args:
        folder: where they are, `dist` of the npm package or a folder with one in it; any version.
            None: of the pinned version, from the cache or by npm.

    Raises:
        UsageError: the folder lacks one; npm is missing or failed; the package is another.
    """
    if folder is not None:
        return _from_folder(Path(folder))
    cached = cache_dir() / f"{PACKAGE}-{VERSION}"
    if not _is_whole(cached):
        with tempfile.TemporaryDirectory() as scratch:
            for name, data in _unpacked(_packed(Path(scratch))).items():
                write_bytes(cached / name, data)
    return {name: (cached / name).read_bytes() for name in SHA256}


def _from_folder(folder: Path) -> dict[str, bytes]:
    below = (".", "dist", "package/dist", f"node_modules/{PACKAGE}/dist", f"{PACKAGE}/dist")
    for place in (folder / name for name in below):
        for names in (list(FILES), list(FILES.values())):  # of the package, of a page
            if all((place / name).is_file() for name in names):
                pairs = zip(names, FILES.values(), strict=True)
                return {page: (place / name).read_bytes() for name, page in pairs}
    raise UsageError(
        f"{folder}: contains no ONNX Runtime Web, {', '.join(FILES)}: name folder dist of the npm "
        f"package {PACKAGE}"
    )


def _is_whole(folder: Path) -> bool:
    return all(
        (folder / name).is_file()
        and hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
        for name, digest in SHA256.items()
    )


def _packed(scratch: Path) -> bytes:
    npm = shutil.which("npm")
    if npm is None:
        raise UsageError(f"npm is not installed, which fetches {PACKAGE}: install it, or {BY_HAND}")
    command = [npm, "pack", "--silent", "--ignore-scripts", f"{PACKAGE}@{VERSION}"]
    try:
        done = subprocess.run(
            command, cwd=scratch, stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS
        )
    except subprocess.TimeoutExpired:
        raise UsageError(f"npm did not answer for {SECONDS} s: {BY_HAND}") from None
    packed = sorted(scratch.glob("*.tgz"))
    if done.returncode or not packed:
        complaint = done.stderr.decode(errors="replace").strip().splitlines()
        raise UsageError(
            f"npm could not fetch {PACKAGE} ({(complaint or ['no reason'])[0]}): {BY_HAND}"
        )
    data = packed[0].read_bytes()
    digest = "sha512-" + base64.b64encode(hashlib.sha512(data).digest()).decode()
    if digest != INTEGRITY:
        raise UsageError(
            f"npm gave another {PACKAGE} {VERSION} than the one that was checked: ask who runs "
            f"your registry, or {BY_HAND}"
        )
    return data


def _unpacked(package: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(package), mode="r:gz") as archive:
        found = {page: archive.extractfile(f"package/dist/{name}") for name, page in FILES.items()}
        return {page: member.read() for page, member in found.items() if member}
