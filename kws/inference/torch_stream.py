"""A trained model over a stream, by torch: windows, or steps where the model has a state.

Shape letters: N samples   T frames   F features   W windows   S steps   C classes
"""

from dataclasses import asdict

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from kws.audio.normalize import Normalizer
from kws.inference.streaming import require_stream_features
from kws.models.causal import CausalModel, State
from kws.training.checkpoint import Trained, require_kind
from kws.training.new_head import split_head
from kws.training.other_words import without_parts
from kws.training.recipe import compute_features


class StepModel(nn.Module):
    """Frames, not normalized, and state -> logits (S, C) after each step, and the next state."""

    def __init__(self, body: nn.Module, head: nn.Module, normalizer: Normalizer):
        super().__init__()
        assert isinstance(body, CausalModel)
        self.body, self.head, self.normalizer = body, head, normalizer

    def forward(self, frames: Float[Tensor, "1 T F"], *state: Tensor) -> tuple[Tensor, ...]:
        embedding, after = self.body.step(self.normalizer(frames), state)
        return self.head(embedding[0]), *after


class TorchStream:
    """`StreamModel` of a trained keyword model.

    A model with state whose features are normalized by their mean over the clip reads windows, too:
    that mean is not there yet. Raises UsageError: a speaker model, or one that reads waveforms or
    frames of its own.
    """

    def __init__(self, trained: Trained):
        where = trained.path or "the model"
        require_kind(where, trained.task, "keywords")
        require_stream_features(where, asdict(trained.recipe.features))
        self.trained, self.labels = trained, trained.labels
        self.device = next((each.device for each in trained.model.parameters()), "cpu")
        self.num_features = trained.recipe.features.num_features
        self.steps, self.step_frames = None, 0
        model = without_parts(trained.model.eval())
        if isinstance(model, CausalModel) and trained.normalizer.kind != "utterance":
            self.steps = StepModel(*split_head(trained.model), trained.normalizer)
            self.step_frames = model.step_frames

    @torch.inference_mode()
    def frames(self, waveform: Float[np.ndarray, "N"]) -> Float[np.ndarray, "T F"]:
        """Features, not normalized."""
        samples = torch.from_numpy(waveform)[None]
        return compute_features(self.trained.recipe.features, samples)[0].numpy()

    @torch.inference_mode()
    def classify(self, windows: Float[np.ndarray, "W T F"]) -> Float[np.ndarray, "W C"]:
        """Softmax of the logits of windows of features."""
        features = torch.from_numpy(windows.copy()).to(self.device)
        logits = self.trained.logits(self.trained.normalizer(features))
        return logits.float().softmax(dim=1).cpu().numpy()

    def start(self) -> State:
        """The model's state in front of the first step."""
        assert self.steps is not None
        return self.steps.body.start()

    @torch.inference_mode()
    def step(
        self, frames: Float[np.ndarray, "T F"], state: State
    ) -> tuple[Float[np.ndarray, "S C"], State]:
        """Softmax of the logits after each step, and the next state."""
        assert self.steps is not None
        logits, *state_after = self.steps(torch.from_numpy(frames)[None].to(self.device), *state)
        return logits.float().softmax(dim=1).cpu().numpy(), tuple(state_after)
