"""What crosses, and that no bytes do more than be refused."""

import io
import json
import math
import pickle
import random
import struct
import zipfile

import pytest
import torch
from safetensors.torch import save

from grader.sandbox import wire
from grader.sandbox.wire import Malformed, Opaque, Ref, TooLarge, dump, lengths, load

MOST = 1 << 20


def frame(value, **options) -> bytes:
    return b"".join(dump(value, **options))


def unframe(data: bytes):
    """As a reader does it: the lengths first."""
    size = wire.PREFIX.size
    text, body = lengths(data[:size], MOST)
    return load(data[size : size + text], data[size + text : size + text + body])


def crossed(value):
    return unframe(frame(value))


SCALARS = [None, True, False, 0, -7, 2**70, 1.5, -0.0, 1e-300, math.inf, -math.inf, "", "ü", "\0"]


NESTED = [[], (), {}, [1, [2, (3, {"a": [None]})]], {1: 2, None: 3, (4, "b"): [5], False: 6.0}]
OTHERS = [torch.float64, torch.bool, Opaque("generator"), Ref(3, "Net")]


@pytest.mark.parametrize("value", [*SCALARS, *NESTED, *OTHERS], ids=repr)
def test_values_come_back_equal_and_of_their_type(value):
    back = crossed(value)
    assert back == value
    assert type(back) is type(value)


def test_infinities_shared_memory_and_requests_for_gradients_cross():
    assert math.isnan(crossed(math.nan))
    value = torch.tensor([math.inf, -math.inf, math.nan])
    assert torch.equal(crossed(value).isnan(), value.isnan())
    assert torch.equal(crossed(value)[:2], value[:2])
    back = crossed([torch.randn(3, requires_grad=True), torch.randn(3)])
    assert [tensor.requires_grad for tensor in back] == [True, False]
    value = torch.randn(3)
    assert all(torch.equal(back, value) for back in crossed([value, value, value.view(3)]))


@pytest.mark.parametrize("dtype", wire.DTYPES.values(), ids=str)
@pytest.mark.parametrize("shape", [(), (0, 3), (2, 3, 5)], ids=str)
def test_tensors_come_back_equal(dtype, shape):
    value = (torch.randn(shape) * 3).to(dtype)
    back = crossed([value])[0]
    assert back.dtype == dtype
    assert torch.equal(back, value)


@pytest.mark.parametrize(
    "value",
    [
        torch.randn(3, 5).T,
        torch.randn(7)[::2],
        torch.randn(1, 3).expand(5, 3),
        torch.randn(3, dtype=torch.complex64).conj(),
        torch.randn(3, dtype=torch.complex64).conj().imag,
    ],
    ids=["transposed", "strided", "expanded", "conjugated", "negated"],
)
def test_views_come_back_equal(value):
    assert torch.equal(crossed(value), value)


def test_a_subclass_crosses_as_a_plain_tensor_with_its_true_values():
    class Liar(torch.Tensor):
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            return True

    class Equal(int):
        def __eq__(self, other):
            return True

        __hash__ = int.__hash__

    plain = torch.randn(3)
    back = crossed([plain.as_subclass(Liar), Equal(5)])
    assert type(back[0]) is torch.Tensor
    assert torch.equal(back[0], plain)
    assert type(back[1]) is int
    assert back[1] != 6


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ((n for n in ()), "generator"),
        ({1, 2}, "set"),
        (b"bytes", "bytes"),
        (len, "builtin_function_or_method"),
        (torch.eye(3).to_sparse(), "Tensor that is sparse_coo"),
        (torch.empty(3, device="meta"), "Tensor that is strided"),
        ({frozenset(): 1}, "dict"),
        (1 << 2000, "a very long int"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_does_not_cross_says_what_it_was(value, kind):
    assert crossed(value) == Opaque(kind)


@pytest.mark.parametrize(("value", "key"), [([None], 0), ({"a": None}, "a")])
def test_a_list_or_dictionary_in_itself_crosses_as_far_as_it_can(value, key):
    value[key] = value
    back = crossed(value)
    for _ in range(wire.MAX_DEPTH):
        assert len(back) == 1
        back = back[key]
    assert isinstance(back, Opaque)


def test_too_much_is_told_before_it_is_written_and_text_that_no_file_could_hold_is_mended():
    with pytest.raises(TooLarge):
        dump(torch.zeros(1000), most=3999)
    with pytest.raises(TooLarge):
        dump("x" * (wire.MAX_JSON + 1))
    assert crossed("\ud800") == "?"
    assert len(unframe(with_lengths(b'{"o":"' + b"x" * 1000 + b'"}')).kind) == 80


def with_lengths(text: bytes, body: bytes = b"") -> bytes:
    return wire.PREFIX.pack(wire.MAGIC, len(text), len(body)) + text + body


def tensors(header: dict, data: bytes = b"") -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def entry(dtype: str, shape: list, size: int) -> dict:
    return {"0": {"dtype": dtype, "shape": shape, "data_offsets": [0, size]}}


TENSOR = b'{"T":["0","float32",false]}'


ONE = save({"0": torch.zeros(1)})
F32 = [([1], 8, 8), ([2**62, 4], 0, 0), ([-1], 4, 4), ([1.0], 4, 4), ([True], 4, 4), ([1], 4, 3)]
NO_FRAMES = [
    b"\0" * 16,
    b"\x80\x04\x95" + bytes(13),
    pickle.dumps(print).ljust(16, b"\0"),
    struct.pack("<4sIQ", b"kws1", 0xFFFFFFFF, 0),
    struct.pack("<4sIQ", b"kws1", 0, 2**64 - 1),
    struct.pack("<4sIQ", b"kws1", 10, MOST + wire.MAX_JSON + 1),
    *map(with_lengths, (b"", b"\xff\xfe", b"nul", b"NaN", b"Infinity", b"[" * 100_000)),
    *map(with_lengths, (b"[" * 80 + b"]" * 80, b'{"t":' * 100_000, b"1" * 1_000_000, b"{}")),
    *map(with_lengths, (b'{"a":1,"b":2}', b'{"pickle":"x"}', b'{"t":1}', b'{"d":[1]}')),
    *map(with_lengths, (b'{"d":[[[],1]]}', b'{"d":[[{"o":"x"},1]]}', b'{"f":"1"}', b'{"f":[]}')),
    *map(with_lengths, (b'{"y":1}', b'{"o":null}', b'{"m":[1]}', b'{"m":["1","x"]}')),
    *map(with_lengths, (b'{"m":[true,"x"]}', TENSOR)),
    with_lengths(b'{"T":[0,"float32",false]}', ONE),
    with_lengths(b'{"T":["0","float64",false]}', ONE),
    with_lengths(b'{"T":["0","object",false]}', ONE),
    with_lengths(b'{"T":["0","float32",1]}', ONE),
    with_lengths(b'{"T":["0","complex64",false]}', save({"0": torch.zeros(3)})),
    with_lengths(b'{"T":["0","bool",true]}', save({"0": torch.zeros(1).bool()})),
    with_lengths(TENSOR, b"\0"),
    with_lengths(TENSOR, b"\xff" * 8),
    with_lengths(TENSOR, struct.pack("<Q", 2**63) + b"{}"),
    with_lengths(TENSOR, tensors({})),
    *(with_lengths(TENSOR, tensors(entry("F32", s, n), bytes(size))) for s, n, size in F32),
    with_lengths(TENSOR, tensors(entry("F8_E4M3", [4], 4), bytes(4))),
    with_lengths(TENSOR, tensors(entry("F32", [1] * 17, 4), bytes(4))),
    with_lengths(TENSOR, tensors({"__metadata__": {"a": "b"}})),
    with_lengths(TENSOR, tensors({"0": []})),
    with_lengths(TENSOR, tensors({"0": {"dtype": "F32"}})),
    with_lengths(TENSOR, struct.pack("<Q", 100_000) + b"[" * 100_000),
]


@pytest.mark.parametrize("data", NO_FRAMES, ids=lambda data: repr(data[:40]))
def test_bytes_that_are_no_frame_are_refused(data):
    with pytest.raises(Malformed):
        unframe(data)


def test_an_archive_and_noise_are_refused():
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("data.pkl", pickle.dumps(1))
    with pytest.raises(Malformed):
        unframe(archive.getvalue())
    with pytest.raises(Malformed):
        load(TENSOR, archive.getvalue())
    chance = random.Random(1)
    for size in range(200):
        with pytest.raises(Malformed):
            load(chance.randbytes(size), chance.randbytes(size + 1))


def test_any_change_of_a_frame_is_refused_or_still_plain_values():
    """Flipped, cut, doubled and swapped bytes: 3,000 of them, never anything but Malformed."""
    value = {"id": 3, "value": [torch.randn(3, 5), (1.5, "a"), {"b": torch.arange(7)}, Ref(1, "N")]}
    good = frame(value)
    chance = random.Random(0)
    refused = 0
    for _ in range(3000):
        data = bytearray(good)
        for _ in range(chance.randint(1, 4)):
            begin = chance.randrange(len(data))
            end = min(len(data), begin + chance.randint(1, 9))
            match chance.randrange(4):
                case 0:
                    data[begin] ^= 1 << chance.randrange(8)
                case 1:
                    del data[begin:end]
                case 2:
                    data[begin:begin] = data[begin:end]
                case 3:
                    data[begin:end] = chance.randbytes(end - begin)
        try:
            unframe(bytes(data).ljust(wire.PREFIX.size, b"\0"))
        except Malformed:
            refused += 1
    assert 1000 < refused < 3000
