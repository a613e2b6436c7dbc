"""Messages between processes: length-prefixed JSON plus safetensors, never a pickle.

A frame is 16 bytes (`kws1`, length of the JSON, length of the body), a JSON text and a safetensors
body. The JSON has None, bool, int, float, str and list as they are, everything else as an object
with one tag: tuple, dict, tensor (its index in the body), dtype, non-finite float, `Ref` (a module
in the other process) and `Opaque` (a value that cannot be sent). Dictionary keys are plain values.
`load` takes any bytes: it returns such values or raises `Malformed`.
"""

import json
import math
import socket
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

PREFIX = struct.Struct("<4sIQ")
MAGIC = b"kws1"
MAX_JSON = 2 << 20  # bytes
MAX_DEPTH = 24  # lists in lists
MAX_TENSORS = 20_000
MAX_DIMS = 16
MAX_DIGITS = 400
SIZES = {  # safetensors' names of the dtypes that may cross -> bytes of one element
    "F64": 8,
    "F32": 4,
    "F16": 2,
    "BF16": 2,
    "I64": 8,
    "I32": 4,
    "I16": 2,
    "I8": 1,
    "U8": 1,
    "BOOL": 1,
}
DTYPES = {
    str(dtype).removeprefix("torch."): dtype
    for dtype in (
        torch.float64,
        torch.float32,
        torch.float16,
        torch.bfloat16,
        torch.bool,
        torch.uint8,
        torch.int64,
        torch.int32,
        torch.int16,
        torch.int8,
        torch.complex64,
        torch.complex128,
    )
}
WHOLE = {
    torch.complex64: torch.float32,
    torch.complex128: torch.float64,
}  # how complex numbers are sent


class Malformed(ValueError):  # noqa: N818  (what the bytes are)
    """These bytes are not a frame that `dump` makes."""


class TooLarge(ValueError):  # noqa: N818
    """The value exceeds the size limit."""


@dataclass(frozen=True)
class Ref:
    """A module that stays in the check process: its number there, and the name of its class."""

    number: int
    kind: str


@dataclass(frozen=True)
class Opaque:
    """A value that cannot be sent; `kind` names it, as in `generator`."""

    kind: str


def dump(
    value: Any, special: Callable[[Any], Any] = lambda x: x, most: int | None = None
) -> list[bytes]:
    """The frame of `value` in parts; `special` converts other types; TooLarge over `most`."""
    writer = _Writer(special, most)
    text = json.dumps(writer.plain(value, 0), separators=(",", ":")).encode()
    if len(text) > MAX_JSON:
        raise TooLarge(f"{len(text):,} characters")
    body = save_tensors(writer.tensors) if writer.tensors else b""
    return [PREFIX.pack(MAGIC, len(text), len(body)) + text, body]


def lengths(prefix: bytes, most: int) -> tuple[int, int]:
    """Lengths of the JSON and the body from these 16 bytes; Malformed if invalid."""
    magic, text, body = PREFIX.unpack(prefix)
    if magic != MAGIC:
        raise Malformed("no frame begins like this")
    if text > MAX_JSON or body > most + MAX_JSON:
        raise Malformed(f"a frame of {text + body:,} bytes")
    return text, body


def load(text: bytes, body: bytes) -> Any:
    try:
        tensors = _tensors(body)
        plain = json.loads(
            text.decode(),
            parse_int=_integer,
            parse_constant=_no_constant,
            object_pairs_hook=_one_tag,
        )
        return _value(plain, tensors, 0)
    except Malformed:
        raise
    # whatever the bytes make the two parsers raise: RecursionError and SafetensorError included
    except Exception as error:
        raise Malformed(f"{type(error).__name__}") from None


class _Writer:
    def __init__(self, special: Callable[[Any], Any], most: int | None):
        self.special, self.most = special, most
        self.tensors: dict[str, torch.Tensor] = {}
        self.bytes = 0

    def plain(self, value: Any, depth: int) -> Any:
        value = self.special(value)
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, str):
            return str.__str__(value)
        if isinstance(value, int):
            exact = int.__index__(value)
            return exact if exact.bit_length() < 1000 else {"o": "a very long int"}
        if isinstance(value, float):
            exact = float.__float__(value)
            return exact if math.isfinite(exact) else {"f": float.__repr__(exact)}
        if isinstance(value, torch.Tensor):
            return self.tensor(value)
        if isinstance(value, torch.dtype):
            return {"y": str(value).removeprefix("torch.")}
        if isinstance(value, Ref):
            return {"m": [value.number, value.kind]}
        if isinstance(value, Opaque):
            return {"o": value.kind}
        if isinstance(value, (list, tuple, dict)) and depth >= MAX_DEPTH:
            return {"o": f"{type(value).__name__} in more than {MAX_DEPTH} others"}
        if isinstance(value, list):
            return [self.plain(item, depth + 1) for item in list.__iter__(value)]
        if isinstance(value, tuple):
            return {"t": [self.plain(item, depth + 1) for item in tuple.__iter__(value)]}
        if isinstance(value, dict) and all(_is_key(key) for key in dict.keys(value)):
            pairs = dict.items(value)
            return {"d": [[self.plain(x, depth + 1) for x in pair] for pair in pairs]}
        return {"o": type(value).__name__}

    def tensor(self, value: torch.Tensor) -> Any:
        with torch._C.DisableTorchFunctionSubclass(), torch.no_grad():
            kind = str(value.dtype).removeprefix("torch.")
            if value.layout != torch.strided or value.is_quantized or value.is_meta:
                return {"o": f"Tensor that is {str(value.layout).removeprefix('torch.')}"}
            if kind not in DTYPES:
                return {"o": f"Tensor of {kind}"}
            self.bytes += value.numel() * value.element_size()
            if self.most is not None and self.bytes > self.most:
                raise TooLarge(f"{self.bytes:,} bytes")
            grad = value.requires_grad
            copy = value.detach().cpu().resolve_conj().resolve_neg()
            copy = torch.view_as_real(copy) if copy.is_complex() else copy
            copy = copy.clone(memory_format=torch.contiguous_format).as_subclass(torch.Tensor)
        name = str(len(self.tensors))
        self.tensors[name] = copy
        return {"T": [name, kind, grad]}


def _is_key(key: Any) -> bool:
    return all(map(_is_key, key)) if type(key) is tuple else type(key) in _KEYS


_KEYS = (str, int, float, bool, type(None))


def _integer(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise Malformed("a number of too many digits")
    return int(text)


def _no_constant(text: str) -> float:
    raise Malformed(f"{text} is not JSON")


def _one_tag(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(pairs) != 1:
        raise Malformed("an object without a tag")
    return dict(pairs)


def _tensors(body: bytes) -> dict[str, torch.Tensor]:
    if not body:
        return {}
    if "__metadata__" in vet_header(body, SIZES):
        raise Malformed("a header with words in it")
    return load_tensors(body)


def vet_header(body: bytes, sizes: Mapping[str, int]) -> dict[str, Any]:
    """The header of a safetensors file, given bytes per dtype; Malformed unless it fits."""
    (size,) = struct.unpack("<Q", body[:8])
    if size > MAX_JSON:
        raise Malformed("a header of too many bytes")
    header = json.loads(body[8 : 8 + size].decode(), parse_int=_integer)
    if not isinstance(header, dict) or len(header) > MAX_TENSORS:
        raise Malformed("a header that is none")
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        shape, (begin, end) = entry["shape"], entry["data_offsets"]
        width = sizes.get(entry["dtype"])
        if width is None or len(shape) > MAX_DIMS:
            raise Malformed("a tensor that may not cross")
        if (
            any(type(n) is not int or not 0 <= n < 1 << 63 for n in shape)
            or end - begin != math.prod(shape) * width
        ):
            raise Malformed("a tensor whose shape is not that of its bytes")
    return header


def _value(plain: Any, tensors: dict[str, torch.Tensor], depth: int) -> Any:
    if depth > 3 * MAX_DEPTH + 4:  # a dictionary in another takes three
        raise Malformed("lists in too many lists")
    if isinstance(plain, str):
        return plain if plain.isascii() else plain.encode("utf-8", "replace").decode()
    if isinstance(plain, list):
        return [_value(item, tensors, depth + 1) for item in plain]
    if not isinstance(plain, dict):
        return plain
    ((tag, inside),) = plain.items()
    if tag == "T":
        return _tensor(inside, tensors)
    inside = _value(inside, tensors, depth + 1)
    if tag == "t":
        return tuple(_expect(inside, list))
    if tag == "d":
        return {_key(key): item for key, item in _expect(inside, list)}
    if tag == "f" and inside in ("nan", "inf", "-inf"):
        return float(inside)
    if tag == "y":
        return DTYPES.get(_expect(inside, str)) or Opaque(f"dtype {inside[:40]}")
    if tag == "o":
        return Opaque(_expect(inside, str)[:80])
    if tag == "m":
        number, kind = _expect(inside, list)
        return Ref(_expect(number, int), _expect(kind, str)[:80])
    raise Malformed("a tag that does not exist")


def _tensor(inside: Any, tensors: dict[str, torch.Tensor]) -> torch.Tensor:
    name, kind, grad = _expect(inside, list)
    tensor, dtype = tensors[_expect(name, str)], DTYPES[_expect(kind, str)]
    if tensor.dtype != WHOLE.get(dtype, dtype):
        raise Malformed("a tensor with a wrong dtype")
    tensor = torch.view_as_complex(tensor) if dtype in WHOLE else tensor
    if _expect(grad, bool):
        tensor = tensor.clone().requires_grad_()
    return tensor


def _expect(value: Any, kind: type) -> Any:
    if type(value) is not kind:
        raise Malformed(f"no {kind.__name__} where there has to be one")
    return value


def _key(key: Any) -> Any:
    if not _is_key(key):
        raise Malformed("a key that is not a plain value")
    return key


def read_frame(control: socket.socket) -> Any:
    """A message of our own processes, of any size; EOFError where the other end closed."""

    def exactly(size: int) -> bytes:
        data = control.recv(size, socket.MSG_WAITALL) if size else b""
        if len(data) < size:
            raise EOFError
        return data

    text, body = lengths(exactly(PREFIX.size), 0)
    return load(exactly(text), exactly(body))
