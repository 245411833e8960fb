"""Operators that only move codes: reshape, transpose, pad, concat.

Source of the semantics: ONNX Reshape, Flatten, Squeeze, Unsqueeze, Transpose, Pad, Concat.
How Concat arrives is in `edgecomp.ops.joining`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from edgecomp.ir import Array, OpParams, Shape, Tensor
from edgecomp.ops.base import Builder, Constraint, ImportedNode, Importer, Op, P


class Movement(Op[P]):
    """An operator whose integer and real computations are the same movement of elements."""

    same_qparams: ClassVar[bool] = True

    def prepare(self, params: P, inputs: Sequence[Tensor], output: Tensor) -> None:
        """Nothing is needed."""

    def int_ref(
        self, params: P, prepared: None, inputs: Sequence[Tensor], arrays: Sequence[Array]
    ) -> Array:
        """Move codes."""
        return self.float_ref(params, inputs, arrays)


@dataclass(frozen=True)
class ReshapeParams(OpParams):
    """The output's shape."""

    shape: Shape


class Reshape(Movement[ReshapeParams]):
    """The same elements in the same order under another shape; no code is generated for it."""

    name: ClassVar[str] = "reshape"

    def infer(self, params: ReshapeParams, inputs: Sequence[Tensor]) -> Shape:
        """Output shape as asked."""
        return params.shape

    def float_ref(
        self, params: ReshapeParams, inputs: Sequence[Tensor], arrays: Sequence[Array]
    ) -> Array:
        """Reshape each sample."""
        return arrays[0].reshape(len(arrays[0]), *params.shape)


@dataclass(frozen=True)
class TransposeParams(OpParams):
    """`output axis i = input axis perm[i]`."""

    perm: tuple[int, ...]


class Transpose(Movement[TransposeParams]):
    """The axes in another order."""

    name: ClassVar[str] = "transpose"

    def infer(self, params: TransposeParams, inputs: Sequence[Tensor]) -> Shape:
        """Output shape by permutation."""
        return tuple(inputs[0].shape[axis] for axis in params.perm)

    def float_ref(
        self, params: TransposeParams, inputs: Sequence[Tensor], arrays: Sequence[Array]
    ) -> Array:
        """Transpose each sample."""
        return arrays[0].transpose(0, *(axis + 1 for axis in params.perm))


@dataclass(frozen=True)
class PadParams(OpParams):
    """Elements added before and after each axis, and their real value."""

    before: tuple[int, ...]
    after: tuple[int, ...]
    value: float = 0.0


def value_is_finite(params: PadParams, inputs: Sequence[Tensor]) -> bool:
    """The padding value must be finite, unless a max pooling follows that ignores it."""
    return math.isfinite(params.value)


class Pad(Movement[PadParams]):
    """A border of one constant value."""

    name: ClassVar[str] = "pad"

    def constraints(self) -> Sequence[Constraint[PadParams]]:
        """Limits of a border."""
        return (value_is_finite,)

    def infer(self, params: PadParams, inputs: Sequence[Tensor]) -> Shape:
        """Output shape with the border."""
        return tuple(
            n + before + after
            for n, before, after in zip(inputs[0].shape, params.before, params.after, strict=True)
        )

    def code(self, params: PadParams, x: Tensor) -> int:
        """The code of the border's value."""
        assert x.qparams is not None
        code = math.floor(params.value / x.qparams.scalar + 0.5) + x.qparams.zero_point
        return min(max(code, -128), 127)

    def _pad(self, params: PadParams, x: Array, value: float) -> Array:
        widths = ((0, 0), *zip(params.before, params.after, strict=True))
        return np.pad(x, widths, constant_values=value)

    def float_ref(
        self, params: PadParams, inputs: Sequence[Tensor], arrays: Sequence[Array]
    ) -> Array:
        """Pad real values."""
        return self._pad(params, arrays[0], params.value)

    def int_ref(
        self,
        params: PadParams,
        prepared: None,
        inputs: Sequence[Tensor],
        arrays: Sequence[Array],
    ) -> Array:
        """Pad codes."""
        return self._pad(params, arrays[0], self.code(params, inputs[0]))


@dataclass(frozen=True)
class ConcatParams(OpParams):
    """The axis along which the inputs are joined."""

    axis: int


def none_is_constant(params: ConcatParams, inputs: Sequence[Tensor]) -> bool:
    """Every input must be computed, none a constant."""
    return not any(tensor.is_const for tensor in inputs)


class Concat(Movement[ConcatParams]):
    """The inputs one after another; all have the output's scale."""

    name: ClassVar[str] = "concat"

    def constraints(self) -> Sequence[Constraint[ConcatParams]]:
        """Limits of a concatenation."""
        return (none_is_constant,)

    def infer(self, params: ConcatParams, inputs: Sequence[Tensor]) -> Shape:
        """Output shape: lengths along the axis add up."""
        shape = list(inputs[0].shape)
        shape[params.axis] = sum(tensor.shape[params.axis] for tensor in inputs)
        return tuple(shape)

    def float_ref(
        self, params: ConcatParams, inputs: Sequence[Tensor], arrays: Sequence[Array]
    ) -> Array:
        """Join the samples' arrays."""
        return np.concatenate(arrays, axis=params.axis + 1)


def constant_ints(
    node: ImportedNode, build: Builder, attribute: str, index: int
) -> list[int] | None:
    """Read integers that are an attribute in old operator sets and a constant input in new ones."""
    if node.has_input(index):
        value = build.value(node.inputs[index])
        if value is None:
            raise build.unsupported(node, f"{attribute} must be constant")
        return [int(n) for n in value.reshape(-1)]
    given = node.attrs.get(attribute)
    return None if given is None else [int(n) for n in np.atleast_1d(given)]


def _reshape(node: ImportedNode, build: Builder) -> str:
    """Import ONNX Reshape, with 0 (keep) and -1 (infer)."""
    old = build.shape(node.inputs[0])
    new = constant_ints(node, build, "shape", 1) or []
    if not node.attrs.get("allowzero", 0):
        new = [old[axis] if n == 0 else n for axis, n in enumerate(new)]
    if -1 in new:
        known = math.prod(n for n in new if n != -1)
        new[new.index(-1)] = math.prod(old) // known if known else 0
    if math.prod(new) != math.prod(old):
        raise build.unsupported(node, f"{old} cannot become {tuple(new)}", "export with batch 1")
    return build.reshape(node.inputs[0], tuple(new), node)


def _flatten(node: ImportedNode, build: Builder) -> str:
    """Import ONNX Flatten."""
    shape = build.shape(node.inputs[0])
    axis = int(node.attrs.get("axis", 1))
    axis = axis + len(shape) if axis < 0 else axis
    flat = (math.prod(shape[:axis]), math.prod(shape[axis:]))
    return build.reshape(node.inputs[0], flat, node)


def _squeeze(node: ImportedNode, build: Builder) -> str:
    """Import ONNX Squeeze."""
    shape = build.shape(node.inputs[0])
    axes = constant_ints(node, build, "axes", 1)
    gone = (
        {axis for axis, n in enumerate(shape) if n == 1}
        if axes is None
        else {axis % len(shape) for axis in axes}
    )
    return build.reshape(
        node.inputs[0], tuple(n for axis, n in enumerate(shape) if axis not in gone), node
    )


def _unsqueeze(node: ImportedNode, build: Builder) -> str:
    """Import ONNX Unsqueeze."""
    shape = list(build.shape(node.inputs[0]))
    axes = constant_ints(node, build, "axes", 1) or []
    rank = len(shape) + len(axes)
    for axis in sorted(axis % rank for axis in axes):
        shape.insert(axis, 1)
    return build.reshape(node.inputs[0], tuple(shape), node)


def _transpose(node: ImportedNode, build: Builder) -> str:
    """Import ONNX Transpose."""
    rank = len(build.shape(node.inputs[0]))
    perm = node.attrs.get("perm") or range(rank - 1, -1, -1)
    return build.transpose(node.inputs[0], [int(axis) for axis in perm], node)


ONNX: dict[str, Importer] = {
    "Reshape": _reshape,
    "Flatten": _flatten,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Transpose": _transpose,
}
