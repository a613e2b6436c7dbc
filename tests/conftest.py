"""Fixtures shared by all tests: fixed seeds, and the real recordings where a site has them."""

import contextlib
import fcntl
import gc
import multiprocessing
import os
import signal
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path

import jaxtyping
import pytest
import torch

from kws.training.memory import keep_freed_memory

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

# Sizes are tiny: threads cost more than they give. `.ci/run` tries two as well.
torch.set_num_threads(int(os.environ.get("KWS_TEST_THREADS", "1")))
# A shell that runs the tests in the background has them, and all that they start, ignore Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)
os.environ["KWS_WARM"] = "0"  # no test leaves a process behind that has torch loaded
gc.disable()  # until everything is imported


def with_shapes(package: Path) -> list[str]:
    """The modules of a package whose annotations give shapes."""
    files = [f for f in sorted(package.rglob("*.py")) if "from jaxtyping import" in f.read_text()]
    return [".".join(f.relative_to(package.parent).with_suffix("").parts) for f in files]


# Every call of theirs is checked. All of `kws` is not: what is wrapped takes several times as long,
# and pyright has the other annotations.
jaxtyping.install_import_hook(with_shapes(Path(__file__).parents[1] / "kws"), "beartype.beartype")

keep_freed_memory()  # fewer pages for the kernel to clear

PATIENCE = 600  # seconds of waiting for another process: for ever, not a measure of speed

# Whole commands, gradings and hand-ins call what has tests of its own, where shapes are checked.
WHOLE = {"test_benchmarks.py", "cli", "experiments", "grader", "student"}


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Before any fixture: check shapes, unless `item` is of the whole or marked with `no_shapes`.

    While a graph is traced, a shape that is checked would be fixed.
    """
    whole = item.path.relative_to(item.config.rootpath).parts[1] in WHOLE
    off = whole or item.get_closest_marker("no_shapes") is not None
    jaxtyping.config.update("jaxtyping_disable", off)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Of the cases of a test, keep the first of every KWS_TEST_EVERY: a sample over the table."""
    every, seen = int(os.environ.get("KWS_TEST_EVERY", "1")), Counter[str]()
    kept, left = [], []
    for item in items:
        test = item.nodeid.partition("[")[0]
        (left if seen[test] % every else kept).append(item)
        seen[test] += 1
    config.hook.pytest_deselected(items=left)
    items[:] = kept


def pytest_collection_finish() -> None:
    """What is imported stays: the collector need not look at it again, nor a fork copy it."""
    gc.freeze()
    gc.enable()


@pytest.fixture(autouse=True)
def _seed(monkeypatch):
    torch.default_generator.manual_seed(0)  # torch.manual_seed looks for four devices each time
    if "kws.course.checking" in sys.modules:
        sys.modules["kws.course.checking"].forget_checks()
    monkeypatch.delenv("COLUMNS", raising=False)  # pytest-xdist sets it: tables would be cut


@pytest.fixture(scope="session")
def shared(tmp_path_factory) -> Path:
    """A folder that all processes of this test run share."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "shared"
    folder.mkdir(exist_ok=True)
    return folder


def made_once(folder: Path, make: Callable[[Path], Path]) -> Path:
    """What `make(folder)` makes, in the first process of the test run that asks for it."""
    with (folder.parent / f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return folder if folder.exists() else make(folder)


@pytest.fixture(autouse=True, scope="session")
def _cache(shared):
    """Packed data go to a folder of this test run, never to the user's cache."""
    os.environ["KWS_CACHE"] = str(shared / "cache")


@contextlib.contextmanager
def limited(seconds: float, error: Exception) -> Iterator[None]:
    """Raise `error` where the inside takes more seconds of the processor, however busy that is."""

    def give_up(*_: object) -> None:
        raise error

    before = signal.signal(signal.SIGPROF, give_up)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def forked(work: Callable[..., object], *arguments: object, **options: object) -> BaseProcess:
    """A process that does `work`, without importing torch again."""

    def begin() -> None:
        torch.set_num_threads(1)  # those of the parent were not forked: waiting for them never ends
        work(*arguments, **options)

    process = multiprocessing.get_context("fork").Process(target=begin, daemon=True)
    with warnings.catch_warnings():  # Python 3.12 warns of locks that threads of ours may hold
        warnings.simplefilter("ignore", DeprecationWarning)
        process.start()
    return process


@pytest.fixture
def forks(monkeypatch):
    """Pools of processes fork, and so have torch already."""
    fork = multiprocessing.get_context("fork")
    monkeypatch.setattr(multiprocessing, "get_context", lambda kind: fork)


@pytest.fixture
def float64():
    """Default dtype float64 for the length of one test: parity is stated at 1e-10."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real recordings, named by KWS_REAL_DATA; tests that need it skip without it."""
    folder = os.environ.get("KWS_REAL_DATA")
    if not folder:
        pytest.skip("needs real recordings: set KWS_REAL_DATA to a folder that holds them")
    return Path(folder).resolve()


@pytest.fixture(scope="session")
def tiny_corpus(shared) -> Path:
    """An embedded corpus: 35 words, 20 speakers (16 / 2 / 2 in the splits), once a word."""
    from kws.data.embedded.corpus import make_corpus

    settings = {"size": "tiny", "repetitions": 1, "noise_seconds": 5, "progress": False}
    return made_once(shared / "words", lambda out: make_corpus(out, **settings))


@pytest.fixture(scope="session")
def tiny_speakers(shared) -> Path:
    """Speaker features in the homework's layout: 6 voices, each 6 utterances and 2 for testing."""
    from kws.data.embedded.speaker_corpus import make_speaker_corpus

    settings = {"speakers": 6, "utterances": 6, "progress": False}
    return made_once(shared / "speakers", lambda out: make_speaker_corpus(out, **settings))


@pytest.fixture(scope="session")
def transcripts(tmp_path_factory) -> Path:
    """Two utterances of each split, noise with a text."""
    from kws.audio.recordings import write_audio
    from kws.data.transcripts import TABLE, write_transcripts

    folder = tmp_path_factory.mktemp("texts")
    generator, rows = torch.Generator().manual_seed(0), []
    for split in ("training", "validation", "testing"):
        for number, text in enumerate(("on no", "no")):
            file = f"{split}{number}.wav"
            write_audio(folder / file, torch.rand(9000, generator=generator) - 0.5)
            row = {"file": file, "speaker": split, "split": split, "text": text}
            rows.append(row | {"starts": ""})
    write_transcripts(folder / TABLE, rows)
    return folder


@pytest.fixture(scope="session")
def tones(tmp_path_factory):
    """`tones(n, seed)`: n made-up clips of noise, each with the tone of one of three labels."""
    import numpy as np

    from kws.data.clips import ClipSplit
    from kws.data.packed import PackedClips

    folder = tmp_path_factory.mktemp("tones")

    def make(n: int, seed: int = 0, split: str = "training") -> ClipSplit:
        generator = torch.Generator().manual_seed(seed)
        labels = torch.randint(3, (n,), generator=generator)
        angle = torch.arange(16_000) * (2 * torch.pi / 16_000) * (300 * 3.0 ** labels[:, None])
        waveform = 0.3 * angle.sin() + 0.2 * torch.randn(n, 16_000, generator=generator)
        path = folder / f"{n}-{seed}.int16"
        audio = np.memmap(path, np.int16, "w+", shape=(n, 16_000))
        audio[:] = (waveform.clamp(-1, 1) * 32767).short().numpy()
        names = [f"{i}.wav" for i in range(n)]
        lengths = np.full(n, 16_000, np.int32)
        return ClipSplit(
            clips=PackedClips(audio=audio, names=names, lengths=lengths, path=path),
            rows=torch.arange(n),
            labels=labels,
            names=names,
            label_names=("low", "middle", "high"),
            noise=0.1 * torch.randn(20_000, generator=generator),
            silence_start=torch.full((n,), -1),
            silence_gain=torch.ones(n),
            protocol="tones",
            split=split,
            silence="none",
        )

    return make


@pytest.fixture(scope="session")
def voices(tmp_path_factory):
    """`voices(n, seed)`: n made-up utterances of 20 … 90 frames, 13 bands, by three speakers."""
    import numpy as np

    from kws.data.frames import FrameSplit
    from kws.data.packed import PackedFrames

    folder = tmp_path_factory.mktemp("voices")

    def make(n: int, seed: int = 0, split: str = "training") -> FrameSplit:
        generator = torch.Generator().manual_seed(seed)
        labels = torch.randint(3, (n,), generator=generator)
        lengths = torch.randint(20, 91, (n,), generator=generator)
        ends = lengths.cumsum(0)
        angle = (
            torch.arange(int(ends[-1]))[:, None]
            * (0.3 + 0.4 * labels.repeat_interleave(lengths))[:, None]
        )
        mel = (
            -5
            + 2 * torch.sin(angle + torch.arange(13))
            + torch.randn(len(angle), 13, generator=generator)
        )
        path = folder / f"{n}-{seed}.float16"
        frames = np.memmap(path, np.float16, "w+", shape=tuple(mel.shape))
        frames[:] = mel.half().numpy()
        names = [f"uttr-{i}.pt" for i in range(n)]
        offsets = np.concatenate([[0], ends.numpy()])
        return FrameSplit(
            packed=PackedFrames(frames=frames, offsets=offsets, names=names, path=path),
            begins=ends - lengths,
            lengths=lengths,
            labels=labels,
            names=names,
            label_names=("anna", "ben", "cleo"),
            split=split,
        )

    return make


def toml_of(path: Path) -> dict:
    return tomllib.loads(path.read_text(encoding="utf-8"))


def data_beside(test: str) -> dict:
    """Numbers and sentences that a test compares with, from the TOML file of its name."""
    return toml_of(Path(test).with_suffix(".toml"))


def state_of(trained):
    """The content of a checkpoint of `trained`."""
    from kws.training.checkpoint import model_state

    names = ("recipe", "labels", "protocol", "normalizer", "step")
    return model_state(trained.model, **{name: getattr(trained, name) for name in names})


@pytest.fixture(scope="session")
def untrained():
    """`untrained("model.name=gru", labels=(…))`: a small model with random weights, as loaded."""
    from kws.audio.normalize import Normalizer
    from kws.training.checkpoint import Trained, new_model
    from kws.training.recipe import parse_recipe

    small = ("model.name=gru", "model.channels=3", "model.hidden_size=5")

    def make(*overrides: str, labels: tuple[str, ...], protocol: str = "embedded-12") -> Trained:
        named = any(override.startswith("model.name") for override in overrides)
        recipe = parse_recipe("", overrides=[*(() if named else small), *overrides])
        return Trained(
            model=new_model(recipe, len(labels)).eval(),
            recipe=recipe,
            labels=labels,
            protocol=protocol if recipe.data.task == "keywords" else "speakers",
            normalizer=Normalizer(kind=recipe.features.normalize),
            step=17,
        )

    return make
