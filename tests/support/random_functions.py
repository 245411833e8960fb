"""Random functions of one variable."""

import numpy as np

from tests.support.onnx_net import Net, Value


def clip(net: Net, x: Value) -> Value:
    """Clip with both bounds, or one, as constant inputs."""
    low, high = sorted(float(n) for n in net.rng.normal(0, 1.5, 2))
    if net.chance(0.4):
        low, high = 0.0, 6.0
    bounds = [net.const(low) if net.chance(0.8) else "", net.const(high)]
    if bounds[0] and net.chance(0.2):
        bounds.pop()
    return net.op("Clip", [x, *bounds], x.shape)


ATTRIBUTES = {
    "LeakyRelu": ("alpha",),
    "Elu": ("alpha",),
    "Celu": ("alpha",),
    "HardSigmoid": ("alpha", "beta"),
    "Selu": ("alpha", "gamma"),
}
SMOOTH = {
    "Relu": 11, "LeakyRelu": 11, "Elu": 11, "Celu": 12, "Selu": 11, "Sigmoid": 11, "Tanh": 11,
    "HardSigmoid": 11, "HardSwish": 14, "Mish": 18, "Gelu": 20, "Softplus": 11, "Softsign": 11,
    "Abs": 11, "Neg": 11, "Erf": 11, "Sin": 11, "Cos": 11, "Atan": 11, "Asinh": 11,
}  # fmt: skip
"""Functions without steps, defined everywhere, and the operator set they came with."""

STEPS = ("Floor", "Ceil", "Round", "Sign", "ThresholdedRelu", "Shrink")


def unary(net: Net, x: Value) -> Value | None:
    """A function without steps."""
    name = net.pick([op for op, since in SMOOTH.items() if since <= net.opset])
    attrs: dict[str, float | str] = {}
    for key in ATTRIBUTES.get(name, ()):
        if net.chance(0.6):
            attrs[key] = float(net.rng.uniform(0.1, 0.9) + (1.0 if key == "gamma" else 0.0))
    if name == "Gelu" and net.chance(0.5):
        attrs["approximate"] = "tanh"
    return net.op(name, [x], x.shape, **attrs)


def step(net: Net, x: Value) -> Value | None:
    """A function with steps, only where the input is the same to the last bit."""
    if not x.exact:
        return None
    name = net.pick(STEPS)
    attrs = {"ThresholdedRelu": {"alpha": 0.4}, "Shrink": {"lambd": 0.3, "bias": 0.1}}
    return net.op(name, [x], x.shape, **attrs.get(name, {}))


def guarded(net: Net, x: Value) -> Value | None:
    """A function that is not defined everywhere, behind one that keeps it where it is."""
    name = net.pick(
        (
            "Sqrt",
            "Log",
            "Reciprocal",
            "Exp",
            "Sinh",
            "Cosh",
            "Tan",
            "Asin",
            "Acos",
            "Acosh",
            "Atanh",
        )
    )
    if name in {"Sqrt", "Log", "Reciprocal", "Acosh"}:
        y = net.op("Abs", [x], x.shape)
        y = net.op("Add", [y, net.const(1.1 if name == "Acosh" else 0.4)], x.shape)
    elif name in {"Exp", "Sinh", "Cosh"}:
        y = net.op("Clip", [x, net.const(-2.0), net.const(2.0)], x.shape)
    else:
        y = net.op("Tanh", [x], x.shape)
        y = net.op("Mul", [y, net.const(0.9)], x.shape)
    return net.op(name, [y], y.shape)


def silu(net: Net, x: Value) -> Value:
    """SiLU as frameworks export it."""
    return net.op("Mul", [x, net.op("Sigmoid", [x], x.shape)], x.shape)


def gelu(net: Net, x: Value) -> Value:
    """GELU as older frameworks export it."""
    y = net.op("Div", [x, net.const(np.sqrt(2.0))], x.shape)
    y = net.op("Add", [net.op("Erf", [y], y.shape), net.const(1.0)], x.shape)
    return net.op("Mul", [net.op("Mul", [x, y], x.shape), net.const(0.5)], x.shape)
