"""Index of the largest or smallest element along the last axis, as a code with scale 1.

Source of the semantics: ONNX ArgMax, ArgMin.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from edgecomp.fixedpoint import quantize_multiplier, rescale, saturate
from edgecomp.ir import Array, OpParams, QParams, Shape, Tensor
from edgecomp.ops.base import Builder, Constraint, ImportedNode, Importer, Op

INDEX_QPARAMS = QParams.per_tensor(1.0, -128)
"""What calibration gives an index: the codes -128 … 127 are the indices 0 … 255."""
MOST = 256


@dataclass(frozen=True)
class ArgMaxParams(OpParams):
    """Which element wins.

    Attributes:
        largest: the largest element, or the smallest.
        last: of equal ones the last, or the first.
        starts: the index of each row's first element, where that is not 0.
    """

    largest: bool = True
    last: bool = False
    starts: tuple[int, ...] = ()


@dataclass(frozen=True)
class ArgMaxConstants:
    """`q = sat(rescale(index) + zero_point)`."""

    multiplier: int
    shift: int
    zero_point: int


def index_constants(output: Tensor) -> ArgMaxConstants:
    """Make the multiplier from an index to a code of `output`."""
    assert output.qparams is not None
    multiplier, shift = quantize_multiplier(1.0 / output.qparams.scalar)
    return ArgMaxConstants(multiplier, shift, output.qparams.zero_point)


def indices_are_codes(params: ArgMaxParams, inputs: Sequence[Tensor]) -> bool:
    """At most 256 elements can be told apart by the codes of an index."""
    return inputs[0].shape[-1] <= MOST


def each_row_starts_somewhere(params: ArgMaxParams, inputs: Sequence[Tensor]) -> bool:
    """There must be a start for each row, or none at all."""
    return len(params.starts) in {0, math.prod(inputs[0].shape[:-1])}


class ArgMax(Op[ArgMaxParams]):
    """Index of the winner along the last axis, which becomes 1."""

    name: ClassVar[str] = "argmax"

    def constraints(self) -> Sequence[Constraint[ArgMaxParams]]:
        """Limits of an index."""
        return (indices_are_codes, each_row_starts_somewhere)

    def infer(self, params: ArgMaxParams, inputs: Sequence[Tensor]) -> Shape:
        """Output shape: the last axis is 1."""
        return (*inputs[0].shape[:-1], 1)

    def _index(self, params: ArgMaxParams, x: Array) -> Array:
        find = np.argmax if params.largest else np.argmin
        if params.last:
            index = x.shape[-1] - 1 - find(x[..., ::-1], axis=-1, keepdims=True)
        else:
            index = find(x, axis=-1, keepdims=True)
        if params.starts:
            index = index + np.array(params.starts).reshape(index.shape[1:])
        return np.asarray(index)

    def float_ref(
        self, params: ArgMaxParams, inputs: Sequence[Tensor], arrays: Sequence[Array]
    ) -> Array:
        """Find the index, as a real number."""
        return self._index(params, arrays[0]).astype(arrays[0].dtype)

    def prepare(
        self, params: ArgMaxParams, inputs: Sequence[Tensor], output: Tensor
    ) -> ArgMaxConstants:
        """Make the multiplier from an index to a code."""
        return index_constants(output)

    def int_ref(
        self,
        params: ArgMaxParams,
        prepared: ArgMaxConstants,
        inputs: Sequence[Tensor],
        arrays: Sequence[Array],
    ) -> Array:
        """Find the index among codes."""
        index = self._index(params, arrays[0])
        return saturate(rescale(index, prepared.multiplier, prepared.shift) + prepared.zero_point)


def emit_argmax(
    node: ImportedNode, build: Builder, axis: int, params: ArgMaxParams, *, keepdims: bool
) -> str:
    """Emit the index of the winner of the first input along `axis`."""
    x = node.inputs[0]
    shape = build.shape(x)
    if shape[axis] > MOST:
        raise build.unsupported(
            node,
            f"an index among {shape[axis]}; codes tell 256 apart",
            "end the network at the scores; the generated `<model>_argmax` picks the class",
        )
    order = [a for a in range(len(shape)) if a != axis] + [axis]
    y = build.emit("argmax", [build.transpose(x, order, node)], params, node)
    if keepdims:
        return build.transpose(y, [int(a) for a in np.argsort(order)], node)
    return build.reshape(y, tuple(shape[a] for a in order[:-1]), node)


def _import(node: ImportedNode, build: Builder) -> str:
    """Import ONNX ArgMax and ArgMin: indices below 256, as codes with scale 1."""
    axis = int(node.attrs.get("axis", 0)) % len(build.shape(node.inputs[0]))
    params = ArgMaxParams(node.op_type == "ArgMax", bool(node.attrs.get("select_last_index", 0)))
    return emit_argmax(node, build, axis, params, keepdims=bool(node.attrs.get("keepdims", 1)))


ONNX: dict[str, Importer] = {"ArgMax": _import, "ArgMin": _import}
