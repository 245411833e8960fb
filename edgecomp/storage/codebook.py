"""Shared weights: an index of a few bits for each, and the int8 values that they stand for.

The values (centroids) are those of the whole layer, or of groups of its channels where a layer has
too many together or where smaller tables save more in indices than they cost.
"""

import math
from typing import ClassVar

import numpy as np

from edgecomp.ir import Array
from edgecomp.storage.base import CodedArray, Encoded, Storage
from edgecomp.storage.bits import BitReader, pack_bits, packed_bytes

LEAST_BITS, MOST_BITS = 1, 6
AT_ONCE = 4
"""Channels that kernels read at once, at most: tables change between them."""
MOST_GROUPS = 64
"""Groups of any size that are tried; of more, the number of channels is halved again and again."""


def channels_per_table(channels: int, groups: int) -> int:
    """Channels of each of at most `groups` groups that every kernel can give tables of their own.

    >>> channels_per_table(32, 4), channels_per_table(10, 4)
    (8, 4)
    """
    return AT_ONCE * -(-channels // (AT_ONCE * groups))


def index_bits(count: int) -> int:
    """Bits of an index among `count` values."""
    return max((count - 1).bit_length(), LEAST_BITS)


def _sizes(channels: int) -> list[int]:
    """Channels per table that are worth trying, the most first."""
    found = {
        several * -(-channels // (several * groups))
        for groups in range(1, MOST_GROUPS + 1)
        for several in (1, 2, AT_ONCE)
    }
    found |= {channels >> shift for shift in range(channels.bit_length())}
    return sorted((size for size in found if size <= channels), reverse=True)


def _bytes(present: Array, count: int, channels: int) -> float:
    """Bytes of codes and tables with one for every `channels` channels; infinity if too full.

    Args:
        present: whether a channel has a value, `(channels, 256)`.
        count: of weights.
        channels: per table.
    """
    starts = np.arange(0, len(present), channels)
    values = np.logical_or.reduceat(present, starts).sum(axis=1)
    most = int(values.max())
    bits = index_bits(most)
    if bits > MOST_BITS:
        return math.inf
    tables = most if len(starts) == 1 else len(starts) << bits
    return packed_bytes(bits * count) + tables


class Codebook(Storage):
    """Indices of 1 to 6 bits into tables of up to 64 values."""

    name: ClassVar[str] = "codebook"

    def refusal(self, weights: Array) -> str | None:
        """No channel may have more values than a table."""
        most = max(len(np.unique(channel)) for channel in weights.reshape(len(weights), -1))
        if most > 1 << MOST_BITS:
            return f"a channel has {most} different weights, a codebook at most {1 << MOST_BITS}"
        return None

    def encode(self, weights: Array) -> Encoded:
        """Code with the number of channels per table that takes the fewest bytes."""
        rows = weights.reshape(len(weights), -1)
        present = np.zeros((len(rows), 256), bool)
        present[np.arange(len(rows))[:, None], rows.astype(np.int64)] = True
        found = {channels: _bytes(present, rows.size, channels) for channels in _sizes(len(rows))}
        best = self._grouped(rows, min(found, key=lambda channels: found[channels]))
        assert best.bytes == min(found.values()), "refused weights"
        return Encoded(best.storage, best.decoder, weights.shape, best.arrays, best.fields)

    def _grouped(self, rows: Array, channels: int) -> Encoded:
        """Code with a table for every `channels` channels."""
        groups = [rows[first : first + channels] for first in range(0, len(rows), channels)]
        values = [np.unique(group) for group in groups]
        bits = index_bits(max(len(several) for several in values))
        table = np.zeros((len(groups), 1 << bits), np.int8)
        for row, several in zip(table, values, strict=True):
            row[: len(several)] = several
        used = table[:, : max(len(v) for v in values)] if len(groups) == 1 else table
        indices = np.concatenate(
            [
                np.searchsorted(several, group).reshape(-1)
                for several, group in zip(values, groups, strict=True)
            ]
        ).astype(np.int64)
        codes = pack_bits(indices, np.full(indices.shape, bits, np.int64))
        return Encoded(
            self.name,
            "codebook",
            rows.shape,
            (
                CodedArray(
                    "codes", "uint16_t", codes, f"indices of {bits} bits, the first highest"
                ),
                CodedArray("values", "int8_t", used, f"tables, one per {channels} channels"),
            ),
            {
                "stream.next": "codes",
                "values": "values",
                "bits": bits,
                "per_table": channels * rows.shape[1],
                "left": channels * rows.shape[1],
            },
        )

    def decode(self, encoded: Encoded) -> Array:
        """Look up."""
        bits, per_table = int(encoded.fields["bits"]), int(encoded.fields["per_table"])
        count = int(np.prod(encoded.shape))
        indices = np.fromiter(BitReader(encoded.array("codes")).many(count, bits), np.int64)
        values = encoded.array("values").reshape(-1)
        starts = (np.arange(count) // per_table) << bits
        return np.asarray(values[starts + indices].reshape(encoded.shape), np.int8)
