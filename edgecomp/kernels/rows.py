"""Layers cut to some rows of their output: what stages that are fused by rows compute at a time.

A row of the output needs some neighbouring rows of the input, and so do several, a *band*.  Cut to
these, a layer is an ordinary layer of shape (1, rows, W, C) -> (1, band, W', C') without padding
above and below, and every kernel of its operator can compute it; weights, biases and multipliers
are those of the whole layer.
"""

from dataclasses import dataclass, replace

from edgecomp.ir import Tensor
from edgecomp.kernels.base import Layer
from edgecomp.ops.spatial import Window

WINDOW_OPS = frozenset({"conv2d", "max_pool", "average_pool"})
ELEMENT_OPS = frozenset({"add", "sub", "mul", "unary", "prelu"})


@dataclass(frozen=True)
class RowWindow:
    """Which rows of the input a row of the output needs.

    Row `r` reads the `rows` rows from `r * stride - pad_top`; those outside the input are padding.
    """

    rows: int
    stride: int
    pad_top: int

    def first(self, row: int) -> int:
        """The first row that row `row` of the output reads; negative in the padding."""
        return row * self.stride - self.pad_top

    def of_band(self, band: int) -> "RowWindow":
        """The window of `band` rows at a time, its stride from one band to the next.

        >>> RowWindow(3, 2, 1).of_band(4)
        RowWindow(rows=9, stride=8, pad_top=1)
        """
        return RowWindow((band - 1) * self.stride + self.rows, band * self.stride, self.pad_top)


def is_mean_of_all(layer: Layer) -> bool:
    """Whether the layer is the mean of each channel over the whole input: rows are summed up."""
    shape, params = layer.inputs[0].shape, layer.params
    if len(shape) != 4 or shape[0] != 1:
        return False
    if layer.node.op == "reduce_mean":
        return bool(tuple(params.axes) == (1, 2))
    if layer.node.op != "average_pool" or params.has_padding:
        return False
    return (params.kernel_h, params.kernel_w) == shape[1:3]


def row_window(layer: Layer) -> RowWindow:
    """Return which rows of its inputs the layer needs for a row of its output."""
    if is_mean_of_all(layer) or layer.node.op not in WINDOW_OPS:
        return RowWindow(1, 1, 0)
    window: Window = layer.params
    span = window.dilation_h * (window.kernel_h - 1) + 1
    return RowWindow(span, window.stride_h, window.pad_top)


def row_refusal(layer: Layer) -> str | None:
    """Say why a layer cannot be computed by rows; None if it can."""
    op = layer.node.op
    computed = [tensor for tensor in layer.inputs if not tensor.is_const]
    if any(len(x.shape) != 4 or x.shape[0] != 1 or x.shape[1] < 2 for x in computed):
        return "no rows"
    if is_mean_of_all(layer):
        return None
    if "dense8" not in layer.storages:
        return "weights that are decoded"
    if op in WINDOW_OPS:
        window: Window = layer.params
        if op != "conv2d" and (window.pad_top or window.pad_bottom):
            return "a pool with padding above or below"
        if window.pad_top >= row_window(layer).rows:
            return "padding wider than the window"
        if layer.output.shape[1] < 2:
            return "one row of output"
        return None
    if op in ELEMENT_OPS:
        if any(tensor.shape != layer.output.shape for tensor in computed):
            return "operands that are repeated"
        if any(x.is_const and len(x.shape) == 4 and x.shape[1] != 1 for x in layer.inputs):
            return "a constant that differs from row to row"
        return None
    return f"{op} is not computed by rows"


def _cut(tensor: Tensor, rows: int) -> Tensor:
    return replace(tensor, shape=(1, rows, *tensor.shape[2:]))


def row_layer(layer: Layer, band: int = 1) -> Layer:
    """Cut a layer that `row_refusal` accepts to one row of its output, or to `band` of them.

    A mean over everything is cut to one row of its input; its constants stay those of the whole.
    """
    rows = row_window(layer).of_band(band).rows
    tensors = {
        tensor.name: tensor if tensor.is_const else _cut(tensor, rows) for tensor in layer.inputs
    }
    tensors[layer.output.name] = _cut(layer.output, band)
    node = layer.node
    if node.op in WINDOW_OPS:
        node = replace(node, params=replace(layer.params, pad_top=0, pad_bottom=0))
    graph = layer.graph.replace(nodes=(node,), tensors=tensors, inputs=(), outputs=())
    return Layer(graph, node)
