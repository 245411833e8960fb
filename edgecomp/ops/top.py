"""The largest or smallest elements along the last axis, in order, and where they stood.

Of equal elements the one with the lower index comes first.
Source of the semantics: ONNX TopK, TFLite TOPK_V2.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from edgecomp.fixedpoint import rescale, saturate
from edgecomp.ir import Array, OpParams, Shape, Tensor
from edgecomp.ops.argmax import (
    MOST,
    ArgMaxConstants,
    ArgMaxParams,
    emit_argmax,
    index_constants,
)
from edgecomp.ops.base import Builder, Constraint, ImportedNode, Importer, Op
from edgecomp.ops.movement import Movement, constant_ints
from edgecomp.ops.reduce import ReduceMaxParams

MOST_STEPS = 2**20


@dataclass(frozen=True)
class TopParams(OpParams):
    """Which elements of a row are taken.

    Attributes:
        count: how many.
        largest: the largest elements, or the smallest.
    """

    count: int
    largest: bool = True


def there_are_as_many(params: TopParams, inputs: Sequence[Tensor]) -> bool:
    """A row must have at least as many elements as are taken from it, and one must be."""
    return 1 <= params.count <= inputs[0].shape[-1]


def rows_are_walked_quickly(params: TopParams, inputs: Sequence[Tensor]) -> bool:
    """A row's length times the number of elements taken is at most 1,048,576."""
    return params.count * inputs[0].shape[-1] <= MOST_STEPS


def indices_are_codes(params: TopParams, inputs: Sequence[Tensor]) -> bool:
    """At most 256 elements can be told apart by the codes of an index."""
    return inputs[0].shape[-1] <= MOST


def order(params: TopParams, x: Array) -> Array:
    """Indices of the elements that are taken from each row, the first of equal ones first."""
    if params.largest:
        # Backwards, a stable order has the last of equal ones first; so does counting backwards.
        back = np.argsort(x[..., ::-1], axis=-1, kind="stable")[..., ::-1]
        return np.asarray(x.shape[-1] - 1 - back[..., : params.count])
    return np.asarray(np.argsort(x, axis=-1, kind="stable")[..., : params.count])


class TopValues(Movement[TopParams]):
    """The best elements along the last axis, the best one first."""

    name: ClassVar[str] = "top_values"

    def constraints(self) -> Sequence[Constraint[TopParams]]:
        """Limits of a choice by size."""
        return (there_are_as_many, rows_are_walked_quickly)

    def infer(self, params: TopParams, inputs: Sequence[Tensor]) -> Shape:
        """Output shape: the last axis has as many elements as are taken."""
        return (*inputs[0].shape[:-1], params.count)

    def float_ref(
        self, params: TopParams, inputs: Sequence[Tensor], arrays: Sequence[Array]
    ) -> Array:
        """Take the elements of each row."""
        return np.take_along_axis(arrays[0], order(params, arrays[0]), axis=-1)


class TopIndices(Op[TopParams]):
    """Where the best elements along the last axis stand, the best one's place first."""

    name: ClassVar[str] = "top_indices"

    def constraints(self) -> Sequence[Constraint[TopParams]]:
        """Limits of a choice by size, and of an index."""
        return (there_are_as_many, rows_are_walked_quickly, indices_are_codes)

    def infer(self, params: TopParams, inputs: Sequence[Tensor]) -> Shape:
        """Output shape: the last axis has as many elements as are taken."""
        return (*inputs[0].shape[:-1], params.count)

    def float_ref(
        self, params: TopParams, inputs: Sequence[Tensor], arrays: Sequence[Array]
    ) -> Array:
        """Find the indices, as real numbers."""
        return order(params, arrays[0]).astype(arrays[0].dtype)

    def prepare(
        self, params: TopParams, inputs: Sequence[Tensor], output: Tensor
    ) -> ArgMaxConstants:
        """Make the multiplier from an index to a code."""
        return index_constants(output)

    def int_ref(
        self,
        params: TopParams,
        prepared: ArgMaxConstants,
        inputs: Sequence[Tensor],
        arrays: Sequence[Array],
    ) -> Array:
        """Find the indices among codes."""
        index = order(params, arrays[0])
        return saturate(rescale(index, prepared.multiplier, prepared.shift) + prepared.zero_point)


def emit_top(node: ImportedNode, build: Builder, axis: int, params: TopParams) -> list[str]:
    """Emit the best elements of the first input along `axis` and, if it is read, their indices."""
    x = node.inputs[0]
    shape = build.shape(x)
    wants_indices = len(node.outputs) > 1 and bool(node.outputs[1])
    second = replace(node, name=f"{node.name}.index", outputs=node.outputs[1:])
    if not 1 <= params.count <= shape[axis]:
        raise build.unsupported(
            node, f"{params.count} elements of {shape[axis]}", "take fewer elements", "k"
        )
    if params.count == 1:
        op = "reduce_max" if params.largest else "reduce_min"
        values = build.emit(op, [x], ReduceMaxParams((axis,)), node)
        if not wants_indices:
            return [values]
        one = ArgMaxParams(params.largest)
        return [values, emit_argmax(second, build, axis, one, keepdims=True)]
    if wants_indices and shape[axis] > MOST:
        raise build.unsupported(
            node,
            f"an index among {shape[axis]}; codes tell {MOST} apart",
            "end the network at the scores, and find the indices on the host",
        )
    there = [a for a in range(len(shape)) if a != axis] + [axis]
    back = [int(a) for a in np.argsort(there)]
    rows = build.transpose(x, there, node)
    values = build.transpose(build.emit("top_values", [rows], params, node), back, node)
    if not wants_indices:
        return [values]
    indices = build.emit("top_indices", [rows], params, second)
    return [values, build.transpose(indices, back, second)]


def _import(node: ImportedNode, build: Builder) -> list[str]:
    """Import ONNX TopK: the k largest or smallest elements, in order, and their indices."""
    count = constant_ints(node, build, "k", 1) or [1]
    axis = int(node.attrs.get("axis", -1)) % len(build.shape(node.inputs[0]))
    return emit_top(node, build, axis, TopParams(count[0], bool(node.attrs.get("largest", 1))))


ONNX: dict[str, Importer] = {"TopK": _import}
