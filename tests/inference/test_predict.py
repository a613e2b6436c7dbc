"""Labels for files: which files, which seconds of them, and the same answer however batched."""

import json

import numpy as np
import pytest
import torch

from kws.audio.features import pad_or_trim, speaker_log_mel
from kws.audio.recordings import CLIP_SAMPLES, SAMPLE_RATE, read_audio, write_audio
from kws.errors import UsageError
from kws.inference import predict as module
from kws.inference.predict import find_recordings, predict, windows

LABELS = ("yes", "no", "_unknown_")


@pytest.fixture
def keywords(untrained):
    return untrained("model.dropout=0.3", labels=LABELS)


@pytest.fixture
def speakers(untrained):
    return untrained(
        "data.task=speakers", "model.name=tdnn", "model.channels=8", "model.d_hidden=8",
        labels=("anna", "ben", "cleo"),
    )  # fmt: skip


def record(path, seconds: float, seed: int = 0, rate: int = SAMPLE_RATE):
    generator = torch.Generator().manual_seed(seed)
    write_audio(path, 0.1 * torch.randn(round(seconds * rate), generator=generator), rate)
    return path


def scores(predictions):
    return torch.tensor(
        [[dict(p.scores)[label] for label in sorted(dict(p.scores))] for p in predictions]
    )


def test_files_keep_their_order_and_folders_are_sorted_on_all_levels(tmp_path):
    for name in ("b.wav", "a/z.flac", "a/y/x.WAV", ".hidden.wav", "a/notes.txt", "c.pt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    named = [tmp_path / "b.wav", tmp_path, tmp_path / "missing.wav"]
    inside = [tmp_path / "a/y/x.WAV", tmp_path / "a/z.flac", tmp_path / "b.wav"]
    assert find_recordings(named, "keywords") == [named[0], *inside, named[2]]
    assert find_recordings([tmp_path], "speakers") == [*inside, tmp_path / "c.pt"]


def test_a_folder_of_the_homework_gives_its_test_utterances(tiny_speakers):
    found = find_recordings([tiny_speakers], "speakers")
    testdata = json.loads((tiny_speakers / "testdata.json").read_text())["utterances"]
    assert found == sorted(tiny_speakers / entry["feature_path"] for entry in testdata)
    assert len(found) == 12


@pytest.mark.parametrize("length", [1, 8_000, 16_000, 16_001, 24_000, 24_001, 71_003])
def test_windows_hold_every_sample_and_none_begins_too_late(length):
    waveform = torch.arange(1.0, length + 1)
    cut = windows(waveform.numpy())
    starts = [round(start * SAMPLE_RATE) for start, _ in cut]
    assert starts == list(range(0, 8_000 * len(cut), 8_000))
    assert starts[-1] + CLIP_SAMPLES >= length
    assert starts[-1] == 0 or starts[-1] + 8_000 < length  # without it the end would be missing
    for start, (_, window) in zip(starts, cut, strict=True):
        assert np.array_equal(window, pad_or_trim(waveform[start:]).numpy())


def test_scores_are_the_models_and_best_first(tmp_path, keywords):
    (found,) = predict(keywords, [record(tmp_path / "a.wav", 0.4)])
    waveform = 0.1 * torch.randn(6_400, generator=torch.Generator().manual_seed(0))
    shares = keywords.logits(keywords.features(pad_or_trim(waveform)[None])).softmax(1)[0]
    # the file holds 16 bits, the waveform here float32
    assert dict(found.scores) == pytest.approx(
        dict(zip(LABELS, shares.tolist(), strict=True)), abs=1e-3
    )
    values = [score for _, score in found.scores]
    assert values == sorted(values, reverse=True)
    assert found.label == found.scores[0][0]


def test_batches_change_nothing(tmp_path, keywords, monkeypatch):
    files = [record(tmp_path / f"{i}.wav", 0.7 + i, seed=i) for i in range(3)]
    together = scores(predict(keywords, files))
    monkeypatch.setitem(module.BATCH, "keywords", 1)
    alone = scores(predict(keywords, files))
    assert together.shape == (1 + 3 + 5, 3)
    # shares below 1 in float32, whose sums a batch may order otherwise
    assert torch.allclose(together, alone, atol=1e-6)


def test_a_speakers_features_are_normalized_and_share_a_batch_at_different_lengths(
    tmp_path, speakers, monkeypatch
):
    files = []
    for i, frames in enumerate((31, 7, 53)):
        torch.save(torch.randn(frames, 40), tmp_path / f"{i}.pt")
        files.append(tmp_path / f"{i}.pt")
    together = scores(predict(speakers, files))
    monkeypatch.setitem(module.BATCH, "speakers", 1)
    # float32 sums over frames, with padding in another order
    assert torch.allclose(together, scores(predict(speakers, files)), atol=1e-5)
    mel = (torch.randn(31, 40) - 9).half().float()
    torch.save(mel, tmp_path / "a.pt")
    valid = torch.ones(1, 31, dtype=torch.bool)
    shares = speakers.logits(speakers.normalizer(mel[None], valid), valid).softmax(1)
    # shares below 1 in float32
    assert torch.allclose(scores(predict(speakers, [tmp_path / "a.pt"])), shares, atol=1e-6)


@pytest.mark.parametrize(("limit", "sizes"), [(1, [1, 1, 1, 1]), (20, [2, 1, 1]), (31, [3, 1])])
def test_a_batch_is_bounded_with_its_padding(limit, sizes):
    segments = [
        module.Segment(path=module.Path("a"), start=None, end=None, values=np.zeros((length, 2)))
        for length in (10, 5, 8, 40)
    ]
    assert [len(batch) for batch in module._batches(segments, limit)] == sizes


def test_a_speakers_recording_and_its_features_get_the_same_scores(tmp_path, speakers):
    waveform = torch.sin(torch.arange(30_000) * 0.05) * torch.linspace(0.1, 0.9, 30_000)
    write_audio(tmp_path / "a.wav", waveform)
    torch.save(speaker_log_mel(read_audio(tmp_path / "a.wav")), tmp_path / "a.pt")
    found = list(predict(speakers, [tmp_path / "a.wav", tmp_path / "a.pt"]))
    assert (found[0].start, found[0].end) == (0.0, 1.875)
    assert (found[1].start, found[1].end) == (None, None)
    assert torch.allclose(scores(found[:1]), scores(found[1:]), atol=2e-3)  # float16 in the file


def test_the_first_bad_file_stops_everything_or_is_skipped(tmp_path, keywords):
    (tmp_path / "bad.wav").touch()
    files = [tmp_path / "bad.wav", record(tmp_path / "a.wav", 1), tmp_path / "missing.wav"]
    with pytest.raises(UsageError, match=r"bad\.wav: empty"):
        list(predict(keywords, files))
    reasons = []
    found = list(predict(keywords, files, skipped=reasons.append))
    assert [p.path for p in found] == [files[1]]
    assert [str(reason).split(":")[0] for reason in reasons] == [str(files[0]), str(files[2])]


def test_another_rate_needs_resampling(tmp_path, keywords):
    path = record(tmp_path / "a.wav", 1.2, rate=8_000)
    with pytest.raises(UsageError, match=r"8000 Hz.*--resample"):
        list(predict(keywords, [path]))
    found = list(predict(keywords, [path], resample=True))
    assert [(p.start, p.end) for p in found] == [(0.0, 1.0), (0.5, 1.2)]
    assert {p.path for p in found} == {path}


def test_what_a_model_cannot_read_is_refused(tmp_path, keywords, speakers, untrained):
    with pytest.raises(UsageError, match="no recordings"):
        find_recordings([tmp_path], "keywords")
    with pytest.raises(UsageError, match=r"a\.pt: a keyword model reads recordings"):
        list(predict(keywords, [tmp_path / "a.pt"]))
    write_audio(tmp_path / "silent.wav", torch.zeros(20_000))
    with pytest.raises(UsageError, match=r"silent\.wav: no audible passage.*record it again"):
        list(predict(speakers, [tmp_path / "silent.wav"]))
    (tmp_path / "testdata.json").write_text('{"utterances": [1]}')
    with pytest.raises(UsageError, match=r"testdata\.json: "):
        find_recordings([tmp_path], "speakers")
    narrow = untrained("data.task=speakers", "features.n_mels=13", labels=LABELS)
    with pytest.raises(UsageError, match="width 13, a recording is turned into 40"):
        list(predict(narrow, [record(tmp_path / "a.wav", 1)]))
    torch.save(torch.randn(9, 40), tmp_path / "a.pt")
    with pytest.raises(UsageError, match="40 mel bands where n_mels says 13"):
        list(predict(narrow, [tmp_path / "a.pt"]))
