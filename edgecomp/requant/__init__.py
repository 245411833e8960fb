"""Requantizers: how an accumulator becomes an output code, one per numerics.

`edgecomp` is what we quantize ourselves, `tflite` what int8 TFLite models compute, `float32` what a
user wants computed in real numbers, `int16` what has activations of 16 bits, `tflite16` such of
TFLite.  Formulas are in docs/numerics.md, "Requantize", "TFLite", "TFLite with int16 activations",
"Float32 layers" and "int16 activations".
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from edgecomp.errors import InternalError
from edgecomp.ir import Array, Node, Tensor
from edgecomp.ops import OPS
from edgecomp.requant import tflite_layers
from edgecomp.requant.float32 import float32_codes, float32_constants
from edgecomp.requant.int16_layers import int16_codes, int16_constants
from edgecomp.requant.tflite import tflite_constants
from edgecomp.requant.tflite16_layers import tflite16_codes, tflite16_constants
from edgecomp.requant.tflite_lstm import lstm_constants
from edgecomp.requant.tflite_products import mean_constants, product_constants
from edgecomp.requant.tflite_tables import table_constants

ConstantsOf = Callable[[Node, Sequence[Tensor], Tensor, Any], Any]
"""Makes a layer's constants from those of `edgecomp`."""


@dataclass(frozen=True)
class Requantizer:
    """One way to scale accumulators.

    Attributes:
        name: value of `Node.numerics`.
        c_function: function of `edgecomp.h` with the arguments `(acc, multiplier, shift,
            zero_point, low, high)`.
        constants: by operator that has an arithmetic of its own under these numerics; all others
            compute as `edgecomp` does.
    """

    name: str
    c_function: str
    constants: Mapping[str, ConstantsOf] = field(default_factory=dict)


REQUANTIZERS: dict[str, Requantizer] = {
    "edgecomp": Requantizer("edgecomp", "ec_requantize"),
    "tflite": Requantizer(
        "tflite",
        "ec_requantize_tflite",
        {
            "conv2d": tflite_constants,
            "dense": tflite_constants,
            "unary": table_constants,
            "mul": product_constants,
            "matmul": product_constants,
            "reduce_mean": mean_constants,
            "reduce_sum": mean_constants,
            "lstm": lstm_constants,
            **tflite_layers.LAYERS,
        },
    ),
    "float32": Requantizer("float32", "ec_float_code"),
    "int16": Requantizer("int16", "ec_int16_code"),
    "tflite16": Requantizer("tflite16", "ec_int16_code_tflite"),
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
    if node.is_float32:
        return float32_constants(node, inputs, output)
    if node.numerics == "tflite16":
        return tflite16_constants(node, inputs, output)
    if node.is_int16:
        return int16_constants(node, inputs, output)
    constants = OPS[node.op].prepare(node.params, inputs, output)
    own = REQUANTIZERS[node.numerics].constants.get(node.op)
    return constants if own is None else own(node, inputs, output, constants)


def compute_node(
    node: Node, prepared: Any, inputs: Sequence[Tensor], arrays: Sequence[Array]
) -> Array:
    """Compute a layer's output codes under its own numerics, as the device must, bit for bit.

    Args:
        node: the layer.
        prepared: what `prepare_node` returned.
        inputs: its quantized operands.
        arrays: codes `(samples, *shape)` of activations, elements of constants.
    """
    if node.is_float32:
        return float32_codes(node, prepared, inputs, arrays)
    if node.numerics == "tflite16":
        return tflite16_codes(node, prepared, inputs, arrays)
    if node.is_int16:
        return int16_codes(node, prepared, inputs, arrays)
    return OPS[node.op].int_ref(node.params, prepared, inputs, arrays)
