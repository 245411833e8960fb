"""Element-wise layers that choose between operands or divide them, in plain C."""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from edgecomp.kernels.base import Constant, Layer
from edgecomp.kernels.elementwise_generic import BinaryGeneric


class MaximumGeneric(BinaryGeneric):
    """The larger of two operands, both scaled to the output."""

    name: ClassVar[str] = "maximum_generic"
    op: ClassVar[str] = "maximum"
    template: ClassVar[str] = "maximum/generic.c.j2"


class MinimumGeneric(MaximumGeneric):
    """The smaller of two operands, both scaled to the output."""

    name: ClassVar[str] = "minimum_generic"
    op: ClassVar[str] = "minimum"


class DivGeneric(BinaryGeneric):
    """Division by way of a table: a multiplier for each code of the divisor."""

    name: ClassVar[str] = "div_generic"
    op: ClassVar[str] = "div"
    template: ClassVar[str] = "div/generic.c.j2"

    def constants(self, layer: Layer) -> Sequence[Constant]:
        """The constant operand, if there is one, and the factors by divisor."""
        k = layer.prepared
        tables = [
            Constant("multiplier", "int32_t", k.multiplier, False, "factor, by divisor + 128")
        ]
        if np.any(k.shift):
            tables.append(
                Constant("shift", "uint8_t", k.shift, False, "left shift, by divisor + 128")
            )
        return [*super().constants(layer), *tables]

    def context(self, layer: Layer) -> dict[str, Any]:
        """Loops, operands and factors."""
        return {**super().context(layer), "has_shift": bool(np.any(layer.prepared.shift))}
