"""Random layers that only move elements."""

import numpy as np

from tests.support.onnx_net import Net, Value


def pad(net: Net, x: Value) -> Value | None:
    """Pad any axes but the batch with any value."""
    before = [0, *(net.between(0, 2) if net.chance(0.5) else 0 for _ in x.shape[1:])]
    after = [0, *(net.between(0, 2) if net.chance(0.5) else 0 for _ in x.shape[1:])]
    shape = [n + a + b for n, a, b in zip(x.shape, before, after, strict=True)]
    if np.prod(shape) > net.most_elements:
        return None
    value = [net.const(net.pick((0.0, 0.0, 0.7, -1.3)))] if net.chance(0.7) else []
    attrs = {"mode": "constant"} if net.chance(0.5) else {}
    if net.opset >= 18 and value and net.chance(0.5):
        axes = [a for a in range(x.rank) if before[a] or after[a]] or [1]
        pads = [before[a] for a in axes] + [after[a] for a in axes]
        return net.op("Pad", [x, net.ints(pads), *value, net.ints(axes)], shape, **attrs)
    return net.op("Pad", [x, net.ints([*before, *after]), *value], shape, **attrs)


def flatten(net: Net, x: Value) -> Value:
    """Flatten, by Flatten or by Reshape with -1 or 0."""
    features = x.size // x.shape[0]
    match net.between(0, 2):
        case 0:
            return net.op("Flatten", [x], (x.shape[0], features), exact=x.exact)
        case 1:
            target = net.ints((x.shape[0], -1))
        case _:
            target = net.ints((0, -1))
    return net.op("Reshape", [x, target], (x.shape[0], features), exact=x.exact)


def reshape(net: Net, x: Value) -> Value | None:
    """Split or merge axes behind the batch."""
    axis = net.between(1, x.rank - 1)
    n = x.shape[axis]
    factor = next((f for f in (2, 3, 5) if n % f == 0 and n > f), 0)
    if factor and x.rank < 4:
        shape = (*x.shape[:axis], factor, n // factor, *x.shape[axis + 1 :])
    elif axis + 1 < x.rank:
        shape = (*x.shape[:axis], n * x.shape[axis + 1], *x.shape[axis + 2 :])
    else:
        return None
    return net.op("Reshape", [x, net.ints(shape)], shape, exact=x.exact)


def squeeze(net: Net, x: Value) -> Value | None:
    """Squeeze axes of 1 behind the batch."""
    axes = [a for a in range(1, x.rank) if x.shape[a] == 1 and net.chance(0.8)]
    if not axes or x.rank - len(axes) < 2:
        return None
    shape = [n for a, n in enumerate(x.shape) if a not in axes]
    if net.opset >= 13:
        return net.op("Squeeze", [x, net.ints(axes)], shape, exact=x.exact)
    return net.op("Squeeze", [x], shape, exact=x.exact, axes=axes)


def unsqueeze(net: Net, x: Value) -> Value | None:
    """Insert an axis of 1 behind the batch."""
    if x.rank >= 4:
        return None
    axis = net.between(1, x.rank)
    shape = (*x.shape[:axis], 1, *x.shape[axis:])
    if net.opset >= 13:
        return net.op("Unsqueeze", [x, net.ints([axis])], shape, exact=x.exact)
    return net.op("Unsqueeze", [x], shape, exact=x.exact, axes=[axis])


def transpose(net: Net, x: Value) -> Value | None:
    """Permute the axes behind the batch."""
    if x.rank < 3:
        return None
    perm = [0, *(1 + int(a) for a in net.rng.permutation(x.rank - 1))]
    return net.transpose(x, perm)


def nothing(net: Net, x: Value) -> Value:
    """Layers of training that do nothing now."""
    if net.chance(0.5):
        return net.op("Identity", [x], x.shape, exact=x.exact)
    if net.opset >= 12:
        return net.op("Dropout", [x, net.const(0.3)], x.shape, exact=x.exact)
    return net.op("Dropout", [x], x.shape, exact=x.exact, ratio=0.3)
