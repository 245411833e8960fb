"""How kernels turn accumulators into codes: what both arithmetics need in flash and in names.

`edgecomp` takes one multiplication.  TFLite rounds the product with a 31-bit multiplier to a whole
number and that, shifted right by as much as the channel asks, a second time, ties away from zero.
Behind a ReLU ties below the zero point do not matter: shifts that round half up are enough then.
"""

from typing import Any

import numpy as np

from edgecomp.fixedpoint import IntArray
from edgecomp.kernels.base import Layer
from edgecomp.ops.add import AddConstants
from edgecomp.ops.linear import LinearConstants
from edgecomp.requant.tflite import TfliteConstants
from edgecomp.requant.tflite_layers import TfliteAddConstants
from edgecomp.requant.tflite_sums import linear_sum


def requantize_refusal(layer: Layer) -> str | None:
    """Say why a multiplier and a right shift cannot finish a linear layer; None if they can."""
    k = layer.prepared
    if isinstance(k, TfliteConstants):
        if k.right_shift.min() < 1:
            return "a multiplier needs a left shift, or none"
        return "an accumulator can exceed 31 bits" if k.magnitude >= 1 << 30 else None
    return "a multiplier needs a shift" if np.any(k.shift) else None


def end_words(k: LinearConstants) -> list[IntArray]:
    """What a stream holds behind a channel's weights: the multiplier, and TFLite's shift."""
    return [k.multiplier, k.end_word] if isinstance(k, TfliteConstants) else [k.multiplier]


def vector_words(k: LinearConstants) -> list[IntArray]:
    """What Helium multiplies by, and for TFLite the shifts to the left that come after.

    VQRDMULH and VQRDMLASH double: without TFLite's multipliers that takes half of
    `multiplier * 2^shift`.
    """
    if isinstance(k, TfliteConstants):
        return [k.multiplier, -k.right_shift]
    return [(k.multiplier.astype(np.int64) << k.shift.astype(np.int64)) // 2]


def sum_constants(layer: Layer) -> AddConstants | None:
    """Return a sum's constants; of TFLite's the ones that take their place, None without any."""
    k: AddConstants = layer.prepared
    return linear_sum(k) if isinstance(k, TfliteAddConstants) else k


def beside_weights(k: LinearConstants) -> int:
    """Words of a channel in a stream besides its weights: the bias and the end."""
    return 1 + len(end_words(k))


def arithmetic_suffix(k: Any) -> str:
    """Return what a function's name owes to the arithmetic of its codes."""
    if k.arithmetic == "edgecomp":
        return ""
    return "_tflite_away" if k.rounds_away else "_tflite"
