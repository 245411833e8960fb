"""How ONNX's powers arrive: functions of one variable, one for each exponent."""

import math
from dataclasses import replace

import numpy as np

from edgecomp.ir import Array
from edgecomp.ops.base import Builder, ImportedNode, Importer
from edgecomp.ops.binary import import_binary
from edgecomp.ops.expression import X, call
from edgecomp.ops.gather import emit_gather
from edgecomp.ops.movement import ConcatParams
from edgecomp.ops.mul import MulParams
from edgecomp.ops.slicing import expanded
from edgecomp.ops.unary import UnaryParams

MOST_EXPONENTS = 64

_product = import_binary("mul", "mul", MulParams())


def import_power(node: ImportedNode, build: Builder) -> str:
    """Import ONNX Pow: by at most 64 different constant exponents, or of a positive constant."""
    base, exponents = (build.value(name) for name in node.inputs[:2])
    if exponents is not None:
        return _of_activation(node, build, np.asarray(exponents, np.float32))
    if base is None:
        raise build.unsupported(node, "base or exponent must be constant", "use Exp, Log and Mul")
    exponent = node.inputs[1]
    if base.size == 1 and base.ndim <= len(build.shape(exponent)):
        expr = call("pow", float(base.reshape(())), X)
        return build.emit("unary", [exponent], UnaryParams(expr), node)
    if not (base > 0).all():
        raise build.unsupported(node, "bases that are not positive", "use one constant number")
    logarithms = build.constant(np.log(base.astype(np.float64)), f"{node.name}.logarithms")
    part = replace(node, inputs=(logarithms, exponent), outputs=(f"{node.outputs[0]}.logarithm",))
    scaled = _product(part, build)
    return build.emit("unary", [scaled], UnaryParams(call("exp", X)), node, ".exp")


def _of_activation(node: ImportedNode, build: Builder, exponents: Array) -> str:
    """Raise an activation to each exponent: the elements of one exponent at a time."""
    numbers, which = np.unique(exponents, return_inverse=True)
    x = node.inputs[0]
    shape = np.broadcast_shapes(exponents.shape, build.shape(x))
    if len(numbers) > MOST_EXPONENTS:
        raise build.unsupported(
            node,
            f"{len(numbers)} different exponents, each with a table of its own; "
            f"{MOST_EXPONENTS} are possible",
            f"use at most {MOST_EXPONENTS}, or Exp, Log and Mul",
        )
    if shape != build.shape(x):
        label = f"{node.name}.expanded"
        x = expanded(replace(node, name=label, outputs=(label,)), build, shape)
    if len(numbers) == 1:
        return _power(node, build, x, float(numbers[0]))
    classes = which.reshape((1,) * (len(shape) - exponents.ndim) + exponents.shape)
    axes = [axis for axis, n in enumerate(classes.shape) if n > 1]
    if len(axes) > 1:
        flat = build.reshape(x, (1, math.prod(shape)), node)
        labels = np.broadcast_to(classes, shape).reshape(-1)
        return build.reshape(_by_class(node, build, flat, 1, numbers, labels), shape, node)
    return _by_class(node, build, x, axes[0], numbers, classes.reshape(-1))


def _by_class(
    node: ImportedNode, build: Builder, x: str, axis: int, numbers: Array, labels: Array
) -> str:
    """Raise what lies at each place of `axis` to the exponent that its label chooses."""
    parts = []
    for label, number in enumerate(numbers):
        suffix = f".exponent{label}"
        places = [int(place) for place in np.flatnonzero(labels == label)]
        part = emit_gather(build, node, x, {axis: places}, f"{suffix}.base")
        parts.append(_power(node, build, part, float(number), suffix))
    joined = build.emit("concat", parts, ConcatParams(axis), node, ".exponents")
    back = np.argsort(np.argsort(labels, kind="stable"))
    return emit_gather(build, node, joined, {axis: [int(place) for place in back]})


def _power(node: ImportedNode, build: Builder, x: str, number: float, suffix: str = "") -> str:
    return build.emit("unary", [x], UnaryParams(call("pow", X, number)), node, suffix)


ONNX: dict[str, Importer] = {"Pow": import_power}
