"""Shared weights: an index of a few bits for each, and the int8 values that they stand for.

The values (centroids) are those of the whole layer, or of groups of its channels where a layer has
too many together or where smaller tables save more in indices than they cost.
"""

from typing import ClassVar

import numpy as np

from edgecomp.ir import Array
from edgecomp.storage.base import CodedArray, Encoded, Storage
from edgecomp.storage.bits import BitReader, pack_bits

LEAST_BITS, MOST_BITS = 1, 6


def index_bits(count: int) -> int:
    """Bits of an index among `count` values."""
    return max((count - 1).bit_length(), LEAST_BITS)


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
        found = []
        channels = len(rows)
        while channels:
            coded = self._grouped(rows, channels)
            if coded is not None:
                found.append(coded)
            channels = channels // 2 if channels > 1 else 0
        assert found, "refused weights"
        best = min(found, key=lambda one: one.bytes)
        return Encoded(best.storage, best.decoder, weights.shape, best.arrays, best.fields)

    def _grouped(self, rows: Array, channels: int) -> Encoded | None:
        """Code with a table for every `channels` channels; None if a table cannot hold them."""
        groups = [rows[first : first + channels] for first in range(0, len(rows), channels)]
        values = [np.unique(group) for group in groups]
        bits = index_bits(max(len(several) for several in values))
        if bits > MOST_BITS:
            return None
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
