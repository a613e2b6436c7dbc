"""`kws data pack` and `kws data check`: what they print, and one sentence for a bad folder."""

import re
from pathlib import Path

import numpy as np
import pytest
import soundfile

from kws.cli import run
from kws.data.check import check, kind_of, pack, table
from kws.data.protocols import COMMANDS
from kws.errors import UsageError
from kws.plots import class_balance


@pytest.fixture
def words(tmp_path) -> Path:
    """Ten commands and one other word by three speakers, one in each split."""
    folder = tmp_path / "words"
    speakers = {"training": "4a294341", "validation": "c2d15ea5", "testing": "00000003"}
    for word in (*COMMANDS, "bed"):
        (folder / word).mkdir(parents=True)
        for speaker in speakers.values():
            path = folder / word / f"{speaker}_nohash_0.wav"
            soundfile.write(path, np.ones(160) / 2, 16_000, subtype="PCM_16")
    for split in ("validation", "testing"):
        lines = [f"{word}/{speakers[split]}_nohash_0.wav" for word in (*COMMANDS, "bed")]
        (folder / f"{split}_list.txt").write_text("\n".join(lines))
    return folder


@pytest.fixture
def kws(capsys):
    """`kws("check", folder)`: exit code, stdout and stderr of `kws data …`."""

    def command(*arguments: object) -> tuple[int, str, str]:
        code = run(["data", *map(str, arguments)])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return command


def test_check_counts_every_label_in_every_split_in_a_table(words):
    lines = check(words, "v2-12")
    assert lines[1].split() == ["label", "training", "validation", "testing"]
    rows = [line.split() for line in lines[2:15]]
    labels = ["_silence_", "_unknown_", *COMMANDS]
    assert rows == [*([label, "1", "1", "1"] for label in labels), ["total", "12", "12", "12"]]
    assert lines[15] == "silence: training zeros, validation zeros, testing zeros"
    assert table({"x": {"a": 1, "bcdefg": 12_345}}) == [
        "label        x",
        "a            1",
        "bcdefg  12,345",
        "total   12,346",
    ]


def test_check_notes_speakers_in_two_splits_empty_labels_and_the_silence_it_is_asked_for(words):
    (words / "_background_noise_").mkdir()
    soundfile.write(words / "_background_noise_/x.wav", np.ones(200_000) / 2, 16_000)
    for convention in ("noise", "zeros"):
        silence = next(x for x in check(words, "v2-12", test_silence=convention) if "silence:" in x)
        assert silence == f"silence: training noise, validation {convention}, testing {convention}"
    (words / "testing_list.txt").write_text("yes/4a294341_nohash_0.wav")
    notes = [line for line in check(words, "kaggle-12") if line.startswith("note: ")]
    assert any("1 speakers occur in more than one split, 4a294341" in line for line in notes)
    assert any("testing: no clips of no, up, down" in line for line in notes)


def test_the_counts_of_words_can_be_drawn(words, tmp_path):
    picture = tmp_path / "balance.png"
    lines = check(words, "v2-12", unknown="all", plot=picture)
    assert lines[-1] == f"written: {picture}"
    assert picture.read_bytes().startswith(b"\x89PNG")
    figure = class_balance({"training": {"yes": 3, "no": 1}, "testing": {"yes": 0, "no": 2}})
    bars = [[bar.get_width() for bar in axes.patches] for axes in figure.axes]
    assert bars == [[3, 1], [0, 2]]
    assert [axes.get_xlabel() for axes in figure.axes] == [
        "clips, training (n=4)",
        "clips, testing (n=2)",
    ]
    with pytest.raises(UsageError, match=r"--plot .*balance\.png: .* no folders of words"):
        check(words / "no", "v2-12", plot=tmp_path / "balance.png")


def test_kinds_of_folders(words, tmp_path, tiny_speakers):
    assert [kind_of(words), kind_of(words / "yes"), kind_of(tiny_speakers)] == [
        "words",
        "unlabeled",
        "speakers",
    ]
    (tmp_path / "test").mkdir()
    (words / "yes").rename(tmp_path / "test" / "audio")
    assert kind_of(tmp_path / "test") == "unlabeled"
    words.rename(tmp_path / "audio")
    assert kind_of(tmp_path) == "words"


def test_packs_and_checks_count_recordings_and_utterances(words, tiny_speakers):
    assert "33 recordings in 11 word folders" in pack(words)[0]
    assert "3 recordings without labels" in pack(words / "yes")[0]
    assert re.search("48 utterances.*6 speakers|6 speakers.*48 utterances", pack(tiny_speakers)[0])
    assert check(words / "no", "v2-12") == [f"{words}/no: 3 recordings without labels"]
    assert [line.split(": ")[1] for line in check(tiny_speakers, "v2-12")] == [
        "6 speakers, 40 mel bands",
        "30 utterances of 6 speakers",
        "6 utterances of 6 speakers",
        "12 utterances of 6 speakers",
    ]


def test_commands_print_and_exit_0_and_other_rates_need_the_flag(words, kws):
    code, out, err = kws("check", words, "--protocol", "embedded-12")
    assert (code, err) == (0, "")
    assert out.startswith(f"{words} under embedded-12\nlabel ")
    assert "choose 'noise' or 'zeros'" in kws("check", words, "--test-silence", "hum")[2]
    code, out, err = kws("pack", words)
    assert (code, err) == (0, "")
    assert "packed: " in out
    soundfile.write(words / "up/c2d15ea5_nohash_0.wav", np.ones((441, 2)) / 2, 44_100)
    code, _, err = kws("check", words)
    assert code == 2
    assert "44100 Hz" in err
    assert kws("check", words, "--resample")[0] == 0
    assert kws("pack", words, "--resample")[0] == 0
