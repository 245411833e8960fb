"""What the layout pass does with each operator."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from edgecomp.ir import Array, Node, OpParams, QParams, Tensor
from edgecomp.ops.argmax import ArgMaxParams
from edgecomp.ops.conv2d import Conv2dParams
from edgecomp.ops.gather import GatherParams
from edgecomp.ops.movement import ConcatParams, PadParams, TransposeParams
from edgecomp.ops.reduce import ReduceMaxParams
from edgecomp.ops.reduce_mean import ReduceMeanParams
from edgecomp.ops.resize import ResizeParams
from edgecomp.passes.rewriter import Rewriter
from edgecomp.passes.views import Layout

Rule = Callable[[Rewriter, Node], None]
Perm = tuple[int, ...]


def keep(rewriter: Rewriter, node: Node) -> None:
    """Layers that need their own order: convolutions, pools, PReLU."""
    output = rewriter.emit(node, [rewriter.input_of(name) for name in node.inputs])
    rewriter.views[node.output] = Layout.plain(output.name, output.shape)


def transpose(rewriter: Rewriter, node: Node) -> None:
    """A transpose changes the view."""
    assert isinstance(node.params, TransposeParams)
    rewriter.move(node, rewriter.moved(node.inputs[0], node.params.perm))


def reshape(rewriter: Rewriter, node: Node) -> None:
    """A reshape changes the view."""
    shape = rewriter.graph.tensor(node.output).shape
    rewriter.move(node, rewriter.views[node.inputs[0]].reshaped(shape))


def unary(rewriter: Rewriter, node: Node) -> None:
    """A function of each element works on the base."""
    _on_base(rewriter, node, [rewriter.views[node.inputs[0]].base])


def binary(rewriter: Rewriter, node: Node) -> None:
    """Element-wise combinations: all operands in one order; constants follow."""
    rank = len(rewriter.graph.tensor(node.output).shape)
    perm, cost = _best_order(rewriter, node, rank)
    if cost and _works_on_bases(rewriter, node):
        return
    _emit_permuted(rewriter, node, perm)


def concat(rewriter: Rewriter, node: Node) -> None:
    """Concatenation: all inputs in one order, the axis mapped."""
    rank = len(rewriter.graph.tensor(node.output).shape)
    perm, _ = _best_order(rewriter, node, rank)
    assert isinstance(node.params, ConcatParams)
    params = ConcatParams(perm[node.params.axis])
    inputs = [rewriter.in_order(name, perm) for name in node.inputs]
    output = rewriter.emit(node, inputs, params)
    rewriter.views[node.output] = Layout.permuted(output.name, output.shape, perm)


def _follow_axes(
    rewriter: Rewriter, node: Node, params_in: Callable[[Sequence[int]], OpParams]
) -> None:
    """Compute in the order of the input, with parameters by axis, which that order permutes."""
    perm = _own_order(rewriter, node.inputs[0])
    params = params_in([int(axis) for axis in np.argsort(perm)])
    output = rewriter.emit(node, [rewriter.in_order(node.inputs[0], perm)], params)
    rewriter.views[node.output] = Layout.permuted(output.name, output.shape, perm)


def pad(rewriter: Rewriter, node: Node) -> None:
    """Padding: the borders follow their axes."""
    old = node.params
    assert isinstance(old, PadParams)

    def params_in(order: Sequence[int]) -> PadParams:
        before, after = (
            tuple(widths[axis] for axis in order) for widths in (old.before, old.after)
        )
        return PadParams(before, after, old.value)

    _follow_axes(rewriter, node, params_in)


def gather(rewriter: Rewriter, node: Node) -> None:
    """Choices of elements: the indices follow their axes."""
    old = node.params
    assert isinstance(old, GatherParams)
    _follow_axes(rewriter, node, lambda order: GatherParams(tuple(old.indices[a] for a in order)))


def resize(rewriter: Rewriter, node: Node) -> None:
    """Interpolation: the coordinates follow their axes."""
    old = node.params
    assert isinstance(old, ResizeParams)
    _follow_axes(rewriter, node, lambda order: ResizeParams(tuple(old.positions[a] for a in order)))


def reduce_mean(rewriter: Rewriter, node: Node) -> None:
    """Reductions: the axes are mapped."""
    perm = _own_order(rewriter, node.inputs[0])
    old = node.params
    assert isinstance(old, (ReduceMeanParams, ReduceMaxParams))
    params = replace(old, axes=tuple(sorted(perm[axis] for axis in old.axes)))
    output = rewriter.emit(node, [rewriter.in_order(node.inputs[0], perm)], params)
    if not old.keepdims:
        left = [axis for index, axis in enumerate(perm) if index not in old.axes]
        perm = tuple(int(rank) for rank in np.argsort(np.argsort(left)))
    rewriter.views[node.output] = Layout.permuted(output.name, output.shape, perm)


def softmax(rewriter: Rewriter, node: Node) -> None:
    """Softmax and the like work along the last axis, which must be the base's last."""
    perm = _own_order(rewriter, node.inputs[0])
    if perm[-1] == len(perm) - 1:
        _emit_permuted(rewriter, node, perm)
    else:
        keep(rewriter, node)


def argmax(rewriter: Rewriter, node: Node) -> None:
    """Indices along the last axis; rows whose indices start at places of their own stay."""
    assert isinstance(node.params, ArgMaxParams)
    (keep if node.params.starts else softmax)(rewriter, node)


def dense(rewriter: Rewriter, node: Node) -> None:
    """A dense layer: after a flattened map, its weights' columns take the map's order."""
    view = rewriter.views[node.inputs[0]]
    weights = rewriter.graph.tensor(node.inputs[1])
    perm = _own_order(rewriter, node.inputs[0])
    if view.is_plain:
        keep(rewriter, node)
    elif math.prod(view.shape[:-1]) == 1 and _may_reorder(weights.qparams, 1):
        columns = weights.value[:, view.source_index()]
        inputs = [
            rewriter.reshape(view.base, view.shape, node.inputs[0]),
            rewriter.constant(weights, columns, weights.qparams),
            *(rewriter.input_of(name) for name in node.inputs[2:]),
        ]
        output = rewriter.emit(node, inputs)
        rewriter.views[node.output] = Layout.plain(output.name, output.shape)
    elif perm[-1] == len(perm) - 1:
        rest = [rewriter.input_of(name) for name in node.inputs[1:]]
        output = rewriter.emit(node, [rewriter.in_order(node.inputs[0], perm), *rest])
        rewriter.views[node.output] = Layout.permuted(output.name, output.shape, perm)
    else:
        keep(rewriter, node)


def conv2d(rewriter: Rewriter, node: Node) -> None:
    """A convolution needs channels last; a factor per element of a flattened map does not."""
    view = rewriter.views[node.inputs[0]]
    params = node.params
    assert isinstance(params, Conv2dParams)
    constants = [rewriter.graph.tensor(name) for name in node.inputs[1:]]
    flat = math.prod(view.shape[:-1]) == 1 and params.is_pointwise
    per_element = flat and params.groups == view.shape[-1] == constants[0].shape[0]
    if view.is_plain or not per_element:
        keep(rewriter, node)
        return
    index = view.source_index()
    base = rewriter.reshape(view.base, view.shape, node.inputs[0])
    rest = [rewriter.constant(t, t.value[index], _reordered(t.qparams, index)) for t in constants]
    output = rewriter.emit(node, [base, *rest])
    rewriter.views[node.output] = replace(view, base=output.name)


def _on_base(rewriter: Rewriter, node: Node, inputs: Sequence[str]) -> None:
    """Apply an element-wise layer to bases; the view stays that of the first operand."""
    output = rewriter.emit(node, inputs)
    view = next(rewriter.views[name] for name in node.inputs if name in rewriter.views)
    rewriter.follows(output.name, view.base)
    rewriter.views[node.output] = replace(view, base=output.name)


def _emit_permuted(rewriter: Rewriter, node: Node, perm: Perm) -> None:
    """Apply a layer that treats all axes alike, its inputs in the order `perm`."""
    output = rewriter.emit(node, [rewriter.in_order(name, perm) for name in node.inputs])
    rewriter.views[node.output] = Layout.permuted(output.name, output.shape, perm)
    for name in node.inputs:
        view = rewriter.views.get(name)
        if view is not None and view.shape == rewriter.graph.tensor(node.output).shape:
            rewriter.follows(output.name, view.base)
            break


def _works_on_bases(rewriter: Rewriter, node: Node) -> bool:
    """Combine operands that are rearranged alike, though not by whole axes; False if unlike."""
    shape = rewriter.graph.tensor(node.output).shape
    views = [rewriter.views[name] for name in node.inputs if name in rewriter.views]
    first = views[0]
    if any((v.shape, v.split, v.perm) != (shape, first.split, first.perm) for v in views):
        return False
    base_shape = rewriter.tensors[first.base].shape
    inputs = []
    for name in node.inputs:
        if name in rewriter.views:
            inputs.append(rewriter.reshape(rewriter.views[name].base, base_shape, name))
            continue
        tensor = rewriter.graph.tensor(name)
        if tensor.qparams is not None and tensor.qparams.axis is not None:
            return False
        inputs.append(rewriter.constant(tensor, _expanded(tensor, first), tensor.qparams))
        if rewriter.tensors[inputs[-1]].shape != base_shape:
            constant = rewriter.tensors[inputs[-1]]
            rewriter.tensors[inputs[-1]] = constant.with_data(constant.value.reshape(base_shape))
    _on_base(rewriter, node, inputs)
    return True


def _expanded(tensor: Tensor, view: Layout) -> Array:
    """A constant operand as large as the base of `view`, in its order, flat."""
    full: Array = np.broadcast_to(tensor.value, view.shape).reshape(-1)
    return full[view.source_index()]


def _own_order(rewriter: Rewriter, name: str) -> Perm:
    """The permutation of an old tensor over its base; the identity if there is none."""
    view = rewriter.views[name]
    order = view.axis_order(rewriter.tensors[view.base].shape) or view.natural_order()
    return order if order is not None else tuple(range(len(view.shape)))


def _best_order(rewriter: Rewriter, node: Node, rank: int) -> tuple[Perm, int]:
    """Choose the order of axes in which the fewest elements of the inputs must be moved."""
    names = [name for name in node.inputs if name in rewriter.views]
    orders = [_own_order(rewriter, name) for name in names]
    candidates = list(dict.fromkeys([*orders, tuple(range(rank))]))

    def cost(perm: Perm) -> int:
        back = [int(axis) for axis in np.argsort(perm)]
        total = 0
        for name in names:
            moved = rewriter.views[name].transposed(back)
            if moved is None or not moved.is_plain:
                total += rewriter.graph.tensor(name).size
        return total

    costs = [cost(perm) for perm in candidates]
    best = min(range(len(candidates)), key=lambda index: costs[index])
    return candidates[best], costs[best]


def _may_reorder(qparams: QParams | None, axis: int) -> bool:
    return qparams is None or qparams.axis != axis


def _reordered(qparams: QParams | None, index: Array) -> QParams | None:
    """The scales of a constant whose first axis is reordered."""
    if qparams is None or qparams.axis != 0:
        return qparams
    return replace(qparams, scale=tuple(qparams.scale[i] for i in index))


RULES: dict[str, Rule] = {
    "conv2d": conv2d,
    "dense": dense,
    "add": binary,
    "sub": binary,
    "mul": binary,
    "div": binary,
    "maximum": binary,
    "minimum": binary,
    "compare": binary,
    "where": binary,
    "unary": unary,
    "prelu": keep,
    "max_pool": keep,
    "average_pool": keep,
    "reduce_mean": reduce_mean,
    "reduce_sum": reduce_mean,
    "reduce_max": reduce_mean,
    "reduce_min": reduce_mean,
    "argmax": argmax,
    "top_values": softmax,
    "top_indices": softmax,
    "matmul": keep,
    "softmax": softmax,
    "log_softmax": softmax,
    "layer_norm": keep,
    "lstm": keep,
    "gru": keep,
    "rnn": keep,
    "pad": pad,
    "concat": concat,
    "gather": gather,
    "embedding": keep,
    "resize": resize,
    "reshape": reshape,
    "transpose": transpose,
    "shift": keep,
}
"""The rule of each operator; one that is missing would be a layer the pass cannot walk over."""
