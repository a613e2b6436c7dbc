"""A small folder of speakers in the homework's layout."""

import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch


def write_speakers(
    folder: Path,
    counts: Mapping[str, int],
    test: int,
    features: Callable[[int], torch.Tensor],
    answers: Sequence[str] = (),
) -> Path:
    """So many utterances of each speaker and to test; number i is `features(i)`, (frames, F)."""
    folder.mkdir(parents=True, exist_ok=True)
    numbers, order = itertools.count(), sorted(counts)

    def utterance() -> dict[str, object]:
        mel = features(number := next(numbers))
        name = f"uttr-{number * 7919 % 1000:032x}.pt"
        torch.save(mel, folder / name)
        return {"feature_path": name, "mel_len": len(mel)}

    labeled = {name: [utterance() for _ in range(count)] for name, count in counts.items()}
    tested = [utterance() for _ in range(test)]
    n_mels = features(0).shape[1]
    tables = {
        "mapping": {
            "speaker2id": {name: i for i, name in enumerate(order)},
            "id2speaker": {str(i): name for i, name in enumerate(order)},
        },
        "metadata": {"n_mels": n_mels, "speakers": labeled},
        "testdata": {"n_mels": n_mels, "utterances": tested},
    }
    for name, table in tables.items():
        (folder / f"{name}.json").write_text(json.dumps(table))
    if answers:
        rows = [f"{x['feature_path']},{name}" for x, name in zip(tested, answers, strict=True)]
        (folder / "test_labels.csv").write_text("\n".join(["Id,Category", *rows]) + "\n")
    return folder
