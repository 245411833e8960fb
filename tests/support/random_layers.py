"""Random layers: each function adds one block to a model and returns its output.

A block that does not suit its input returns None.  Nothing here knows what edgecomp supports
beyond the list of operators in docs/ops.md.
"""

from collections.abc import Callable

import numpy as np

from tests.support.onnx_net import Net, Value

Block = Callable[[Net, Value], Value | None]
MOST_ELEMENTS = 400


# ---- layers with weights -----------------------------------------------------------------------


def weights(net: Net, shape: tuple[int, ...], fan_in: int, channel_axis: int = 0) -> np.ndarray:
    """He-scaled weights, sometimes with tiny, dead or uneven channels."""
    w = net.rng.normal(0, 1 / np.sqrt(max(fan_in, 1)), shape)
    view = np.moveaxis(w, channel_axis, 0)
    match net.pick(("plain", "plain", "plain", "tiny", "dead", "uneven")):
        case "tiny":  # left over by weight decay
            view[:: net.between(2, 3)] *= 1e-30
        case "dead":
            view[1 :: net.between(1, 3)] = 0
        case "uneven":
            view *= 10.0 ** net.rng.uniform(-4, 0.5, (len(view), *[1] * (view.ndim - 1)))
    return w.astype(np.float32)


def window(net: Net, sizes: tuple[int, ...], *, dilate: bool = True) -> dict[str, list[int] | str]:
    """Attributes of a sliding window over axes of these sizes; every window touches the input."""
    attrs: dict[str, list[int] | str] = {}
    kernel = [net.between(1, min(4, n)) for n in sizes]
    strides = [net.between(1, 3) for _ in sizes]
    dilations = [1] * len(sizes)
    if dilate and net.chance(0.25):
        dilations = [net.between(1, 3) if (k - 1) * 3 < n else 1
                     for k, n in zip(kernel, sizes, strict=True)]  # fmt: skip
    spans = [d * (k - 1) + 1 for d, k in zip(dilations, kernel, strict=True)]
    attrs["kernel_shape"] = kernel
    if net.chance(0.6):
        attrs["strides"] = strides
    if any(d > 1 for d in dilations):
        attrs["dilations"] = dilations
    modes = ["none", "pads", "pads", "auto"]
    match net.pick(modes if max(dilations) == 1 else modes[:3]):
        case "pads":
            reach = [min(k - 1, n) for k, n in zip(kernel, sizes, strict=True)]
            attrs["pads"] = [net.between(0, most) for most in (*reach, *reach)]
        case "auto":
            attrs["auto_pad"] = net.pick(("SAME_UPPER", "SAME_LOWER", "VALID"))
            # A window that skips elements would ask for negative padding, which nobody defines.
            attrs["strides"] = [min(s, k) for s, k in zip(strides, kernel, strict=True)]
    assert all(span <= n for span, n in zip(spans, sizes, strict=True))
    return attrs


def output_sizes(
    sizes: tuple[int, ...], attrs: dict[str, list[int] | str], *, ceil: bool = False
) -> list[int]:
    """Spatial sizes after a window, as the ONNX specification says."""
    rank = len(sizes)
    strides = attrs.get("strides", [1] * rank)
    dilations = attrs.get("dilations", [1] * rank)
    pads = attrs.get("pads", [0] * 2 * rank)
    found = []
    for axis, size in enumerate(sizes):
        if str(attrs.get("auto_pad", "")).startswith("SAME"):
            found.append(-(-size // strides[axis]))
            continue
        span = dilations[axis] * (attrs["kernel_shape"][axis] - 1) + 1
        reach = size + pads[axis] + pads[axis + rank] - span
        found.append((-(-reach // strides[axis]) if ceil else reach // strides[axis]) + 1)
    return found


def may_round_up(sizes: tuple[int, ...], attrs: dict[str, list[int] | str]) -> bool:
    """Whether ceil_mode is unambiguous: every window begins before the padding at the end.

    Where the last one does not, runtimes leave it out and the specification's formula counts it.
    """
    rank = len(sizes)
    strides = attrs.get("strides", [1] * rank)
    pads = attrs.get("pads", [0] * 2 * rank)
    counts = output_sizes(sizes, attrs, ceil=True)
    return "auto_pad" not in attrs and all(
        (counts[axis] - 1) * strides[axis] < sizes[axis] + pads[axis] for axis in range(rank)
    )


def conv(net: Net, x: Value) -> Value | None:
    """Convolution of any kind, with or without bias, BatchNorm and activation."""
    if x.rank not in {3, 4}:
        return None
    x = net.spatial(x)
    channels, sizes = x.shape[1], x.shape[2:]
    groups = net.pick([1, 1, channels, *[g for g in (2, 3, 4) if channels % g == 0]])
    out = groups * net.between(1, 3 if groups == channels else max(1, 9 // groups))
    attrs = window(net, sizes)
    if net.chance(0.25):
        attrs = {"kernel_shape": [1] * len(sizes)}
    shape = (out, channels // groups, *attrs["kernel_shape"])
    inputs = [x, net.const(weights(net, shape, int(np.prod(shape[1:]))))]
    if net.chance(0.7):
        inputs.append(net.const(net.rng.normal(0, 0.3, out)))
    if groups > 1 or net.chance(0.2):
        attrs["group"] = groups
    y = net.op("Conv", inputs, (1, out, *output_sizes(sizes, attrs)), **attrs)
    if net.chance(0.3):
        y = batch_norm_of(net, y)
    if net.chance(0.5):
        y = net.op("Relu", [y], y.shape)
    elif net.chance(0.3):
        y = clip(net, y)
    return net.back(y)


def same_conv(net: Net, x: Value) -> Value:
    """A 3x3 (or 3) convolution that keeps the shape."""
    x = net.spatial(x)
    channels, rank = x.shape[1], x.rank - 2
    w = weights(net, (channels, channels, *[3] * rank), channels * 3**rank)
    attrs = {"auto_pad": "SAME_UPPER"} if net.chance(0.5) else {"pads": [1] * 2 * rank}
    y = net.op("Conv", [x, net.const(w)], x.shape, kernel_shape=[3] * rank, **attrs)
    return net.back(y)


def batch_norm_of(net: Net, x: Value) -> Value:
    """BatchNorm over axis 1."""
    channels = x.shape[1]
    constants = [
        net.const(net.rng.uniform(0.3, 1.5, channels)),
        net.const(net.rng.normal(0, 0.3, channels)),
        net.const(net.rng.normal(0, 0.3, channels)),
        net.const(net.rng.uniform(0.3, 1.5, channels)),
    ]
    attrs = {"epsilon": 1e-3} if net.chance(0.5) else {}
    return net.op("BatchNormalization", [x, *constants], x.shape, **attrs)


def batch_norm(net: Net, x: Value) -> Value | None:
    """BatchNorm alone."""
    if x.rank not in {2, 3, 4}:
        return None
    return batch_norm_of(net, x) if x.rank == 2 else net.back(batch_norm_of(net, net.spatial(x)))


def gemm(net: Net, x: Value) -> Value | None:
    """Gemm with every attribute."""
    if x.rank != 2:
        return None
    features, out = x.shape[1], net.between(1, 14)
    attrs: dict[str, float | int] = {}
    w = weights(net, (out, features), features)
    if net.chance(0.6):
        attrs["transB"] = 1
    else:
        w = w.T.copy()
    if net.chance(0.3):
        attrs["alpha"] = float(net.rng.uniform(0.5, 2))
    inputs: list[Value | str] = [x, net.const(w)]
    if net.chance(0.8):
        if net.chance(0.3):
            attrs["beta"] = float(net.rng.uniform(0.5, 2))
        shape = net.pick(((out,), (out,), (1, out), (1,), ()))
        inputs.append(net.const(net.rng.normal(0, 0.3, shape)))
    y = net.op("Gemm", inputs, (x.shape[0], out), **attrs)
    return net.op("Relu", [y], y.shape) if net.chance(0.4) else y


def matmul(net: Net, x: Value) -> Value | None:
    """MatMul by a constant over the last axis, with a bias or not."""
    features, out = x.shape[-1], net.between(1, 9)
    w = weights(net, (features, out), features, channel_axis=1)
    y = net.op("MatMul", [x, net.const(w)], (*x.shape[:-1], out))
    if net.chance(0.6):
        bias = net.const(net.rng.normal(0, 0.3, out))
        y = net.op("Add", [y, bias] if net.chance(0.5) else [bias, y], y.shape)
    return y


def prelu(net: Net, x: Value) -> Value | None:
    """PReLU with slopes per channel, or one slope."""
    if x.rank not in {3, 4}:
        return None
    x = net.spatial(x)
    channels = x.shape[1]
    slopes = net.rng.uniform(-0.5, 1, (channels, *[1] * (x.rank - 2)))
    if net.chance(0.2):
        slopes = slopes.reshape(-1)[:1]
    return net.back(net.op("PRelu", [x, net.const(slopes)], x.shape))


# ---- pools and means ---------------------------------------------------------------------------


def pool(net: Net, x: Value) -> Value | None:
    """MaxPool and AveragePool with every attribute."""
    if x.rank not in {3, 4}:
        return None
    x = net.spatial(x)
    average = net.chance(0.5)
    attrs = window(net, x.shape[2:], dilate=not average or net.opset >= 19)
    ceil = net.chance(0.4) and may_round_up(x.shape[2:], attrs)
    if ceil:
        attrs["ceil_mode"] = 1
    if average and net.chance(0.5) and not (ceil and "pads" in attrs):
        attrs["count_include_pad"] = 1
    shape = (1, x.shape[1], *output_sizes(x.shape[2:], attrs, ceil=ceil))
    name = "AveragePool" if average else "MaxPool"
    return net.back(net.op(name, [x], shape, exact=x.exact and not average, **attrs))


def global_pool(net: Net, x: Value) -> Value | None:
    """GlobalAveragePool and GlobalMaxPool."""
    if x.rank not in {3, 4}:
        return None
    x = net.spatial(x)
    name = net.pick(("GlobalAveragePool", "GlobalMaxPool"))
    return net.back(net.op(name, [x], (1, x.shape[1], *[1] * (x.rank - 2))))


def reduce_mean(net: Net, x: Value) -> Value | None:
    """ReduceMean over any axes but the batch."""
    axes = sorted(a for a in range(1, x.rank) if net.chance(0.5)) or [x.rank - 1]
    keep = net.chance(0.5) or x.rank - len(axes) < 2
    written = [a - x.rank if net.chance(0.3) else a for a in axes]
    shape = [1 if a in axes else n for a, n in enumerate(x.shape) if keep or a not in axes]
    attrs = {"keepdims": int(keep)}
    if net.opset >= 18:
        return net.op("ReduceMean", [x, net.ints(written)], shape, **attrs)
    return net.op("ReduceMean", [x], shape, axes=written, **attrs)


def softmax(net: Net, x: Value) -> Value | None:
    """Softmax along any axis but the batch."""
    axis = net.between(1, x.rank - 1)
    attrs = {} if net.chance(0.3) else {"axis": net.pick((axis, axis - x.rank))}
    return net.op("Softmax", [x], x.shape, **attrs)


# ---- two operands ------------------------------------------------------------------------------


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
    if np.prod(shape) > MOST_ELEMENTS:
        return None
    written = net.pick((axis, axis - x.rank))
    return net.op("Concat", parts, shape, exact=all(p.exact for p in parts), axis=written)


# ---- one operand -------------------------------------------------------------------------------


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


# ---- movements ---------------------------------------------------------------------------------


def pad(net: Net, x: Value) -> Value | None:
    """Pad any axes but the batch with any value."""
    before = [0, *(net.between(0, 2) if net.chance(0.5) else 0 for _ in x.shape[1:])]
    after = [0, *(net.between(0, 2) if net.chance(0.5) else 0 for _ in x.shape[1:])]
    shape = [n + a + b for n, a, b in zip(x.shape, before, after, strict=True)]
    if np.prod(shape) > MOST_ELEMENTS:
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


BLOCKS: tuple[tuple[Block, int], ...] = (
    (conv, 12), (batch_norm, 2), (gemm, 8), (matmul, 2), (prelu, 2), (pool, 4), (global_pool, 1),
    (reduce_mean, 2), (softmax, 1), (join, 4), (residual, 4), (gate, 1), (constant_operand, 4),
    (concat, 3), (clip, 2), (unary, 9), (step, 4), (guarded, 2), (silu, 1), (gelu, 1), (pad, 2),
    (flatten, 2), (reshape, 2), (squeeze, 2), (unsqueeze, 1), (transpose, 2), (nothing, 1),
)  # fmt: skip
"""Every block and how often it is tried."""
