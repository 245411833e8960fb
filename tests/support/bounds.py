"""How far an integer result may lie from the real one, derived per operator, in output codes.

`M = 4 * rint(scale * 2^(30-s))` is at most 2 away from `scale * 2^(32-s)`, so an accumulator's
product is at most `|acc| * 2^(s-31)` off; rounding adds 1/2.
"""

import numpy as np

from edgecomp.ir import Array, Graph, Node
from edgecomp.kernels import Layer
from tests.support.bounds_recurrent import recurrent_error

FLOAT_NOISE = 1e-6
"""What float64 itself may add: results are below 2^8 codes, sums have below 2^20 terms."""


def real_codes(graph: Graph, node: Node, real: Array) -> Array:
    """Real-valued output codes, clamped as the layer clamps."""
    out = graph.node_output(node).qparams
    assert out is not None
    k = Layer(graph, node).prepared
    low, high = getattr(k, "low", -128), getattr(k, "high", 127)
    return np.clip(real / out.scalar + out.zero_point, low, high)


def code_error_bound(graph: Graph, node: Node) -> float:
    """The largest distance between integer and real codes that the formula of `node` allows."""
    layer = Layer(graph, node)
    k = layer.prepared
    match node.op:
        case "conv2d" | "dense" if node.numerics == "tflite":
            return _tflite_bound(layer)
        case "conv2d" | "dense":
            size = np.maximum(np.abs(k.acc_min), np.abs(k.acc_max)).astype(np.float64)
            error = float((size * 2.0 ** (k.shift - 31)).max())
        case "add" | "sub" if k.arithmetic == "tflite":
            # Operands are rounded twice at 2^20 times the common scale, the sum twice again.
            error = (2 * 255 * 0.5 + 2 * 1.0) * k.multiplier_out * 2.0 ** (-31 - k.shift_out)
            error += 0.5 * 2.0**-k.shift_out + 2 * 255 * 2.0**-30
        case "mul" | "matmul" | "reduce_mean" | "reduce_sum" if k.arithmetic == "tflite":
            error = _product_error(layer)
        case "average_pool" if k.arithmetic == "tflite":
            error = 0.0
        case "softmax" if k.arithmetic == "tflite":
            # Terms are rounded to Q12.19 for a sum of at least 1; the series is good to 2^-22.
            error = 256 * (layer.output.shape[-1] * 2.0**-20 + 2.0**-20 + 2.0**-22)
        case "add" | "sub" | "maximum" | "minimum" | "where":
            # Either operand's multiplier is rounded; where one is chosen, one counts.
            error = (2 if node.op in {"add", "sub"} else 1) * 255 * 0.5 * 2.0**-k.fraction_bits
            if k.fraction_bits == 0:
                error += 0.5  # the multipliers' own rounding is all there is
        case "div":
            error = 255.0 * 2.0 ** (int(np.max(k.shift)) - 31)
        case "mul" | "matmul":
            error = _largest_sum(layer) * 2.0 ** (k.shift - 31)
        case "argmax" | "top_indices":
            error = 255.0 * 2.0 ** (k.shift - 31)
        case "log_softmax" | "layer_norm" | "lstm" | "gru" | "rnn":
            error = _OF_ROWS.get(node.op, recurrent_error)(layer)
        case "average_pool" | "reduce_mean" | "reduce_sum" | "running_mean":
            count = layer.inputs[0].size / layer.output.size
            if node.op == "running_mean":
                count = layer.params.frames
            if node.op == "average_pool":
                count = layer.params.kernel_h * layer.params.kernel_w
            error = 255.0 * count * 2.0 ** (int(np.max(k.shift)) - 31)
        case "prelu":
            error = 255.0 * 2.0 ** (max(k.shift, int(k.slope_shift.max())) - 31)
        case "softmax":
            # Each table entry is 1/2 off; the sum is at least its largest entry, exp(0).
            unit = float(k.exponent[0])
            assert layer.output.qparams is not None
            largest = 1 / layer.output.qparams.scalar
            numerator = 0.5 if k.output_shift is None else 0.5 * 2.0**k.output_shift
            error = (numerator + 0.5 + largest * 0.5 * layer.output.shape[-1]) / unit
        case "unary" | "pad" | "compare":
            error = 0.0  # the nearest code, by definition
        case "resize":
            # Weights are those of the coordinates unless their fractions have large denominators.
            error = sum(255 * 0.5 / axis.denominator for axis in k if axis.denominator == 4096)
        case _:
            return FLOAT_NOISE  # codes are only moved
    return 0.5 + error + FLOAT_NOISE


def _tflite_bound(layer: Layer) -> float:
    """TFLite rounds after the high multiply and once more after the shift to the right.

    Its 31-bit multiplier is at most 1/2 off.
    """
    k = layer.prepared
    size = np.maximum(np.abs(k.acc_min), np.abs(k.acc_max)).astype(np.float64)
    error = 0.5 * size * 2.0 ** (k.shift - 31) + np.where(k.shift < 0, 0.5 * 2.0**k.shift, 0.0)
    return 0.5 + float(error.max()) + FLOAT_NOISE


def _product_error(layer: Layer) -> float:
    """Products, sums and means in TFLite's arithmetic.

    A mean's multiplier is divided by its count and cut off: it is at most one off.
    """
    k = layer.prepared
    error = _largest_sum(layer) * 2.0 ** (k.shift - 31)
    return float(error + (0.5 * 2.0**k.shift if k.shift < 0 else 0.0))


def _largest_sum(layer: Layer) -> float:
    """The largest sum of products, or of elements, that codes can make."""
    match layer.node.op:
        case "mul":
            return 255.0**2
        case "matmul":
            return 255.0**2 * layer.inputs[0].shape[-1]
    return 255.0 * layer.inputs[0].size / layer.output.size


def _norm_error(layer: Layer) -> float:
    """The normalized element, its gain, the offset, and epsilon's share of the variance."""
    k, n = layer.prepared, layer.inputs[0].shape[-1]
    gain = float(np.abs(k.gain).max()) * 2.0 ** (20 - k.bits)
    error = gain * 2.0**-21 + n**0.5 * (gain * 2.0**-28 + 2.0 ** (19 - k.bits))
    return float(error + 2.0**-17 + gain * n**0.5 * 0.25 / (256 * max(n - 1, 1)))


def _log_error(layer: Layer) -> float:
    """Slope and table, the chord instead of the arc, the exponentials of the sum."""
    assert layer.output.qparams is not None
    k, share = layer.prepared, layer.output.shape[-1] * 0.5
    error = (255 * 0.5 + 35) * 2.0**-k.fraction_bits
    return float(error + (2.0**-20 + share / 2**k.exponent_bits) / layer.output.qparams.scalar)


_OF_ROWS = {"layer_norm": _norm_error, "log_softmax": _log_error}
