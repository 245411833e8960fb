"""What a weight storage answers: how weights lie in flash, and that nothing is lost by it."""

from abc import ABC, abstractmethod
from typing import ClassVar

from edgecomp.ir import Array


class Storage(ABC):
    """How a layer's weights lie in flash."""

    name: ClassVar[str]
    c_type: ClassVar[str]

    @abstractmethod
    def encode(self, weights: Array) -> Array:
        """Return the array that is written into the generated C.

        Args:
            weights: integer weights in the order in which the kernel reads them.
        """

    @abstractmethod
    def decode(self, encoded: Array) -> Array:
        """Return the weights: the exact inverse of `encode`."""

    @abstractmethod
    def size_bytes(self, weights: Array) -> int:
        """Bytes of flash that the weights take."""
