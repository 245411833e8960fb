"""Weights as plain int8, one byte each, in the order in which the kernel reads them."""

from typing import ClassVar

import numpy as np

from edgecomp.ir import Array
from edgecomp.storage.base import Storage


class Dense8(Storage):
    """One signed byte per weight."""

    name: ClassVar[str] = "dense8"
    c_type: ClassVar[str] = "int8_t"

    def encode(self, weights: Array) -> Array:
        """Return the bytes: the int8 weights themselves."""
        return np.ascontiguousarray(weights, dtype=np.int8)

    def decode(self, encoded: Array) -> Array:
        """Return the weights: the bytes themselves."""
        return encoded

    def size_bytes(self, weights: Array) -> int:
        """One byte per weight."""
        return int(weights.size)
