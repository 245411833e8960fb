"""Random pools, means and softmax."""

from tests.support.onnx_net import Net, Value
from tests.support.random_windows import may_round_up, output_sizes, window


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
