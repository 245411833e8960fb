"""Random layers with weights: convolutions, BatchNorm, Gemm, MatMul, PReLU."""

import numpy as np

from tests.support.onnx_net import Net, Value
from tests.support.random_functions import clip
from tests.support.random_windows import output_sizes, window


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


def conv(net: Net, x: Value) -> Value | None:
    """Convolution of any kind, with or without bias, BatchNorm and activation."""
    if x.rank not in {3, 4}:
        return None
    x = net.spatial(x)
    channels, sizes = x.shape[1], x.shape[2:]
    groups = net.pick([1, 1, channels, *[g for g in (2, 3, 4) if channels % g == 0]])
    out = groups * net.between(1, 3 if groups == channels else max(1, net.most_channels // groups))
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
    features, out = x.shape[1], net.between(1, net.most_channels + 5)
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
    features, out = x.shape[-1], net.between(1, net.most_channels)
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
