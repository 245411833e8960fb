"""Element-wise layers in plain C: add, sub, mul, tables, PReLU."""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from edgecomp.ir import Shape
from edgecomp.kernels.base import Constant, Kernel, Layer
from edgecomp.kernels.events import broadcast_elements, in_order
from edgecomp.kernels.finish import sum_constants
from edgecomp.kernels.schedule import Schedule


def merged_axes(shapes: Sequence[Shape], output: Shape) -> tuple[list[int], list[list[int]]]:
    """Merge axes over which every operand either runs along or is repeated.

    Returns:
        The output's merged lengths, and for each operand its stride per merged axis (0: repeated).
        Operands that all have the output's shape give one axis.
    """
    lengths: list[int] = []
    patterns: list[tuple[bool, ...]] = []
    for axis, length in enumerate(output):
        if length == 1:
            continue
        pattern = tuple(shape[axis] != 1 for shape in shapes)
        if patterns and patterns[-1] == pattern:
            lengths[-1] *= length
        else:
            lengths.append(length)
            patterns.append(pattern)
    if not lengths:
        lengths, patterns = [1], [(True,) * len(shapes)]
    strides = []
    for operand in range(len(shapes)):
        step = 1
        row: list[int] = []
        for length, pattern in zip(reversed(lengths), reversed(patterns), strict=True):
            row.insert(0, step if pattern[operand] else 0)
            step *= length if pattern[operand] else 1
        strides.append(row)
    return lengths, strides


def index_text(strides: Sequence[int], variables: Sequence[str]) -> str:
    """The C expression of an operand's index.

    >>> index_text([8, 0, 1], ["a", "b", "c"])
    'a * 8 + c'
    """
    terms = [
        variable if stride == 1 else f"{variable} * {stride}"
        for variable, stride in zip(variables, strides, strict=True)
        if stride
    ]
    return " + ".join(terms) or "0"


class BinaryGeneric(Kernel):
    """Two operands, with broadcasting; a constant operand lies in flash."""

    def schedule(self, layer: Layer) -> Schedule:
        """The output's elements in order."""
        return in_order(
            *(
                None if x.is_const else broadcast_elements(x.shape, layer.output.shape)
                for x in layer.inputs
            )
        )

    def constants(self, layer: Layer) -> Sequence[Constant]:
        """The constant operand, if there is one."""
        return [
            Constant("constant", "int8_t", tensor.value, True, "constant operand")
            for tensor in layer.inputs
            if tensor.is_const
        ]

    def context(self, layer: Layer) -> dict[str, Any]:
        """Loops and the index of each operand."""
        lengths, strides = merged_axes([t.shape for t in layer.inputs], layer.output.shape)
        variables = [f"i{axis}" for axis in range(len(lengths))] if len(lengths) > 1 else ["i"]
        operands = []
        pointers = iter(("a", "b"))
        for tensor, row in zip(layer.inputs, strides, strict=True):
            name = None if tensor.is_const else next(pointers)
            operands.append((name, index_text(row, variables)))
        return {
            "loops": list(zip(variables, lengths, strict=True)),
            "operands": operands,
            "k": layer.prepared,
        }


class AddGeneric(BinaryGeneric):
    """Addition."""

    name: ClassVar[str] = "add_generic"
    op: ClassVar[str] = "add"
    template: ClassVar[str] = "add/generic.c.j2"

    def context(self, layer: Layer) -> dict[str, Any]:
        """TFLite's sum by two products, where these give the same codes."""
        context = super().context(layer)
        return {**context, "k": sum_constants(layer) or layer.prepared}


class SubGeneric(AddGeneric):
    """Subtraction: an addition with a negative multiplier."""

    name: ClassVar[str] = "sub_generic"
    op: ClassVar[str] = "sub"


class MulGeneric(BinaryGeneric):
    """Multiplication."""

    name: ClassVar[str] = "mul_generic"
    op: ClassVar[str] = "mul"
    template: ClassVar[str] = "mul/generic.c.j2"


class UnaryTable(Kernel):
    """Any function of one code: a table of 256."""

    name: ClassVar[str] = "unary_table"
    op: ClassVar[str] = "unary"
    template: ClassVar[str] = "unary/table.c.j2"

    def schedule(self, layer: Layer) -> Schedule:
        """Element by element."""
        return in_order(broadcast_elements(layer.output.shape, layer.output.shape))

    def constants(self, layer: Layer) -> Sequence[Constant]:
        """The table, indexed by code + 128."""
        return [
            Constant(
                "table", "int8_t", layer.prepared, False, f"{layer.params.text}, by code + 128"
            )
        ]

    def context(self, layer: Layer) -> dict[str, Any]:
        """The number of elements."""
        return {"size": layer.output.size}


class PReluGeneric(Kernel):
    """PReLU with one slope per channel."""

    name: ClassVar[str] = "prelu_generic"
    op: ClassVar[str] = "prelu"
    template: ClassVar[str] = "prelu/generic.c.j2"

    def schedule(self, layer: Layer) -> Schedule:
        """Element by element."""
        return in_order(broadcast_elements(layer.output.shape, layer.output.shape))

    def constants(self, layer: Layer) -> Sequence[Constant]:
        """Multiplier and shift of each channel's slope."""
        prepared = layer.prepared
        constants = [
            Constant("slope", "int32_t", prepared.slope_multiplier, True, "slope per channel")
        ]
        if np.any(prepared.slope_shift):
            constants.append(
                Constant("slope_shift", "uint8_t", prepared.slope_shift, True, "left shifts")
            )
        return constants

    def context(self, layer: Layer) -> dict[str, Any]:
        """Pixels, channels and factors."""
        channels = layer.output.shape[-1]
        return {
            "pixels": layer.output.size // channels,
            "channels": channels,
            "k": layer.prepared,
            "has_shift": bool(np.any(layer.prepared.slope_shift)),
        }
