"""Requantizers: how an accumulator becomes an output code, one per numerics.

`edgecomp` is what we quantize ourselves, `tflite` what int8 TFLite models compute.  Formulas are in
docs/numerics.md, "Requantize" and "TFLite".
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from edgecomp.errors import InternalError
from edgecomp.ir import Node, Tensor
from edgecomp.ops import OPS
from edgecomp.ops.linear import LinearConstants
from edgecomp.requant.tflite import tflite_constants


@dataclass(frozen=True)
class Requantizer:
    """One way to scale accumulators.

    Attributes:
        name: value of `Node.numerics`.
        c_function: function of `edgecomp.h` with the arguments `(acc, multiplier, shift,
            zero_point, low, high)`.
        constants: makes a linear layer's constants from those of `edgecomp`.
        ops: operators that have an arithmetic of their own under these numerics; all others
            compute as `edgecomp` does.
    """

    name: str
    c_function: str
    constants: Callable[[str, Sequence[Tensor], Tensor, LinearConstants], LinearConstants]
    ops: frozenset[str] = frozenset({"conv2d", "dense"})


REQUANTIZERS: dict[str, Requantizer] = {
    "edgecomp": Requantizer("edgecomp", "ec_requantize", lambda op, inputs, output, own: own),
    "tflite": Requantizer("tflite", "ec_requantize_tflite", tflite_constants),
}
"""Every requantizer by name."""


def prepare_node(node: Node, inputs: Sequence[Tensor], output: Tensor) -> Any:
    """Return the integer constants of a layer under its own numerics.

    Args:
        node: the layer.
        inputs: its quantized operands.
        output: its quantized output.

    Raises:
        InternalError: the numerics are unknown, or an accumulator could leave int32.
    """
    if node.numerics not in REQUANTIZERS:
        raise InternalError(f"layer {node.name!r} has unknown numerics {node.numerics!r}")
    constants = OPS[node.op].prepare(node.params, inputs, output)
    requantizer = REQUANTIZERS[node.numerics]
    if node.op not in requantizer.ops:
        return constants
    return requantizer.constants(node.op, inputs, output, constants)
