"""Damaged model files: as bytes, where only luck decides what is hit, and as what they mean."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import Message

HUGE = (0, 1, -1, 2, 7, 1 << 16, 1 << 31, (1 << 31) - 1, 1 << 40, (1 << 63) - 1, -(1 << 63))
REALS = (0.0, -1.0, 1e-40, 3e38, float("inf"), float("-inf"), float("nan"))
NAMES = (
    'a"b', "line\nbreak", "*/ int x; /*", "??/", "back\\slash\\", "größe", "漢字", "int", "while",
    "x" * 10_000, "", "%s%n", "{{ 7 * 7 }}", "a b", "0", "__LINE__", "../../etc/passwd", "\u202e",
)  # fmt: skip
"""Names that C, templates, paths or people could stumble over."""


def damaged_bytes(content: bytes, rng: np.random.Generator, number: int) -> bytes:
    """One copy with flipped bytes, a truncation, a huge number, or a piece moved elsewhere."""
    data = bytearray(content)
    kind = number % 4
    if kind == 0:
        for at in rng.integers(0, len(data), rng.integers(1, 30)):
            data[at] ^= int(rng.integers(1, 256))
    elif kind == 1:
        del data[int(rng.integers(8, len(data))) :]
    elif kind == 2:
        at = int(rng.integers(0, len(data) // 4)) * 4
        value = int(rng.choice([0, 1, 0x7FFFFFFF, 0xFFFFFFFF, 1 << 20]))
        data[at : at + 4] = value.to_bytes(4, "little")
    else:
        start, to = (int(n) for n in rng.integers(0, len(data) - 64, 2))
        data[to : to + 64] = data[start : start + 64]
    return bytes(data)


def damaged_tail(content: bytes, rng: np.random.Generator, number: int) -> bytes:
    """The same, mostly where the structure lies: TFLite keeps it behind the weights."""
    if number % 2 == 0:
        return damaged_bytes(content, rng, number // 2)
    cut = len(content) * 3 // 4
    return content[:cut] + damaged_bytes(content[cut:], rng, number)


def damaged_model(model: onnx.ModelProto, rng: np.random.Generator) -> bytes:
    """A copy that is protobuf still, with one to three fields that hold something else."""
    made = onnx.ModelProto()
    made.CopyFrom(model)
    for _ in range(int(rng.integers(1, 4))):
        fields = list(_fields(made))
        message, name = fields[int(rng.integers(len(fields)))]
        _change(message, name, rng, made)
    return bytes(made.SerializeToString())


def _fields(message: Message) -> Iterator[tuple[Any, str]]:
    """Every field that is set, in the whole tree; a repeated one as often as it has entries."""
    for descriptor, value in message.ListFields():
        entries = value if descriptor.is_repeated else [value]
        for entry in entries:
            yield message, descriptor.name
            if isinstance(entry, Message):
                yield from _fields(entry)


def _change(message: Any, name: str, rng: np.random.Generator, model: onnx.ModelProto) -> None:
    value = getattr(message, name)
    if not hasattr(value, "append"):
        if isinstance(value, Message):
            message.ClearField(name)
        else:
            _set(message, name, _other(value, rng, model))
        return
    at = int(rng.integers(len(value)))
    match int(rng.integers(4)):
        case 0:
            del value[at]
        case 1:
            value.extend([value[at]] * int(rng.integers(1, 4)))
        case 2 if len(value) > 1 and not isinstance(value[at], Message):
            value[0], value[at] = value[at], value[0]
        case _ if isinstance(value[at], Message):
            value[at].CopyFrom(value[int(rng.integers(len(value)))])
        case _:
            _set(value, at, _other(value[at], rng, model))


def _set(place: Any, key: Any, value: Any) -> None:
    """Give a field a value, a smaller one where it holds 32 bits only."""
    put = setattr if isinstance(key, str) else type(place).__setitem__
    try:
        put(place, key, value)
    except ValueError:
        put(place, key, value % 8)


def _other(value: Any, rng: np.random.Generator, model: onnx.ModelProto) -> Any:
    """Something else of the same type."""
    match value:
        case bool():
            return not value
        case int():
            return int(HUGE[int(rng.integers(len(HUGE)))]) if rng.random() < 0.5 else value + 1
        case float():
            return REALS[int(rng.integers(len(REALS)))]
        case bytes():
            cut = int(rng.integers(len(value) + 1))
            return value[:cut] if rng.random() < 0.5 else value + value[:cut]
        case str():
            known = [n for node in model.graph.node for n in (*node.output, node.op_type)]
            choices = [*known, *NAMES]
            return choices[int(rng.integers(len(choices)))]
    raise AssertionError(value)
