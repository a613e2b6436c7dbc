"""DS-CNN has the size that MLPerf Tiny states."""

from kws.models.counts import count_parameters
from kws.models.ds_cnn import DsCnn, DsCnnConfig


def test_the_size_is_that_of_the_benchmark():
    model = DsCnn(DsCnnConfig())
    moving = sum(b.numel() for name, b in model.named_buffers() if "running" in name)
    assert count_parameters(model) == 23_756
    assert count_parameters(model) + moving == 24_908  # as Keras counts
