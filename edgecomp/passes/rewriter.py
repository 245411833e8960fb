"""The state of the layout pass: the new graph so far, and the view of every old tensor."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from edgecomp.ir import Array, Graph, Node, OpParams, QParams, Shape, Tensor, View
from edgecomp.ops import OPS
from edgecomp.ops.expression import X
from edgecomp.ops.movement import ReshapeParams, TransposeParams
from edgecomp.ops.unary import UnaryParams
from edgecomp.passes.views import Layout, as_view

MOVEMENTS = frozenset({"transpose", "reshape"})


class Rewriter:
    """Builds the new graph; the rules of the operators call it.

    Attributes:
        graph: the old graph.
        tensors: of the new graph, by name.
        nodes: of the new graph so far.
        views: for each old activation, how it lies over a new tensor.
        outputs: names of the new graph's outputs so far.
        output_views: for outputs in another order than the model's.
        requests: for graph inputs that had to be moved, the order and shape that were needed.
        moved_elements: elements of all transposes that were made.
    """

    def __init__(self, graph: Graph) -> None:
        """Begin with an empty new graph."""
        self.graph = graph
        self.tensors: dict[str, Tensor] = {}
        self.nodes: list[Node] = []
        self.views: dict[str, Layout] = {}
        self.outputs: list[str] = []
        self.output_views: dict[str, View] = {}
        self.requests: dict[str, Layout] = {}
        self.moved_elements = 0
        # Movements mostly disappear; their names serve those that have to be made again.
        self._movements = {n.output: n.name for n in graph.nodes if n.op in MOVEMENTS}
        self._taken = set(graph.tensors) - set(self._movements)
        self._layers = {node.name for node in graph.nodes if node.op not in MOVEMENTS}
        self._made: dict[Layout, str] = {}
        self._same_order: dict[str, str] = {}

    @property
    def cost(self) -> tuple[int, int]:
        """Elements that transposes move, then number of nodes."""
        return self.moved_elements, len(self.nodes)

    def add_input(self, name: str, shape: Shape, view: Layout) -> None:
        """Add a graph input of `shape` on the device, which is seen as `view`."""
        self.tensors[name] = replace(self.graph.tensor(name), shape=shape)
        self.views[name] = view

    def add_output(self, name: str) -> None:
        """Make an old output an output, in its base's order if nothing forbids it."""
        view = self.views[name]
        base = view.base
        said = as_view(view, self.tensors[base].shape)
        whole = view.is_plain and view.shape == self.tensors[base].shape
        sources = (state.source for state in self.graph.states)
        taken = {*self.graph.inputs, *self.outputs, *sources}
        if whole or said is None or base in taken:
            made = self.realize(view, name)
            if made in taken:
                made = self._copy(name, self.tensors[made], self.tensors[made].qparams)
            self.outputs.append(made)
            return
        self.outputs.append(base)
        self.output_views[base] = said

    def emit(self, node: Node, inputs: Sequence[str], params: OpParams | None = None) -> Tensor:
        """Add `node` with other inputs and parameters; its output keeps name and qparams."""
        made = replace(node, inputs=tuple(inputs), params=params or node.params)
        tensors = [self.tensors[name] for name in inputs]
        shape = OPS[made.op].infer(made.params, tensors)
        output = replace(self.graph.tensor(node.output), shape=shape)
        self.tensors[output.name] = output
        self.nodes.append(made)
        return output

    def follows(self, new: str, base: str) -> None:
        """Remember that the tensor `new` has the elements of `base` changed, but not moved."""
        self._same_order[new] = base

    def move(self, node: Node, view: Layout) -> None:
        """Let a movement's output be a mere view, unless it changes the scale."""
        qparams = self.graph.tensor(node.output).qparams
        base = self.tensors[view.base]
        if qparams is not None and base.qparams is None:
            self.tensors[base.name] = replace(base, qparams=qparams)
        elif qparams not in {None, base.qparams}:
            view = replace(view, base=self._copy(node.output, base, qparams))
        self.views[node.output] = view

    def constant(self, tensor: Tensor, data: Array, qparams: QParams | None) -> str:
        """Add a constant: `tensor` itself where `data` is unchanged, else a rearranged copy."""
        if data is tensor.data:
            self.tensors[tensor.name] = tensor
            return tensor.name
        name = self._new_name(f"{tensor.name}.nhwc")
        copy = tensor.with_data(np.ascontiguousarray(data), name=name, qparams=qparams)
        self.tensors[name] = copy
        return name

    def input_of(self, name: str) -> str:
        """Return a tensor with an old tensor's own elements, order and shape."""
        tensor = self.graph.tensor(name)
        if tensor.is_const:
            return self.constant(tensor, tensor.value, tensor.qparams)
        return self.realize(self.views[name], name)

    def in_order(self, name: str, perm: Sequence[int]) -> str:
        """Return the tensor t with `old = transpose(t, perm)`."""
        back = [int(axis) for axis in np.argsort(perm)]
        tensor = self.graph.tensor(name)
        if tensor.is_const:
            data, qparams = tensor.value, tensor.qparams
            if back != sorted(back):
                data = data.transpose(back)
                if qparams is not None and qparams.axis is not None:
                    qparams = replace(qparams, axis=back.index(qparams.axis))
            return self.constant(tensor, data, qparams)
        return self.realize(self.moved(name, back), name)

    def moved(self, name: str, perm: Sequence[int]) -> Layout:
        """The view of an old activation, transposed."""
        view = self.views[name].transposed(perm)
        if view is None:
            made = self.realize(self.views[name], name)
            view = Layout.plain(made, self.tensors[made].shape).transposed(perm)
            assert view is not None
        return view

    def realize(self, view: Layout, hint: str) -> str:
        """Return a tensor with exactly the elements and shape of `view`."""
        base = self.tensors[view.base]
        if view.is_plain:
            return self.reshape(view.base, view.shape, hint)
        if view in self._made:
            return self._made[view]
        self._request(view)
        self.moved_elements += base.size
        order = view.axis_order(base.shape)
        if order is not None:
            made = self._movement("transpose", view.base, TransposeParams(order), hint)
        else:
            split = self.reshape(view.base, view.split, hint)
            made = self._movement("transpose", split, TransposeParams(view.perm), hint)
            made = self.reshape(made, view.shape, hint)
        self._made[view] = made
        return made

    def reshape(self, name: str, shape: Shape, hint: str) -> str:
        """Return a tensor with the elements of `name` in `shape`."""
        if self.tensors[name].shape == shape:
            return name
        key = Layout.plain(name, shape)
        if key not in self._made:
            self._request(key)
            self._made[key] = self._movement("reshape", name, ReshapeParams(shape), hint)
        return self._made[key]

    def _request(self, view: Layout) -> None:
        """Remember which order of a graph input would have spared a movement."""
        origin = view.base
        while origin in self._same_order:
            origin = self._same_order[origin]
        if origin in self.graph.inputs and origin not in self.requests:
            wanted = replace(view, base=origin)
            model = replace(wanted, shape=self.tensors[origin].shape)
            back = replace(model, split=tuple(wanted.split[a] for a in wanted.perm))
            back = replace(back, perm=tuple(int(a) for a in np.argsort(wanted.perm)))
            if as_view(back, wanted.shape) is not None:
                self.requests[origin] = wanted

    def _movement(self, op: str, source: str, params: OpParams, hint: str) -> str:
        """Add a transpose or a reshape."""
        layer = self._movements.get(hint, f"{hint}.{op}")
        name = self._new_name(hint if hint in self._movements else f"{hint}.{op}d")
        qparams = self.tensors[source].qparams
        shape = OPS[op].infer(params, [self.tensors[source]])
        self.tensors[name] = Tensor(name, shape, qparams=qparams)
        self.nodes.append(Node(self._layer(layer), op, (source,), name, params))
        return name

    def _copy(self, hint: str, base: Tensor, qparams: QParams | None) -> str:
        """Add an identity, to another scale or to a tensor of its own."""
        name = self._new_name(f"{hint}.copy")
        self.tensors[name] = replace(base, name=name, qparams=qparams)
        layer = self._layer(name)
        self.nodes.append(Node(layer, "unary", (base.name,), name, UnaryParams(X)))
        self.follows(name, base.name)
        return name

    def _new_name(self, wanted: str) -> str:
        return _unused(wanted, self._taken)

    def _layer(self, wanted: str) -> str:
        return _unused(wanted, self._layers)


def _unused(wanted: str, taken: set[str]) -> str:
    """Return `wanted` or `wanted_2`, …, and mark it as taken."""
    name, count = wanted, 1
    while name in taken:
        count += 1
        name = f"{wanted}_{count}"
    taken.add(name)
    return name
