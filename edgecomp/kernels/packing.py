"""Where the weights lie in what a kernel reads: found by looking, not by knowing the kernel.

A kernel packs its weights as it likes: as they are, or into a stream of words with biases and
multipliers between.  What it makes of weights that are all 0, all 1 or all -1 tells which words
hold four of them and how.  Whatever is found is only a way to write the same words down: taking
them apart and putting them together again is exact for any words.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt

from edgecomp.ir import Array
from edgecomp.kernels.base import Constant, Kernel, Layer

Words = npt.NDArray[np.uint32]
Mask = npt.NDArray[np.bool_]
MOST_BEFORE = 4
"""Words in front of a channel's weights that are tried."""


@dataclass(frozen=True)
class Packing:
    """An array of a kernel: a head, and records alike that hold the weights.

    Attributes:
        constant: the array.
        records: how many.
        row: weights of a record, filled up with what lies between them.
        head: words in front of the first record.
        before: words of a record in front of its weights.
        after: words of a record behind them.
        is_raw: whether four weights lie as `256 * even + odd` in each half of a word.
        flips: what the words of weights differ by, exclusive or, by turns.
    """

    constant: Constant
    records: int
    row: int
    head: int = 0
    before: int = 0
    after: int = 0
    is_raw: bool = False
    flips: tuple[int, ...] = (0,)

    @property
    def in_words(self) -> bool:
        """Whether the array is a stream of words; else it is the weights."""
        return self.constant.c_type == "uint32_t"

    @property
    def is_flipped(self) -> bool:
        """Whether any bit of the weights' words is inverted."""
        return any(self.flips)

    @property
    def size_bytes(self) -> int:
        """Bytes of the array."""
        return self.constant.size_bytes

    @property
    def weights(self) -> Array:
        """The weights in their order, int8 `(records, row)`."""
        if not self.in_words:
            return np.asarray(self.constant.values.reshape(self.records, self.row))
        words = self._records[:, self.before : self.before + self.row // 4]
        words = np.ascontiguousarray(words) ^ self._flips
        return _bytes_of_raw(words) if self.is_raw else words.view(np.int8)

    def beside(self) -> tuple[Words, Words, Words]:
        """The head, and what each record has before and after its weights."""
        words = self._records
        after = words[:, words.shape[1] - self.after :]
        return self._stream[: self.head], words[:, : self.before], after

    def packed(self, weights: Array) -> Words:
        """The stream with such weights: what the device makes of them."""
        head, before, after = self.beside()
        words = _raw_of_bytes(weights) if self.is_raw else weights.view(np.uint32)
        records = np.concatenate([before, words ^ self._flips, after], axis=1)
        return np.concatenate([head, records.reshape(-1)])

    @property
    def _stream(self) -> Words:
        return np.ascontiguousarray(self.constant.values.reshape(-1), np.uint32)

    @property
    def _records(self) -> Words:
        return self._stream[self.head :].reshape(self.records, -1)

    @property
    def _flips(self) -> Words:
        return np.resize(np.array(self.flips, np.uint32), self.row // 4)


def packing_of(kernel: Kernel, layer: Layer) -> Packing | None:
    """Find the weights in the arrays of a kernel of plain int8; None where they are not there.

    Kernels that keep other numbers instead, as transformed weights, have none.
    """
    if kernel.name not in layer.packings:
        layer.packings[kernel.name] = _found(kernel, layer)
    found: Packing | None = layer.packings[kernel.name]
    return found


def _found(kernel: Kernel, layer: Layer) -> Packing | None:
    arrays = [constant for constant in kernel.constants(layer) if constant.is_weight]
    for constant in arrays:
        if constant.name in {"weights", "table"} and constant.c_type == "int8_t":
            return Packing(constant, len(constant.values), constant.values[0].size)
    if len(layer.weights) > 1:
        return None  # a stream for each matrix
    streams = [c for c in arrays if c.c_type == "uint32_t" and c.values.dtype == np.uint32]
    for constant in streams:
        packing = _probed(constant, kernel, layer) or _by_channel(constant, layer)
        if packing is not None:
            return packing
    return None


def _probed(constant: Constant, kernel: Kernel, layer: Layer) -> Packing | None:
    """The weights of a stream by what changes with them."""
    try:
        probes = [
            {c.name: c for c in kernel.constants(_filled(layer, value))} for value in (0, 1, -1)
        ]
    except AssertionError:  # the kernel was proved for the layer's own weights only
        return None
    known = [probe[constant.name].values.reshape(-1) for probe in probes if constant.name in probe]
    if len(known) < len(probes) or any(one.size != constant.values.size for one in known):
        return None
    return _in_stream(constant, known, layer.inputs[1].size)


def _by_channel(constant: Constant, layer: Layer) -> Packing | None:
    """The weights of a stream with a record for each channel, by themselves.

    For kernels that make something else of the probes' weights.
    """
    weights = layer.inputs[1].value.reshape(layer.inputs[1].shape[0], -1)
    channels, words = len(weights), -(-weights.shape[1] // 4)
    if constant.values.size % channels:
        return None
    wanted = np.sort(np.pad(weights, ((0, 0), (0, 4 * words - weights.shape[1]))), axis=1)
    records = constant.values.reshape(channels, -1)
    after = records.shape[1] - words
    for before, flip in product(range(min(after, MOST_BEFORE) + 1), (0, 0x80808080)):
        part = np.ascontiguousarray(records[:, before : before + words]) ^ np.uint32(flip)
        if np.array_equal(np.sort(part.view(np.int8), axis=1), wanted):
            rest = after - before
            return Packing(constant, channels, 4 * words, 0, before, rest, flips=(flip,))
    return None


def _filled(layer: Layer, value: int) -> Layer:
    """The layer with weights that are all alike."""
    return layer.replace_weights(data=np.full_like(layer.weights[0].value, value))


def _in_stream(constant: Constant, probes: Sequence[Array], weights: int) -> Packing | None:
    """The records of a stream, if it holds as many `weights` as the layer has."""
    zero, one, minus = (np.ascontiguousarray(probe, np.uint32) for probe in probes)
    plain, raw = _plain_words(zero, one, minus), _raw_words(zero, one, minus)
    is_raw = int(raw.sum()) > int(plain.sum())
    holds = raw if is_raw else plain
    if np.count_nonzero((one ^ zero)[holds].view(np.uint8)) < weights:
        return None
    filling = (zero == 0) & (one == 0) & (minus == 0) & (constant.values.reshape(-1) == 0)
    first = int(np.argmax(holds))
    others = np.flatnonzero(~holds & ~filling)
    end = int(next((at for at in others if at > first), zero.size))
    following = np.flatnonzero(holds[end:])
    period = int(end + following[0]) - first if following.size else zero.size
    head = zero.size % period
    before, words = first - head, end - first
    after = period - before - words
    flips = np.unique(zero[first:end:2]), np.unique(zero[first + 1 : end : 2])
    if before < 0 or after < 0 or any(len(values) > 1 for values in flips):
        return None
    turns = [int(values[0]) for values in flips if len(values)]
    by_turns = tuple(turns) if len(set(turns)) > 1 else (turns[0],)
    records = zero.size // period
    return Packing(constant, records, 4 * words, head, before, after, is_raw, by_turns)


def _plain_words(zero: Words, one: Words, minus: Words) -> Mask:
    """Words of which some bytes are weights and the others never change."""
    base = zero.view(np.uint8).reshape(-1, 4)
    up = one.view(np.uint8).reshape(-1, 4) - base
    down = minus.view(np.uint8).reshape(-1, 4) - base
    alike = np.where(up == 1, down == 255, (up == 0) & (down == 0))
    return np.asarray(alike.all(axis=1) & up.any(axis=1), np.bool_)


def _raw_words(zero: Words, one: Words, minus: Words) -> Mask:
    """Raw words of weights."""
    ones = _bytes_of_raw(one[None])
    minus_ones = _raw_of_bytes((-ones).astype(np.int8))[0]
    few = np.isin(ones.reshape(-1, 4), (0, 1)).all(axis=1)
    return np.asarray((zero == 0) & few & (one != 0) & (minus == minus_ones), np.bool_)


def _bytes_of_raw(words: Words) -> npt.NDArray[np.int8]:
    """Raw words `(rows, words)` as bytes `(rows, 4 * words)`: of each half odd, then even."""
    lanes = words.view(np.uint16)
    odd = (lanes & 0xFF).astype(np.uint8).view(np.int8)
    even = (lanes - odd.astype(np.int16).view(np.uint16)) >> 8
    return np.stack([odd, even.astype(np.uint8).view(np.int8)], axis=-1).reshape(len(words), -1)


def _raw_of_bytes(weights: Array) -> Words:
    """The inverse of `_bytes_of_raw`."""
    pairs = weights.reshape(len(weights), -1, 2).astype(np.int64)
    lanes = (256 * pairs[..., 1] + pairs[..., 0]) & 0xFFFF
    return np.ascontiguousarray(lanes.astype(np.uint16)).view(np.uint32)
