"""Random layers of two operands: residuals, gates, constants, concatenations."""

import numpy as np

from tests.support.onnx_net import Net, Value
from tests.support.random_linear import same_conv, weights


def joins(net: Net, x: Value) -> list[Value]:
    """Earlier values that broadcast against `x` to `x`'s shape."""
    return [
        v for v in net.values
        if v.rank == x.rank
        and all(a in {1, b} for a, b in zip(v.shape, x.shape, strict=True))
    ]  # fmt: skip


def binary_of(net: Net, a: Value, b: Value | str, shape: tuple[int, ...]) -> Value:
    """Add, Sub or Mul, either way round."""
    pair = [a, b] if net.chance(0.5) else [b, a]
    return net.op(net.pick(("Add", "Add", "Sub", "Mul")), pair, shape)


def join(net: Net, x: Value) -> Value | None:
    """Combine with an earlier value, or with itself."""
    others = joins(net, x)
    other = net.pick([*others, x]) if others else x
    if other is x and net.chance(0.7):
        return None
    return binary_of(net, x, other, x.shape)


def residual(net: Net, x: Value) -> Value | None:
    """A branch of a convolution or two, added to its input."""
    if x.rank not in {3, 4}:
        return None
    y = same_conv(net, x)
    if net.chance(0.5):
        y = same_conv(net, net.op("Relu", [y], y.shape))
    y = binary_of(net, x, y, x.shape)
    return net.op("Relu", [y], y.shape) if net.chance(0.5) else y


def gate(net: Net, x: Value) -> Value | None:
    """Squeeze and excite."""
    if x.rank not in {3, 4}:
        return None
    z = net.spatial(x)
    channels, ones = z.shape[1], [1] * (z.rank - 2)
    s = net.op("GlobalAveragePool", [z], (1, channels, *ones))
    w = net.const(weights(net, (channels, channels, *ones), channels))
    s = net.op("Conv", [s, w], s.shape)
    s = net.op(net.pick(("Sigmoid", "HardSigmoid")), [s], s.shape)
    return net.op("Mul", [x, net.back(s)], x.shape)


def constant_operand(net: Net, x: Value) -> Value | None:
    """Add, subtract, multiply, divide by a constant of any broadcastable shape."""
    shape = tuple(n if net.chance(0.5) else 1 for n in x.shape)
    if net.chance(0.3):
        shape = ()
    elif net.chance(0.3):
        shape = shape[net.between(0, x.rank - 1) :]
    data = net.rng.normal(0, 1, shape)
    if net.chance(0.2):
        data = np.sign(data) * (np.abs(data) + 0.5)
        return net.op("Div", [x, net.const(data)], x.shape)
    return binary_of(net, x, net.const(data), x.shape)


def concat(net: Net, x: Value) -> Value | None:
    """Concatenate with earlier values of the same shape on the other axes, or with itself."""
    axis = net.between(1, x.rank - 1)

    def fits(v: Value) -> bool:
        return v.rank == x.rank and all(
            a == b for n, (a, b) in enumerate(zip(v.shape, x.shape, strict=True)) if n != axis
        )

    others = [v for v in net.values if fits(v)] or [x]
    parts = [x, *(net.pick(others) for _ in range(net.between(1, 2)))]
    net.rng.shuffle(parts)  # type: ignore[arg-type]
    shape = [sum(p.shape[axis] for p in parts) if n == axis else m for n, m in enumerate(x.shape)]
    if np.prod(shape) > net.most_elements:
        return None
    written = net.pick((axis, axis - x.rank))
    return net.op("Concat", parts, shape, exact=all(p.exact for p in parts), axis=written)
