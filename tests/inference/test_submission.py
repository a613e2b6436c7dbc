"""Result files: exact bytes, round trip, and one sentence for everything that can be wrong."""

import pytest

from kws.errors import UsageError
from kws.inference.submission import HOMEWORK, KAGGLE, KAGGLE_LABELS, check_csv, write_csv
from kws.inference.thresholds import kaggle_label
from tests.conftest import data_beside

SPEAKERS = ("id00464", "id03074")
UTTERANCE = "uttr-0123456789abcdef0123456789abcdef.pt"


def test_a_file_from_a_spreadsheet_or_with_odd_names_is_read(tmp_path):
    predictions = {'a,"b".wav': "go", "ü.wav": "up"}
    write_csv(tmp_path / "x.csv", KAGGLE, predictions, KAGGLE_LABELS)
    assert check_csv(tmp_path / "x.csv", KAGGLE, KAGGLE_LABELS, predictions) == predictions
    (tmp_path / "x.csv").write_bytes(b"\xef\xbb\xbffname,label\r\na.wav,yes\r\n")
    assert check_csv(tmp_path / "x.csv", KAGGLE, KAGGLE_LABELS) == {"a.wav": "yes"}
    (tmp_path / "x.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="not a CSV text file"):
        check_csv(tmp_path / "x.csv", KAGGLE, KAGGLE_LABELS)


def test_kaggle_labels_are_the_twelve():
    assert len(set(KAGGLE_LABELS)) == 12
    assert {kaggle_label(label) for label in ("_unknown_", "unknown", "bed")} == {"unknown"}
    assert [kaggle_label(label) for label in KAGGLE_LABELS] == list(KAGGLE_LABELS)


@pytest.mark.parametrize(("text", "sentence"), data_beside(__file__)["wrong"])
def test_what_is_wrong_is_said(tmp_path, text, sentence):
    (tmp_path / "x.csv").write_text(text)
    with pytest.raises(UsageError, match=sentence) as caught:
        check_csv(tmp_path / "x.csv", KAGGLE, KAGGLE_LABELS, ["a.wav", "b.wav", "c.wav"])
    assert str(caught.value).startswith(str(tmp_path / "x.csv"))


def test_a_bad_prediction_leaves_the_old_file(tmp_path):
    out = tmp_path / "x.csv"
    out.write_text("old")
    with pytest.raises(UsageError, match="unknown Category 'id9'"):
        write_csv(out, HOMEWORK, {UTTERANCE: "id9"}, SPEAKERS)
    assert out.read_text() == "old"
    assert list(tmp_path.iterdir()) == [out]
