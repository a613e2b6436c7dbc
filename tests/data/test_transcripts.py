"""Recordings with transcripts: read, batched, and refused where malformed."""

from itertools import chain

import pytest
import torch

from kws.audio.recordings import write_audio
from kws.data.transcripts import load_transcripts, pad_mels
from kws.errors import UsageError

HEADER = "file,speaker,split,text\n"


@pytest.fixture
def folder(tmp_path):
    lines = [HEADER]
    for i in range(9):
        write_audio(tmp_path / f"{i}.wav", 0.1 * torch.randn(1600 + 320 * i))
        lines.append(f"{i}.wav,s{i % 2},training,one  two\n")
    (tmp_path / "transcripts.csv").write_text("".join(lines))
    return tmp_path


def test_a_split_has_features_texts_and_counts_padded_with_zeros(folder):
    split = load_transcripts(folder, "training", n_mels=20)
    assert [len(mel) for mel in split.mels] == [11 + 2 * i for i in range(9)]
    assert all(abs(float(mel.mean())) < 1e-5 for mel in split.mels)
    assert split.texts == ["one two"] * 9
    assert split.describe() == "training: 9 utterances, 18 words, 2 speakers"
    mel, valid = pad_mels([torch.ones(3, 2), torch.ones(5, 2)])
    assert valid.sum(dim=1).tolist() == [3, 5]
    assert not mel[~valid].any()


def test_batches_hold_every_utterance_once_with_neighbors_in_length_together(folder):
    split = load_transcripts(folder, "training")
    rows = list(split.batches(4))
    assert sorted(chain(*rows)) == list(range(9))
    assert rows[0] == [8, 7, 6, 5]
    stream = split.training_batches(4, torch.Generator().manual_seed(0))
    first = [next(stream) for _ in range(3)]
    assert sorted(chain(*first)) == list(range(9))
    again = split.training_batches(4, torch.Generator().manual_seed(0))
    assert [next(again) for _ in range(3)] == first
    assert sorted(chain(*(next(stream) for _ in range(3)))) == list(range(9))


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("file,speaker,text\n", "no column split"),
        (HEADER + "0.wav,s,training,\n", "line 2: no text"),
        (HEADER + "0.wav,s,trainig,one\n", "unknown split 'trainig' .did you mean 'training'"),
        (HEADER + "99.wav,s,training,one\n", "line 2: 99.wav: no such file"),
        (HEADER + "0.wav,s,training,one\n" * 2, "0.wav occurs twice"),
        (HEADER + "0.wav,s,testing,one\n", "no utterance of the training split"),
        ("file,speaker,split,text,starts\n0.wav,s,training,one,x\n", "starts='x'"),
    ],
)
def test_a_malformed_table_is_told(folder, table, words):
    (folder / "transcripts.csv").write_text(table)
    with pytest.raises(UsageError, match=words):
        load_transcripts(folder, "training")
    (folder / "transcripts.csv").unlink()
    with pytest.raises(UsageError, match="no such file"):
        load_transcripts(folder, "training")
