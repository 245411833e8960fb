"""Random slices, resizes, reductions, extrema, products and normalizations."""

import numpy as np

from tests.support.onnx_net import Net, Value
from tests.support.random_joins import joins
from tests.support.random_linear import weights


def cut(net: Net, x: Value) -> Value | None:
    """Slice with any step along any axis but the batch."""
    axes = [a for a in range(1, x.rank) if x.shape[a] > 1 and net.chance(0.6)]
    if not axes:
        return None
    shape = list(x.shape)
    starts, ends, steps = [], [], []
    for axis in axes:
        n, step = x.shape[axis], net.pick((1, 1, 2, -1, -2))
        first = net.between(0, n - 1)
        last = net.between(first + 1, n) if step > 0 else net.between(-n - 1, first - n - 1)
        shape[axis] = len(range(*slice(first, last, step).indices(n)))
        starts.append(first)
        ends.append(last)
        steps.append(step)
    parts = [net.ints(part) for part in (starts, ends, axes, steps)]
    return net.op("Slice", [x, *parts], shape, exact=x.exact)


def split(net: Net, x: Value) -> Value | None:
    """Split in two and keep the second half, or join the halves the other way round."""
    axis = net.between(1, x.rank - 1)
    if x.shape[axis] % 2 or net.opset < 13:
        return None
    half = x.shape[axis] // 2
    shape = (*x.shape[:axis], half, *x.shape[axis + 1 :])
    first = net.op("Split", [x, net.ints([half, half])], shape, exact=x.exact, axis=axis)
    net.nodes[-1].output.append(f"{first.name}_second")
    second = Value(f"{first.name}_second", shape, x.exact)
    return net.op("Concat", [second, first], x.shape, exact=x.exact, axis=axis)


def resize(net: Net, x: Value) -> Value | None:
    """Resize, nearest or linear, to scales of powers of two."""
    if x.rank not in {3, 4} or net.opset < 13:
        return None
    x = net.spatial(x)
    scales = [1.0, 1.0, *(net.pick((1.0, 2.0, 2.0, 4.0)) for _ in x.shape[2:])]
    shape = [int(n * s) for n, s in zip(x.shape, scales, strict=True)]
    if np.prod(shape) > net.most_elements:
        return None
    mode = net.pick(("nearest", "linear"))
    attrs = {"mode": mode, "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    if mode == "linear":
        attrs["coordinate_transformation_mode"] = net.pick(("half_pixel", "asymmetric"))
    inputs = [x, "", net.const(scales)]
    return net.back(net.op("Resize", inputs, shape, exact=x.exact and mode == "nearest", **attrs))


def reduction(net: Net, x: Value) -> Value:
    """ReduceSum, ReduceMax, ReduceMin, ReduceL2 over any axes but the batch."""
    axes = sorted(a for a in range(1, x.rank) if net.chance(0.5)) or [x.rank - 1]
    keep = net.chance(0.5) or x.rank - len(axes) < 2
    shape = [1 if a in axes else n for a, n in enumerate(x.shape) if keep or a not in axes]
    name = net.pick(("ReduceSum", "ReduceMax", "ReduceMin", "ReduceL2"))
    attrs = {"keepdims": int(keep)}
    if net.opset >= (13 if name == "ReduceSum" else 18):
        return net.op(name, [x, net.ints(axes)], shape, **attrs)
    return net.op(name, [x], shape, axes=axes, **attrs)


def extremum(net: Net, x: Value) -> Value:
    """Max or Min with an earlier value or a constant."""
    others = joins(net, x)
    if others and net.chance(0.7):
        other: Value | str = net.pick(others)
    else:
        shape = [n if net.chance(0.5) else 1 for n in x.shape]
        other = net.const(net.rng.normal(0, 1, shape))
    return net.op(net.pick(("Max", "Min")), [x, other], x.shape)


def quotient(net: Net, x: Value) -> Value | None:
    """Divide by something computed that stays away from zero."""
    others = joins(net, x)
    if not others:
        return None
    other = net.pick(others)
    gate = net.op("Sigmoid", [other], other.shape)
    divisor = net.op("Add", [gate, net.const(0.5)], other.shape)
    return net.op("Div", [x, divisor], x.shape)


def attention(net: Net, x: Value) -> Value | None:
    """Mix rows by the softmax of their own products: MatMul of two activations, twice."""
    if x.rank != 3 or net.opset < 13 or x.shape[1] ** 2 > net.most_elements:
        return None
    turned = net.transpose(x, (0, 2, 1))
    scores = net.op("MatMul", [x, turned], (1, x.shape[1], x.shape[1]))
    scaled = net.op("Div", [scores, net.const(float(np.sqrt(x.shape[2])))], scores.shape)
    mixed = net.op("Softmax", [scaled], scores.shape, axis=-1)
    return net.op("MatMul", [mixed, x], x.shape)


def conv_transpose(net: Net, x: Value) -> Value | None:
    """Transposed convolution with strides, padding and groups."""
    if x.rank not in {3, 4}:
        return None
    x = net.spatial(x)
    channels, sizes = x.shape[1], x.shape[2:]
    groups = net.pick([1, 1, *[g for g in (2, 3) if channels % g == 0]])
    outputs = net.between(1, 3)
    kernel = [net.between(1, 4) for _ in sizes]
    strides = [net.between(1, 3) for _ in sizes]
    pads = [net.between(0, (k - 1) // 2) for k in kernel]
    spatial = [
        (n - 1) * s + k - 2 * p for n, s, k, p in zip(sizes, strides, kernel, pads, strict=True)
    ]
    shape = (1, outputs * groups, *spatial)
    if min(spatial) < 1 or np.prod(shape) > net.most_elements:
        return None
    w = weights(net, (channels, outputs, *kernel), channels // groups * int(np.prod(kernel)))
    inputs = [x, net.const(w)]
    if net.chance(0.5):
        inputs.append(net.const(net.rng.normal(0, 0.3, shape[1])))
    attrs = {"strides": strides, "pads": [*pads, *pads], "group": groups}
    return net.back(net.op("ConvTranspose", inputs, shape, **attrs))


def normalization(net: Net, x: Value) -> Value | None:
    """LayerNormalization along the last axis, or InstanceNormalization of every channel."""
    epsilon = float(net.pick((0.1, 1e-2)))
    if net.opset >= 17 and net.chance(0.6):
        n = x.shape[-1]
        if n < 3:  # nothing is left of one element, and a sign of two
            return None
        constants = [net.const(net.rng.normal(1, 0.3, n)), net.const(net.rng.normal(0, 0.3, n))]
        return net.op("LayerNormalization", [x, *constants], x.shape, axis=-1, epsilon=epsilon)
    if x.rank not in {3, 4}:
        return None
    x = net.spatial(x)
    if np.prod(x.shape[2:]) < 3:
        return None
    n = x.shape[1]
    constants = [net.const(net.rng.normal(1, 0.3, n)), net.const(net.rng.normal(0, 0.3, n))]
    return net.back(net.op("InstanceNormalization", [x, *constants], x.shape, epsilon=epsilon))


def blocks_of_pixels(net: Net, x: Value) -> Value | None:
    """DepthToSpace or SpaceToDepth with blocks of 2."""
    if x.rank != 4:
        return None
    x = net.spatial(x)
    n, c, h, w = x.shape
    if c % 4 == 0 and net.chance(0.5):
        return net.back(net.op("DepthToSpace", [x], (n, c // 4, 2 * h, 2 * w), exact=x.exact,
                               blocksize=2, mode=net.pick(("DCR", "CRD"))))  # fmt: skip
    if h % 2 or w % 2:
        return None
    shape = (n, 4 * c, h // 2, w // 2)
    return net.back(net.op("SpaceToDepth", [x], shape, exact=x.exact, blocksize=2))
