"""Numbers of an ONNX file that are none: NaN and infinity, where no layer can use them."""

import math

import numpy as np

from edgecomp.errors import UserError
from edgecomp.frontend.masks import MASKS
from edgecomp.frontend.onnx_builder import GraphBuilder
from edgecomp.ops.base import ImportedNode

_MAY_BE_INFINITE = frozenset(
    {"Clip", "Pad", "Min", "Max", "Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual"}
)


def refuse_infinite(node: ImportedNode, build: GraphBuilder) -> None:
    """Refuse NaN and infinite attributes and weights by the names the file gives them.

    Raises:
        UserError: naming layer and number.
    """
    for name, number in node.attrs.items():
        finite = not isinstance(number, float) or math.isfinite(number)
        if not finite and node.op_type not in _MAY_BE_INFINITE:
            raise UserError(f"layer {node.name!r} ({node.op_type}): its {name} is {number}")
    for name in node.inputs:
        value = build.value(name) if name else None
        if value is None or value.dtype.kind != "f":
            continue
        has_nan = np.isnan(value).any()
        if node.op_type in MASKS and not has_nan and np.isneginf(value).any():
            raise UserError(
                f"layer {node.name!r} ({node.op_type}): the constant {name!r} hides scores by "
                "-inf, which no code can hold, and not only softmaxes read the result\n"
                "  take a finite number that is low enough (-1e4), or no such output"
            )
        if has_nan or not (node.op_type in _MAY_BE_INFINITE or np.isfinite(value).all()):
            kind = "NaN" if has_nan else "infinite"
            raise UserError(
                f"layer {node.name!r} ({node.op_type}): the constant {name!r} has {kind} "
                "elements\n  the training probably diverged; export a healthy checkpoint"
            )
