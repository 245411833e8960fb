"""Weights of four bits, eight to a word.

A word holds the next eight weights, each plus 8: the first four in the low halves of its bytes,
the other four in the high halves.  So `(word & 0x0F0F0F0F) - 0x08080808` is the sum of four weights
times 1, 2^8, 2^16 and 2^24: the raw word that the products of many kernels want.
"""

from typing import ClassVar

import numpy as np

from edgecomp.ir import Array
from edgecomp.storage.base import CodedArray, Encoded, Storage

LEAST, LARGEST = -8, 7
PER_WORD = 8
SHIFTS = np.array([0, 8, 16, 24, 4, 12, 20, 28], np.uint32)


class Packed4(Storage):
    """Two weights of -8 to 7 per byte."""

    name: ClassVar[str] = "packed4"

    def refusal(self, weights: Array) -> str | None:
        """Every weight must fit four bits."""
        low, high = int(weights.min()), int(weights.max())
        if low < LEAST or high > LARGEST:
            return f"weights from {low} to {high} do not fit four bits ({LEAST} to {LARGEST})"
        return None

    def encode(self, weights: Array) -> Encoded:
        """Pack; what is left of the last word is 0."""
        flat = weights.reshape(-1).astype(np.int64) - LEAST
        padded = np.concatenate([flat, np.full(-len(flat) % PER_WORD, -LEAST)])
        words = (padded.reshape(-1, PER_WORD).astype(np.uint32) << SHIFTS).sum(
            axis=1, dtype=np.uint32
        )
        comment = "weights + 8: first to fourth in the low halves of the bytes, fifth to eighth"
        array = CodedArray("codes", "uint32_t", words, comment)
        return Encoded(self.name, "packed4", weights.shape, (array,), {"codes": "codes"})

    def decode(self, encoded: Encoded) -> Array:
        """Unpack."""
        words = encoded.array("codes")
        flat = (words[:, None] >> SHIFTS & 15).astype(np.int64).reshape(-1) + LEAST
        return flat[: int(np.prod(encoded.shape))].reshape(encoded.shape).astype(np.int8)
