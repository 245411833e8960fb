"""How ONNX's powers arrive: functions of one variable, one for each exponent."""

from dataclasses import replace

import numpy as np

from edgecomp.ir import Array
from edgecomp.ops.base import Builder, ImportedNode, Importer
from edgecomp.ops.binary import align, import_binary
from edgecomp.ops.expression import X, call
from edgecomp.ops.mul import MulParams
from edgecomp.ops.unary import UnaryParams
from edgecomp.ops.where import WhereParams

MOST_EXPONENTS = 16

_product = import_binary("mul", "mul", MulParams())


def import_power(node: ImportedNode, build: Builder) -> str:
    """Import ONNX Pow: by at most 16 different constant exponents, or of a positive constant."""
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
    """Raise an activation to each exponent, and choose where there are several."""
    numbers = [float(number) for number in np.unique(exponents)]
    x = node.inputs[0]
    same = np.broadcast_shapes(exponents.shape, build.shape(x)) == build.shape(x)
    if len(numbers) > MOST_EXPONENTS or (len(numbers) == 1 and not same):
        raise build.unsupported(
            node,
            f"{len(numbers)} different exponents for an input of {build.shape(x)}",
            f"use at most {MOST_EXPONENTS}, or Exp, Log and Mul",
        )
    x, reference = align(replace(node, inputs=(x, node.inputs[1])), build)
    y = ""
    for number in numbers:
        suffix = f".exponent{numbers.index(number)}" if len(numbers) > 1 else ""
        power = build.emit("unary", [x], UnaryParams(call("pow", X, number)), node, suffix)
        if y:
            chosen = exponents.reshape(build.shape(reference)) == np.float32(number)
            mask = build.constant(chosen.astype(np.float32), f"{node.name}.choice")
            power = build.emit("where", [mask, power, y], WhereParams(), node, f"{suffix}.choice")
        y = power
    return y


ONNX: dict[str, Importer] = {"Pow": import_power}
