"""Choices of elements and interpolation between them, in plain C."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from edgecomp.ir import Shape
from edgecomp.kernels.base import Constant, Kernel, Layer
from edgecomp.kernels.events import elements, in_order
from edgecomp.kernels.movement_generic import LEAST_MOVE
from edgecomp.kernels.schedule import Reads, Schedule
from edgecomp.ops.gather import taken
from edgecomp.ops.resize import AxisWeights


@dataclass(frozen=True)
class Axis:
    """One loop over the output: an axis that is chosen from, or several that stay as they are.

    Attributes:
        variable: the loop's.
        length: its steps.
        stride: elements of the input between neighbours.
        axis: number of the axis that is chosen from; None for axes that stay.
    """

    variable: str
    length: int
    stride: int
    axis: int | None


def loop_axes(shape: Shape, output: Shape, chosen: Sequence[int]) -> list[Axis]:
    """Merge neighbouring axes that stay, and leave out those of 1 that do."""
    axes: list[Axis] = []
    for axis, length in enumerate(output):
        stride = math.prod(shape[axis + 1 :])
        if axis in chosen:
            axes.append(Axis(f"i{axis}", length, stride, axis))
        elif axes and axes[-1].axis is None:
            axes[-1] = Axis(axes[-1].variable, axes[-1].length * length, stride, None)
        elif length > 1:
            axes.append(Axis(f"i{axis}", length, stride, None))
    return axes


def unsigned_type(values: Sequence[int]) -> str:
    """The smallest unsigned type that holds `values`."""
    largest = max(values)
    return "uint8_t" if largest < 2**8 else ("uint16_t" if largest < 2**16 else "uint32_t")


def index_pattern(index: Sequence[int], variable: str) -> tuple[int, int, str] | None:
    """Say a list of indices as `start + step * text`, or None where that is not possible.

    >>> index_pattern([5, 3, 1], "i")
    (5, -2, 'i')
    >>> index_pattern([0, 0, 1, 1], "i"), index_pattern([0, 1, 0, 1], "i")
    ((0, 1, 'i / 2'), (0, 1, 'i % 2'))
    """
    array, number = np.asarray(index, np.int64), np.arange(len(index))
    start = int(array[0])
    changes = np.flatnonzero(array != start)
    if not len(changes):
        return start, 0, variable
    run = int(changes[0])
    back = np.flatnonzero(array[1:] == start) + 1
    period = int(back[0]) if len(back) else len(array)
    step = int(array[run]) - start
    texts = {variable: number, f"{variable} / {run}": number // run}
    texts[f"{variable} % {period}"] = number % period
    for text, values in texts.items():
        if np.array_equal(array, start + step * values):
            return start, step, text
    return None


def sum_text(start: int, terms: Sequence[tuple[int, str]]) -> str:
    """The C expression `start + factor * text + …`.

    >>> sum_text(7, [(-4, "i"), (1, "j"), (0, "k")])
    '7 - i * 4 + j'
    """
    text = str(start) if start else ""
    for factor, variable in terms:
        if factor:
            sign = ("-" if factor < 0 else "") if not text else (" - " if factor < 0 else " + ")
            text += sign + variable + (f" * {abs(factor)}" if abs(factor) != 1 else "")
    return text or "0"


class GatherGeneric(Kernel):
    """Copy runs or elements from where the indices say; irregular indices lie in a table."""

    name: ClassVar[str] = "gather_generic"
    op: ClassVar[str] = "gather"
    template: ClassVar[str] = "gather/generic.c.j2"

    def _axes(self, layer: Layer) -> list[Axis]:
        chosen = [a for a, index in enumerate(layer.params.indices) if index is not None]
        return loop_axes(layer.inputs[0].shape, layer.output.shape, chosen)

    def schedule(self, layer: Layer) -> Schedule:
        """The output in order; each event reads one element."""
        numbers = np.arange(layer.inputs[0].size, dtype=np.int64).reshape(layer.inputs[0].shape)
        return in_order(elements(taken(layer.params, numbers)))

    def constants(self, layer: Layer) -> Sequence[Constant]:
        """Tables of the axes whose indices follow no pattern."""
        tables = []
        for axis in self._axes(layer):
            if axis.axis is None:
                continue
            index = layer.params.indices[axis.axis]
            if index_pattern(index, axis.variable) is None:
                kind = unsigned_type(index)
                comment = f"index along axis {axis.axis}"
                tables.append(Constant(f"axis{axis.axis}", kind, np.array(index), False, comment))
        return tables

    def context(self, layer: Layer) -> dict[str, Any]:
        """Loops, the index of the input, and the length of what is copied together."""
        axes = self._axes(layer)
        run, begin = axes[-1].length if axes and axes[-1].axis is None else 1, 0
        outer = axes[:-1] if run > 1 else axes
        while outer and outer[-1].stride == run and self._is_slice(layer, outer[-1]):
            begin += self._start(layer, outer[-1])
            run *= outer[-1].length
            outer = outer[:-1]
        return {
            "loops": [(axis.variable, axis.length) for axis in outer if axis.length > 1],
            "index": sum_text(
                begin + sum(self._start(layer, axis) for axis in outer),
                [self._term(layer, axis) for axis in outer if axis.length > 1],
            ),
            "run": run,
            "least_move": LEAST_MOVE,
        }

    def _is_slice(self, layer: Layer, axis: Axis) -> bool:
        """Whether neighbours are chosen, in order."""
        if axis.axis is None:
            return False
        pattern = index_pattern(layer.params.indices[axis.axis], axis.variable)
        return pattern is not None and pattern[1:] == (1, axis.variable)

    def _start(self, layer: Layer, axis: Axis) -> int:
        if axis.axis is None:
            return 0
        pattern = index_pattern(layer.params.indices[axis.axis], axis.variable)
        return pattern[0] * axis.stride if pattern else 0

    def _term(self, layer: Layer, axis: Axis) -> tuple[int, str]:
        """Factor and text; `@` stands for the layer's prefix before the name of a table."""
        if axis.axis is None:
            return axis.stride, axis.variable
        pattern = index_pattern(layer.params.indices[axis.axis], axis.variable)
        if pattern is None:
            return axis.stride, f"@axis{axis.axis}[{axis.variable}]"
        return pattern[1] * axis.stride, pattern[2]


class ResizeGeneric(Kernel):
    """Linear interpolation with weights in tables and one division by a constant."""

    name: ClassVar[str] = "resize_generic"
    op: ClassVar[str] = "resize"
    template: ClassVar[str] = "resize/generic.c.j2"

    def schedule(self, layer: Layer) -> Schedule:
        """The output in order; each event reads from its lowest to its highest neighbour."""
        numbers = np.arange(layer.inputs[0].size, dtype=np.int64).reshape(layer.inputs[0].shape)
        low = high = numbers
        for k in layer.prepared:
            low = np.take(low, k.low, axis=k.axis)
            high = np.take(high, k.low + (k.weight > 0), axis=k.axis)
        return in_order(Reads(low.reshape(-1), high.reshape(-1)))

    def constants(self, layer: Layer) -> Sequence[Constant]:
        """Lower neighbours and weights of each axis."""
        tables = []
        for k in layer.prepared:
            low, weight = unsigned_type(k.low), unsigned_type(k.weight)
            tables += [
                Constant(f"low{k.axis}", low, k.low, False, f"lower neighbour along axis {k.axis}"),
                Constant(f"weight{k.axis}", weight, k.weight, False, "weight of the upper one"),
            ]
        return tables

    def context(self, layer: Layer) -> dict[str, Any]:
        """Loops, weights and the division."""
        by_axis: dict[int | None, AxisWeights] = {k.axis: k for k in layer.prepared}
        axes = loop_axes(
            layer.inputs[0].shape, layer.output.shape, [k.axis for k in layer.prepared]
        )
        divisor = math.prod(k.denominator for k in layer.prepared)
        return {
            "loops": [(axis, by_axis.get(axis.axis)) for axis in axes],
            "weights": layer.prepared,
            "divisor": divisor,
            "addend": 128 * divisor + divisor // 2,
        }
