"""`kws kaggle`, `kws homework-csv`: what they write, and the sentence for a file that is wrong."""

import json
import shutil

import pytest
import torch

from kws.audio.recordings import write_audio
from kws.data.protocols import PROTOCOLS
from kws.inference.submission import KAGGLE_LABELS
from tests.conftest import state_of

CLIPS = ("clip_0b.wav", "clip_0a.wav", "clip_1.wav")
GOOD = "fname,label\nclip_0a.wav,yes\nclip_0b.wav,unknown\nclip_1.wav,silence\n"


@pytest.fixture
def challenge(tmp_path):
    """The unpacked test folder of the challenge, of three clips."""
    for name in CLIPS:
        write_audio(tmp_path / "unpacked" / "test" / "audio" / name, 0.1 * torch.randn(8_000))
    return tmp_path / "unpacked"


@pytest.fixture
def says(untrained, tmp_path):
    """`says("_unknown_")`: the folder of a model of twelve classes that always says so."""
    from kws.training.checkpoint import save_checkpoint

    def make(label: str, protocol: str = "embedded-12"):
        labels = PROTOCOLS[protocol].labels
        trained = untrained(f"data.protocol={protocol}", labels=labels, protocol=protocol)
        trained.model.get_parameter("classify.bias").data[labels.index(label)] += 100
        (tmp_path / "run").mkdir(exist_ok=True)
        save_checkpoint(tmp_path / "run" / "best.pt", state_of(trained))
        return tmp_path / "run"

    return make


class TestKaggle:
    @pytest.mark.parametrize("below", ["", "test", "test/audio"])
    def test_every_file_once_and_sorted(self, kws, says, challenge, tmp_path, below):
        out = tmp_path / "out.csv"
        outcome = kws("kaggle", challenge / below, "--run", says("stop"), "--out", out)
        assert outcome.out == f"written: {out}, 3 rows: stop 3\n"
        expected = b"fname,label\nclip_0a.wav,stop\nclip_0b.wav,stop\nclip_1.wav,stop\n"
        assert out.read_bytes() == expected
        outcome = kws("kaggle", challenge, "--check", out)
        assert outcome.out == f"{out}: correct, 3 rows: stop 3\n"
        write_audio(challenge / "test" / "audio" / "clip_0a.wav", torch.zeros(40_000))
        outcome = kws("kaggle", challenge / below, "--run", says("stop"), "--out", out)
        assert outcome.out.startswith("note: 1 recordings are longer than 1 s")
        assert out.read_bytes() == expected  # the first second counts

    def test_what_is_missing_or_of_another_kind_is_refused(
        self, kws, says, speaker_run, keyword_run, challenge, speakers, tmp_path
    ):
        out, empty = tmp_path / "out.csv", tmp_path / "empty"
        kws("homework-csv", speakers, "--run", keyword_run, "--out", out).sentence("kaggle")
        kws("kaggle", challenge).sentence("--run", "--check")
        empty.mkdir()
        kws("kaggle", empty, "--run", says("up"), "--out", out).sentence(empty)
        kws("kaggle", challenge, "--check", tmp_path / "no.csv").sentence(tmp_path / "no.csv")
        (speakers / "testdata.json").unlink()
        kws("homework-csv", speakers, "--run", speaker_run).sentence("testdata.json")
        assert not out.exists()

    @pytest.mark.parametrize(
        ("protocol", "label", "written"),
        [
            ("embedded-12", "_silence_", "silence"),
            ("embedded-12", "_unknown_", "unknown"),
            ("kaggle-12", "unknown", "unknown"),
            ("embedded-35", "marvin", "unknown"),
        ],
    )
    def test_twelve_labels_without_underscores(
        self, kws, says, challenge, tmp_path, protocol, label, written
    ):
        out = tmp_path / "out.csv"
        assert kws("kaggle", challenge, "--run", says(label, protocol), "--out", out).code == 0
        rows = out.read_text().splitlines()[1:]
        assert {row.split(",")[1] for row in rows} == {written} <= set(KAGGLE_LABELS)

    @pytest.mark.parametrize(
        ("below", "written"), [((0.0, 0.0), "go"), ((1.0, 0.0), "unknown"), ((1.0, 1.0), "silence")]
    )
    def test_a_model_of_words_says_the_rest_by_its_confidence(
        self, kws, untrained, challenge, tmp_path, below, written
    ):
        """A recipe with count_as: below one confidence it is unknown, below another silence."""
        from kws.training.checkpoint import save_checkpoint

        labels = PROTOCOLS["embedded-35"].labels
        rule = [f"data.unknown_below={below[0]}", f"data.silence_below={below[1]}"]
        settings = ("data.protocol=embedded-35", "data.count_as=embedded-12", *rule)
        trained = untrained(*settings, labels=labels, protocol="embedded-35")
        trained.model.get_parameter("classify.bias").data[labels.index("go")] += 2
        (tmp_path / "run").mkdir()
        save_checkpoint(tmp_path / "run" / "best.pt", state_of(trained))
        out = tmp_path / "out.csv"
        assert kws("kaggle", challenge, "--run", tmp_path / "run", "--out", out).code == 0
        assert {row.split(",")[1] for row in out.read_text().splitlines()[1:]} == {written}

    @pytest.mark.parametrize(
        ("text", "names"),
        [
            ("\ufeff" + GOOD, ["line 1", "byte-order mark"]),
            (GOOD.replace("\n", "\r\n"), ["line 1", "carriage return"]),
            (GOOD.replace("yes\n", "yes\r\n"), ["line 2", "carriage return"]),
            (GOOD.replace("unknown", "_unknown_"), ["line 3", "'_unknown_'", "'unknown'"]),
            (GOOD.replace("clip_1.wav,silence\n", ""), ["1 of 3", "'clip_1.wav'"]),
            # of several, the first
            (GOOD.replace("silence", "?").replace("0b", "0c"), ["line 3", "'clip_0c.wav'"]),
        ],
    )
    def test_the_first_line_that_is_wrong_is_named(self, kws, challenge, tmp_path, text, names):
        path = tmp_path / "theirs.csv"
        path.write_bytes(text.encode())
        kws("kaggle", challenge, "--check", path).sentence(path, *names)


class TestHomework:
    def test_every_test_utterance_gets_a_speaker(self, kws, speaker_run, good_speakers, tmp_path):
        out = tmp_path / "out.csv"
        outcome = kws("homework-csv", "--run", speaker_run, good_speakers, "--out", out)
        assert outcome.out.startswith(f"written: {out}, 3 rows: id0000")
        header, *rows = out.read_text().splitlines()
        tested = json.loads((good_speakers / "testdata.json").read_text())["utterances"]
        names, labels = zip(*(row.split(",") for row in rows), strict=True)
        assert header == "Id,Category"
        assert list(names) == sorted(entry["feature_path"] for entry in tested)
        assert set(labels) <= {"id00000", "id00001", "id00002"}

    def test_answers_are_checked_and_an_unknown_speaker_is_named(
        self, kws, good_speakers, tmp_path
    ):
        answers = (good_speakers / "test_labels.csv").read_text()
        (tmp_path / "theirs.csv").write_text(answers.replace("id00001", "id00009"))
        outcome = kws("homework-csv", good_speakers, "--check", tmp_path / "theirs.csv")
        outcome.sentence("line 3", "'id00009'")
        outcome = kws("homework-csv", good_speakers, "--check", good_speakers / "test_labels.csv")
        assert outcome.out.endswith("correct, 3 rows: id00000 1, id00001 1, id00002 1\n")

    def test_speakers_in_another_order_are_refused(self, kws, speaker_run, speakers, tmp_path):
        mapping = json.loads((speakers / "mapping.json").read_text())["speaker2id"]
        mapping |= {"id00000": 1, "id00001": 0}
        (speakers / "mapping.json").write_text(json.dumps({"speaker2id": mapping}))
        out = tmp_path / "out.csv"
        kws("homework-csv", speakers, "--run", speaker_run, "--out", out).sentence("mapping.json")
        assert not out.exists()

    def test_a_missing_feature_file_is_named(self, kws, speaker_run, speakers, tmp_path):
        name = json.loads((speakers / "testdata.json").read_text())["utterances"][0]["feature_path"]
        (speakers / name).unlink()
        shutil.rmtree(tmp_path / "cache", ignore_errors=True)
        out = tmp_path / "out.csv"
        kws("homework-csv", speakers, "--run", speaker_run, "--out", out).sentence(name)
        assert not out.exists()
