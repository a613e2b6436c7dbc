"""Encoder and decoder of a recognizer run in onnxruntime as they do in torch.

They take seconds to trace: `.ci/run` runs these.
"""

import json
from pathlib import Path

import pytest
import torch

from kws.decoding.transcribe import decodes, transcribe
from kws.errors import UsageError
from kws.inference.export_recognizer import export_recognizer
from kws.inference.onnx_tools import open_session
from kws.inference.trained_recognizer import Recognizer
from kws.models.speech_transformer import MODULES
from kws.text.alphabet import EOS, SOS, SPECIAL, Alphabet
from kws.training.recipe import load_recipe
from kws.training.recognizer_steps import new_recognizer

pytestmark = [pytest.mark.slow, pytest.mark.no_shapes]
SMALL = ["model.d_model=8", "model.num_heads=2", "model.channels=2", "features.n_mels=8"]
GRU = ["model.hidden_size=5", "model.num_encoder_layers=2"]
TRANSFORMER = ["model.d_ff=12", "model.num_encoder_layers=1", "model.num_decoder_layers=1"]
KINDS = {
    "transformer": ("speech-to-text", TRANSFORMER),
    "gru": ("speech-to-text", ["model.name=speech-gru", "model.num_decoder_layers=2", *GRU]),
    "ctc": ("speech-to-text-ctc", GRU),
}


def untrained_recognizer(kind: str) -> Recognizer:
    name, settings = KINDS[kind]
    recipe, alphabet = load_recipe(name, [*SMALL, *settings]), Alphabet(tuple(" aeö"))
    torch.manual_seed(1)
    model = new_recognizer(recipe, len(alphabet)).eval()
    with torch.no_grad():
        for weights in model.parameters():
            weights += 0.3 * torch.randn_like(weights)  # or it would write one symbol for ever
        model.ctc.bias[:SPECIAL] -= 9  # or nothing
    return Recognizer(model=model, recipe=recipe, alphabet=alphabet, step=0, path=Path("x"))


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_graphs_write_is_what_the_model_writes(kind, tmp_path):
    recognizer = untrained_recognizer(kind)
    files, difference = export_recognizer(recognizer, tmp_path / "model.onnx")
    assert difference < 1e-4
    assert list(files) == (["encoder", "decoder"] if decodes(recognizer.model) else ["encoder"])
    assert sorted(tmp_path.iterdir()) == sorted(files.values())
    sessions = {half: open_session(file) for half, file in files.items()}
    symbols = json.loads(sessions["encoder"].get_modelmeta().custom_metadata_map["symbols"])
    texts = []
    for frames in (1, 37, 150):  # lengths that no graph was traced with
        mel = torch.randn(frames, 8, generator=torch.Generator().manual_seed(frames))
        real = {"valid": torch.ones(1, frames, dtype=torch.bool).numpy()}
        memory, valid, ctc = sessions["encoder"].run(None, {"features": mel[None].numpy(), **real})
        if "decoder" in files:
            written = [[SOS]]
            while len(written[0]) <= 12 and written[0][-1] != EOS:
                feed = {"memory": memory, "memory_valid": valid}
                feed["symbols"] = torch.tensor(written).numpy()
                (logits,) = sessions["decoder"].run(None, feed)
                written[0].append(int(logits.argmax()))
            text = "".join(symbols[s] for s in written[0] if s > EOS)
        else:
            path = torch.from_numpy(ctc)[0].argmax(1).unique_consecutive()
            text = "".join(symbols[s] for s in path[path > EOS].tolist()[:12])
        assert text == transcribe(recognizer.model, [mel], recognizer.alphabet, longest=12)[0]
        texts.append(text)
    assert len(set(texts)) > 1, "a constant text would agree with anything"


@pytest.mark.parametrize("module", sorted(set(MODULES) - {"res-cnn-lstm"}))
def test_what_stands_in_front_of_the_encoder_is_exported_too(module, tmp_path, monkeypatch):
    settings = [*TRANSFORMER, f"model.module={module}", "model.num_modules=1"]
    monkeypatch.setitem(KINDS, module, ("speech-to-text", settings))
    assert export_recognizer(untrained_recognizer(module), tmp_path / "model.onnx")[1] < 1e-4


def test_a_model_that_goes_frame_by_frame_is_refused_in_a_sentence(tmp_path, monkeypatch):
    lstm = [*TRANSFORMER, "model.module=res-cnn-lstm", "model.num_modules=1"]
    monkeypatch.setitem(KINDS, "lstm", ("speech-to-text", lstm))
    with pytest.raises(UsageError, match=r"goes frame by frame.*: train it with another module"):
        export_recognizer(untrained_recognizer("lstm"), tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())
