"""Element-wise layers that choose between operands or divide them, in plain C."""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from edgecomp.kernels.base import Constant, Kernel, Layer
from edgecomp.kernels.elementwise_generic import BinaryGeneric, index_text, merged_axes
from edgecomp.kernels.events import broadcast_elements, in_order
from edgecomp.kernels.schedule import Schedule


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


class CompareGeneric(BinaryGeneric):
    """Both operands brought to one scale, and compared."""

    name: ClassVar[str] = "compare_generic"
    op: ClassVar[str] = "compare"
    template: ClassVar[str] = "compare/generic.c.j2"

    def context(self, layer: Layer) -> dict[str, Any]:
        """Loops, operands and the comparison."""
        signs = {"less": "<", "less_or_equal": "<=", "equal": "=="}
        return {**super().context(layer), "sign": signs[layer.params.kind]}


class WhereGeneric(Kernel):
    """One of two operands, scaled to the output."""

    name: ClassVar[str] = "where_generic"
    op: ClassVar[str] = "where"
    template: ClassVar[str] = "where/generic.c.j2"
    operands: ClassVar[tuple[str, ...]] = ("condition", "yes", "no")

    def schedule(self, layer: Layer) -> Schedule:
        """The output's elements in order."""
        return in_order(
            *(
                None if x.is_const else broadcast_elements(x.shape, layer.output.shape)
                for x in layer.inputs
            )
        )

    def constants(self, layer: Layer) -> Sequence[Constant]:
        """Operands that are constants."""
        return [
            Constant(name, "int8_t", tensor.value, True, "constant operand")
            for name, tensor in zip(self.operands, layer.inputs, strict=True)
            if tensor.is_const
        ]

    def context(self, layer: Layer) -> dict[str, Any]:
        """Loops, and each operand's name, index, and whether it is a constant."""
        lengths, strides = merged_axes([t.shape for t in layer.inputs], layer.output.shape)
        variables = [f"i{axis}" for axis in range(len(lengths))]
        condition = layer.inputs[0].qparams
        assert condition is not None
        return {
            "loops": list(zip(variables, lengths, strict=True)),
            "operands": [
                (name, index_text(row, variables), tensor.is_const)
                for name, row, tensor in zip(self.operands, strides, layer.inputs, strict=True)
            ],
            "zero_point": condition.zero_point,
            "k": layer.prepared,
        }
