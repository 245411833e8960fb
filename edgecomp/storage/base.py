"""What a weight storage answers: how weights lie in flash, and that nothing is lost by it.

A storage turns the int8 weights of a layer, in the order in which a kernel reads them, into one or
more arrays of C and back.  The arrays are read in one direction only: a *decoder* (a C template,
one per way of coding) keeps its place in them and hands out the next weights.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from edgecomp.ir import Array


@dataclass(frozen=True)
class CodedArray:
    """One array of coded weights.

    Attributes:
        name: C name without the layer's prefix.
        c_type: element type.
        values: its elements.
        comment: one line for the reader.
    """

    name: str
    c_type: str
    values: Array
    comment: str

    @property
    def bytes(self) -> int:
        """Bytes in flash."""
        return int(self.values.size) * int(self.c_type.strip("uint_")) // 8


@dataclass(frozen=True)
class Encoded:
    """Coded weights.

    Attributes:
        storage: key of `STORAGES`.
        decoder: name of the C decoder, of `templates/storage/<decoder>.c.j2`; empty for weights
            that need none.
        shape: of the weights: channels first.
        arrays: everything in flash, tables included.
        fields: how the decoder's structure begins: a number, or the name of one of `arrays`.
    """

    storage: str
    decoder: str
    shape: tuple[int, ...]
    arrays: tuple[CodedArray, ...]
    fields: Mapping[str, str | int] = field(default_factory=dict)

    @property
    def bytes(self) -> int:
        """Bytes of flash, tables and codebooks included."""
        return sum(array.bytes for array in self.arrays)

    def array(self, name: str) -> Array:
        """The elements of one array."""
        return next(array.values for array in self.arrays if array.name == name)


class Storage(ABC):
    """How a layer's weights lie in flash."""

    name: ClassVar[str]

    def refusal(self, weights: Array) -> str | None:
        """Say why `weights` cannot be stored so; None if they can.

        Args:
            weights: int8, channels first.
        """
        return None

    @abstractmethod
    def encode(self, weights: Array) -> Encoded:
        """Return the arrays that are written into the generated C.

        Args:
            weights: int8, channels first, in the order in which the kernel reads them, which
                may take all of one index of the first axis at once and no other number; not
                refused.
        """

    @abstractmethod
    def decode(self, encoded: Encoded) -> Array:
        """Return the weights: the exact inverse of `encode`."""
