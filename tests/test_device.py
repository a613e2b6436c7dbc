"""Where to compute: which device is chosen, and the way there and back."""

import pytest
import torch
from torch import nn

from kws.device import CalledFromCpu, back_on_cpu, choose_device, device_of
from kws.errors import UsageError

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.delenv("KWS_DEVICE", raising=False)


def test_a_device_that_is_not_there_is_refused(monkeypatch):
    assert choose_device() == choose_device("auto") == choose_device("cpu") == CPU
    for name in ("cuda", "mps"):
        with pytest.raises(UsageError, match=f"^device {name}: this machine has no usable"):
            choose_device(name)
    with pytest.raises(UsageError, match=r"^device 'tpu' is unknown: choose auto, cpu, cuda"):
        choose_device("tpu")
    monkeypatch.setenv("KWS_DEVICE", "cuda")
    with pytest.raises(UsageError, match=r"^KWS_DEVICE cuda: this machine has no usable CUDA GPU"):
        choose_device()


def test_cuda_is_taken_mps_is_asked_for_and_the_environment_decides(monkeypatch):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert choose_device() == CPU
    assert choose_device("mps") == torch.device("mps")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose_device() == torch.device("cuda", 0)
    monkeypatch.setenv("KWS_DEVICE", "cpu")
    assert choose_device() == CPU
    assert choose_device("cuda") == torch.device("cuda", 0)  # an argument is stronger


def test_each_process_has_a_gpu_of_its_own(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setenv("LOCAL_RANK", "3")
    assert choose_device("auto") == choose_device("cuda") == torch.device("cuda", 3)
    assert choose_device("cpu") == CPU


@pytest.mark.parametrize("ends", [None, KeyboardInterrupt, ValueError])
def test_after_a_training_the_model_is_on_the_cpu_however_it_ended(ends):
    moved, model = [], nn.Linear(2, 3)
    model.to = lambda device: moved.append(device)  # type: ignore[method-assign]

    @back_on_cpu
    def fit(model, steps):
        model.to("there")
        if ends is not None:
            raise ends
        return steps

    if ends is None:
        assert fit(model, 7) == 7
    else:
        with pytest.raises(ends):
            fit(model, 7)
    assert moved == ["there", "cpu"]


def test_a_model_called_from_the_cpu_answers_there_and_its_errors_are_not_explained_by_devices():
    model = nn.Linear(2, 3)
    x = torch.randn(5, 2)
    called = CalledFromCpu(model).eval()
    assert not model.training
    assert torch.equal(called(x), model(x))
    assert device_of(nn.ReLU()) == device_of(model) == CPU

    def fit(model):
        raise RuntimeError("Expected all tensors to be on the same device, but found cuda and cpu")

    with pytest.raises(RuntimeError, match=r"^Expected all tensors"):
        fit(nn.Linear(2, 3))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.device_count(), reason="needs a CUDA device")
def test_on_a_gpu_a_model_goes_there_and_back_and_answers_the_same(monkeypatch):
    monkeypatch.undo()
    model, x = nn.Linear(2, 3), torch.randn(5, 2)
    expected, places = model(x), []

    @back_on_cpu
    def fit(model):
        model.to(choose_device("cuda"))
        places.append(device_of(model).type)
        # three products in float32, by another library
        assert torch.allclose(CalledFromCpu(model)(x), expected, atol=1e-5)
        with pytest.raises(RuntimeError, match="device"):
            model(x)
        return model(x)

    with pytest.raises(RuntimeError, match=r"device=x\.device"):
        fit(model)
    assert places == ["cuda"]
    assert device_of(model) == CPU
