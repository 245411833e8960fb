"""Weights as plain int8, one byte each, in the order in which the kernel reads them."""

from typing import ClassVar

import numpy as np

from edgecomp.ir import Array
from edgecomp.storage.base import CodedArray, Encoded, Storage


class Dense8(Storage):
    """One signed byte per weight."""

    name: ClassVar[str] = "dense8"

    def encode(self, weights: Array) -> Encoded:
        """Return the bytes: the int8 weights themselves."""
        plain = np.ascontiguousarray(weights, dtype=np.int8)
        return Encoded(
            self.name, "", plain.shape, (CodedArray("weights", "int8_t", plain, "weights"),)
        )

    def decode(self, encoded: Encoded) -> Array:
        """Return the weights: the bytes themselves."""
        return encoded.array("weights").reshape(encoded.shape)
