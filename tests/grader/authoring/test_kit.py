"""A kit holds what students need and nothing of what they are asked for; what it holds imports."""

import io
import json
import os
import re
import shutil
import subprocess
import sys
import venv
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from grader import ROOT
from grader.adapters import Assignment
from grader.authoring.kit import CONTAINER, make_kit
from grader.authoring.kit_modules import divide
from grader.authoring.release import release_kit
from kws.cli import app, groups
from kws.errors import UsageError
from tests.grader.authoring.conftest import ANSWER
from tests.grader.conftest import code_beside

CATALOG = {
    "01": Assignment(number="01", slug="sound", title="Sound", tasks=(), withheld=("kws.sound",)),
    "02": Assignment(
        number="02", slug="attention", title="Attention", tasks=(), withheld=("kws.models.heads",)
    ),
}
LIBRARY = code_beside(__file__)


@pytest.fixture
def small(course):
    """The small course with a library of its own."""
    for name, text in LIBRARY.items():
        path = course / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return course


def kit_of(root, through="02"):
    return make_kit(through, root=root, catalog=CATALOG)


def append(root, name: str, text: str) -> None:
    path = root / name
    path.write_text(path.read_text(encoding="utf-8") + text, encoding="utf-8")


FILES = """.devcontainer/devcontainer.json AGENTS.md LICENSE README.md
assignments/01_sound.ipynb assignments/02_attention.ipynb
constraints.txt data_scripts/fine.py kws/__init__.py kws/cli/__init__.py kws/cli/fine.py
kws/course/a01_sound/released.ipynb kws/course/a02_attention/released.ipynb kws/course/kit.json
kws/lazy.py kws/sound.py kws/typed.py pyproject.toml requirements.txt"""


def test_a_kit_holds_these_files_and_lacks_who_needs_a_withheld_module_and_what_nothing_imports(
    small,
):
    kit = kit_of(small)
    assert sorted(kit.files) == FILES.split()
    modules = kit.modules
    assert modules.along == {
        "kws.models.layer": "kws.models.heads",
        "kws.models.stack": "kws.models.layer",
        "kws.cli.needy": "kws.models.heads",
    }
    assert modules.unused == {"kws.models", "kws.unused"}  # `later` fails before it needs it
    append(small, "data_scripts/fine.py", "import kws.unused\n")
    assert kit_of(small).modules.unused == {"kws.models"}


def test_an_earlier_kit_withholds_what_later_assignments_ask_for_and_holds_no_later_folder(small):
    kit = kit_of(small, "1")
    assert set(kit.modules.withheld) == {"kws.sound", "kws.models.heads"}
    notebooks = [name for name in kit.files if name.endswith(".ipynb")]
    assert notebooks == ["assignments/01_sound.ipynb", "kws/course/a01_sound/released.ipynb"]
    for stem in ("01_sound", "02_attention"):
        for name in ("contract.py", "hints.md", "goldens.json", "diagrams.toml"):
            path = small / "kws" / "course" / f"a{stem}" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("", encoding="utf-8")
    wanted = ["contract.py", "diagrams.toml", "goldens.json", "hints.md", "released.ipynb"]
    held = [name for name in kit_of(small, "1").files if name.startswith("kws/course/a")]
    assert sorted(held) == [f"kws/course/a01_sound/{name}" for name in wanted]
    assert len([name for name in kit_of(small).files if "/course/a02_attention/" in name]) == 5


def test_the_readme_lists_the_assignments_and_a_container_is_made_by_its_lines_which_run_in_bash(
    small, tmp_path
):
    readmes = [kit_of(small, through).files["README.md"].decode() for through in ("01", "02")]
    line = "`assignments/02_attention.ipynb`: Attention"
    assert [line in text for text in readmes] == [False, True]
    badge = "https://colab.example/github/us/course/blob/main/assignments"
    linked = make_kit("02", root=small, catalog=CATALOG, badge=badge).files["README.md"].decode()
    assert f"{line}, [open in the browser]({badge}/02_attention.ipynb)\n" in linked
    text = kit_of(small).files["pyproject.toml"].decode()
    assert '"jupyter"' in text
    assert '"torch"' in text
    assert 'microphone = [\n    "sounddevice",\n]' in text
    assert "pytest" not in text  # no tools of the staff
    with zipfile.ZipFile(io.BytesIO(kit_of(small).packed())) as packed:
        packed.extractall(tmp_path)
    folder = tmp_path / "kws-course"
    readme = (folder / "README.md").read_text()
    install = readme.partition("```sh\n")[2].partition("jupyter lab")[0]
    lines = [line.partition("#")[0].strip() for line in install.splitlines()]
    container = json.loads((folder / ".devcontainer" / "devcontainer.json").read_text())
    *shell, command = container["postCreateCommand"]
    assert command == " && ".join(lines)
    python = 'python() { echo "$@" >> calls; case "$2" in venv) mkdir -p "$3/bin"; '
    python += 'touch "$3/bin/activate";; pip) [ "$4" != --requirement ] || test -f "$5";; esac; }\n'
    subprocess.run([*shell, python + command], cwd=folder, check=True)
    assert len((folder / "calls").read_text().splitlines()) == 3


@pytest.mark.parametrize("platform", ["Colab", "Kaggle"])
def test_the_shell_lines_for_a_platform_run_in_bash(small, tmp_path, platform):
    """Where the zip of another kit lies beside ours, and once more after that."""
    release_kit(tmp_path / "kws-01.zip", "1", root=small, catalog=CATALOG)
    readme = release_kit(tmp_path / "kws-02.zip", root=small, catalog=CATALOG).files["README.md"]
    recipe = readme.decode().partition(f"**{platform}.**")[2].partition("\n\n**")[0]
    lines = re.findall(r"^!(.+)$|`!((?:cp|unzip) [^`]+)`", recipe, flags=re.MULTILINE)
    inputs, drive = tmp_path / "input", tmp_path / "drive"
    (drive / "MyDrive" / "Colab Notebooks").mkdir(parents=True)
    if platform == "Kaggle":  # it unpacks the zip into the folder of the dataset
        with zipfile.ZipFile(tmp_path / "kws-02.zip") as packed:
            packed.extractall(inputs / "kit")
        (tmp_path / "kws-02.zip").unlink()
    work = "pip() { test $# = 2 || { pwd >> installed; test -f constraints.txt; }; }; set -e\n"
    work += "\n".join(f"({''.join(line)})" for line in lines)
    work = work.replace("/kaggle/input", str(inputs)).replace("/content/drive", str(drive))
    for uv in ("uv() { pip $*; };", "uv() { false; };"):  # without its index, pip takes over
        subprocess.run(["bash", "-c", uv + work], cwd=tmp_path, check=True)
    assert len((tmp_path / "kws-course" / "installed").read_text().split()) == 2
    assert (tmp_path / "kws-course" / "assignments" / "02_attention.ipynb").is_file()
    if platform == "Colab":
        assert list(drive.rglob("02_attention.ipynb"))


def test_the_container_of_this_repository_makes_what_make_makes():
    command = json.loads((ROOT / CONTAINER).read_text())["postCreateCommand"][-1]
    done = subprocess.run([*command.split(), "--dry-run"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_same_sources_give_the_same_zip_that_holds_the_kit_in_one_folder(small, tmp_path):
    for name in ("one.zip", "two.zip"):
        kit = release_kit(tmp_path / name, "1", root=small, catalog=CATALOG)
        for path in small.rglob("*"):
            os.utime(path, (1e9, 1e9))
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "one.zip") as archive:
        packed = {name: archive.read(name) for name in archive.namelist()}
    assert packed == {f"kws-course/{name}": data for name, data in kit.files.items()}


def test_a_module_that_does_not_import_is_refused_and_unknown_modules_and_assignments(small):
    models = {name for name in divide(small, []).kept if "models" in name}
    assert set(divide(small, ["kws.models"]).withheld) == models
    with pytest.raises(UsageError, match=r"'kws\.models\.head'.*did you mean 'kws\.models\.heads'"):
        divide(small, ["kws.models.head"])
    with pytest.raises(UsageError, match="choose one of 01, 02"):
        kit_of(small, "7")
    append(small, "kws/sound.py", "import importlib\nimportlib.import_module('kws.models.heads')\n")
    with pytest.raises(UsageError, match=r"kws-02 does not import: .*kws\.models\.heads"):
        kit_of(small)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("import kws.models.heads", "kws.models.heads, which is withheld"),
        ("from kws.models import stack", "is left out as it needs kws.models.layer"),
    ],
)
def test_a_notebook_that_imports_what_the_kit_lacks_is_refused(small, line, why):
    append(small, "solutions/02_attention.py", f"\n# %%\n{line}\n")
    with pytest.raises(UsageError, match=f"02_attention.ipynb: cell 8 imports .*{re.escape(why)}"):
        kit_of(small)


EARLIER = "return x.repeat_interleave(2, dim=-1).reshape(*x.shape[:-1], -1)"
CHECKS = LIBRARY["grader/course/a02_attention/test_checks.py"]


@pytest.mark.parametrize(
    ("file", "text", "what"),
    [
        ("kws/sound.py", f'"""{ANSWER}"""', "the answer to 2.1"),
        ("data_scripts/fine.py", f"\ndef f(x):\n    {EARLIER}\n", "the answer to 1.1"),
        ("solutions/01_sound.py", f"\n# %%\nprint('''{ANSWER}''')\n", "the answer to 2.1"),
        ("kws/sound.py", LIBRARY["kws/models/heads.py"], "split"),
        ("data_scripts/fine.py", CHECKS, "test_values"),
    ],
)
def test_a_kit_that_would_leak_is_refused(small, file, text, what):
    append(small, "kws/sound.py", f"def f(x):\n    {EARLIER}\n")  # the library may hold that
    kit_of(small)
    append(small, file, text)
    with pytest.raises(UsageError, match=f"kws-02 would leak: .* contains {what}"):
        kit_of(small)


@pytest.fixture(scope="module")
def real(tmp_path_factory) -> Path:
    """The kit of assignment 2, unpacked; the command that docs/teaching.md shows checks it too."""
    folder = tmp_path_factory.mktemp("kit")
    with pytest.MonkeyPatch.context() as patch:
        for check in ("_refuse_leaks", "_refuse_broken_modules"):
            patch.setattr(f"grader.authoring.kit.{check}", lambda *_: None)
        packed = make_kit("02").packed()
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        archive.extractall(folder)
    return folder / "kws-course"


def kws(folder, *arguments):
    code = "import os, sys; sys.path.insert(0, os.getcwd()); from kws.cli import main; main()"
    command = [sys.executable, "-I", "-c", code, *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


def test_the_command_line_of_a_real_kit_works_and_says_which_commands_it_lacks(real):
    done = kws(real, "--help")
    assert done.returncode == 0, done.stderr
    assert "check" in done.stdout
    assert "params" not in done.stdout
    done = kws(real, "params", "keywords")
    assert done.returncode == 2
    output = r"kws: this copy of the course does not contain params: it comes .*\n"
    assert re.fullmatch(output, done.stderr)


def test_every_command_is_listed_with_its_group():
    listed = {name for commands in groups.GROUPS.values() for name in commands.split()}
    there = {command.name for command in app.registered_commands}
    assert listed == there | {"data"}


def test_the_kit_of_notebook_2_is_small_enough_to_read_and_asks_assistants_to_tutor(real):
    lines = [len(path.read_text().splitlines()) for path in (real / "kws").rglob("*.py")]
    assert sum(lines) <= 14_000
    text = (real / "AGENTS.md").read_text(encoding="utf-8")
    assert "Please tutor; do not solve" in text
    assert "# TODO" in text  # the very mark that is in the notebooks
    assert "# TODO" in (real / "assignments" / "02_attention.ipynb").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def installed(real, tmp_path_factory):
    """A fresh environment: the kit, what it declares that it needs, and nothing else of ours.

    Dependencies are links to those of this environment, so that only setuptools is fetched; what
    the kit forgot to declare is not among them.
    """
    folder = tmp_path_factory.mktemp("fresh")
    venv.create(folder, with_pip=False)
    pip = [sys.executable, "-m", "pip", "--quiet"]
    subprocess.run([*pip, "wheel", "--no-deps", "--wheel-dir", folder, real], check=True)
    (wheel,) = folder.glob("kws-*.whl")
    bin_ = folder / ("Scripts" if os.name == "nt" else "bin")
    subprocess.run([*pip, "--python", bin_ / "python", "install", "--no-deps", wheel], check=True)
    (site,) = folder.glob("lib/python*/site-packages")
    (declared,) = site.glob("kws-*.dist-info")
    needs, seen = _needs(metadata.Distribution.at(declared), set()), set()
    while needs:
        name, extras = needs.pop()
        if (name, extras) not in seen:
            seen.add((name, extras))
            needs |= _needs(metadata.distribution(name), extras)
            _link(metadata.distribution(name), site)
    return bin_


def _needs(found: metadata.Distribution, extras) -> set[tuple[str, frozenset[str]]]:
    """Name and extras of what a distribution with some extras requires here."""
    needs = map(Requirement, found.requires or ())
    return {
        (need.name, frozenset(need.extras))
        for need in needs
        if not need.marker or any(need.marker.evaluate({"extra": e}) for e in ("", *extras))
    }


def _link(found: metadata.Distribution, site: Path) -> None:
    """Every file or folder that a distribution has at the top of its own site."""
    for top in {file.parts[0] for file in found.files or () if file.parts[0] != ".."}:
        source, target = Path(str(found.locate_file(top))), site / top
        if source.exists() and not target.exists():
            target.symlink_to(source)


def run(bin_: Path, folder: Path, *arguments: str):
    kept = {name: os.environ[name] for name in ("HOME", "LANG", "KWS_CACHE") if name in os.environ}
    environ = {**kept, "PATH": f"{bin_}{os.pathsep}{os.defpath}"}
    command = [bin_ / arguments[0], *arguments[1:]]
    return subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True)


@pytest.mark.slow
def test_a_real_kit_installs_alone(installed, real):
    where = "import kws, jupyterlab, ipykernel, torchaudio; print(kws.__file__)"
    done = run(installed, real.parent, "python", "-c", where)
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).is_relative_to(installed.parent)
    missing = run(installed, real.parent, "python", "-c", "import pytest")
    assert "ModuleNotFoundError" in missing.stderr  # the environment is as empty as it says


@pytest.mark.slow
def test_a_student_works_in_an_installed_kit(installed, real, tmp_path):
    shutil.copytree(real / "assignments", tmp_path / "assignments")
    for command, code, words in (
        ("check 02", 1, "2.1-attend-by-hand  not started"),
        ("hint 2.1", 0, "A soft look-up"),
        ("progress 02", 0, "0 of 19 checks pass"),
        ("submit 02", 0, ""),
    ):
        done = run(installed, tmp_path, "kws", *command.split())
        assert (done.returncode, done.stderr) == (code, "")
        assert words in done.stdout
    with zipfile.ZipFile(tmp_path / "02_attention.zip") as archive:
        assert sorted(archive.namelist()) == ["02_attention.ipynb", "manifest.json"]
