"""Collects the graph that the importers of the operators emit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np

from edgecomp.errors import UnsupportedError, UserError
from edgecomp.frontend.limits import LARGEST_NUMBER, check_network, check_size
from edgecomp.frontend.names import UniqueNames
from edgecomp.frontend.refit import refitted
from edgecomp.ir import Array, Clamp, DType, Graph, Node, OpParams, QParams, Shape, State, Tensor
from edgecomp.ir.weights import LINEAR
from edgecomp.ops import OPS
from edgecomp.ops.advice import advice
from edgecomp.ops.base import ImportedNode
from edgecomp.ops.conv2d import Conv2dParams
from edgecomp.ops.movement import ReshapeParams, TransposeParams

_MOVING = frozenset(
    {"Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose"}
    | {"RESHAPE", "SQUEEZE", "EXPAND_DIMS", "TRANSPOSE"}
)
"""Layers of the file that are a movement themselves, so that it bears their name."""


@dataclass(frozen=True)
class Constant:
    """A constant of the file: its elements, and its qparams where a DequantizeLinear made it.

    Attributes:
        data: elements as the file has them (any dtype), or dequantized float32.
        qparams: symmetric where possible; `axis` is the file's own axis.
        is_exact: float64 elements stay such: they are the real values of int32 codes.
        is_refitted: where they are weights, codes that are too far from their zero point for
            symmetric int8 are rounded once more, to a coarser scale of their output channel.
    """

    data: Array
    qparams: QParams | None = None
    is_exact: bool = False
    is_refitted: bool = False


class GraphBuilder:
    """The `Builder` of `edgecomp.ops.base`, over constants and nodes that it collects.

    Every name it hands out stands for one tensor of the graph.  Names of the file are looked up
    by the reader before an importer sees them.
    """

    def __init__(self, reserved: Sequence[str]) -> None:
        """Begin an empty graph; `reserved` are the tensor names of the file."""
        self._names = UniqueNames(reserved)
        self._unused = set(reserved)
        self._layers = UniqueNames()
        self._constants: dict[str, Constant] = {}
        self._tensors: dict[str, Tensor] = {}
        self._nodes: list[Node] = []
        self._producers: dict[str, int] = {}
        self._states: list[State] = []
        self.layer = ""

    # What the importers call.

    def shape(self, name: str) -> Shape:
        """Shape of a tensor, the batch of 1 included."""
        if name in self._constants:
            return tuple(int(n) for n in self._constants[name].data.shape)
        return self._tensors[name].shape

    def value(self, name: str) -> Array | None:
        """The elements of a constant, or None for an activation."""
        constant = self._constants.get(name)
        return None if constant is None else constant.data

    def constant(self, data: Array, hint: str, layout: str = "", like: str = "") -> str:
        """Add a constant; one that is `like` a quantized one keeps its scales.

        Raises:
            UserError: an element is NaN or infinite.
            UnsupportedError: scales of `like` do not run along the first axis of `data`.
        """
        name = self._names.take(hint)
        source = self._constants.get(like)
        qparams = source.qparams if source else None
        if source is not None and qparams is not None and source.is_refitted:
            centred = np.rint(np.asarray(data, np.float64) / qparams.scalar)
            qparams = refitted(np.array(qparams.scale), centred, 0)
        elif qparams is not None and qparams.axis is not None:
            qparams = self._rearranged(qparams, data)
        exact = source is not None and source.is_exact
        self.add_constant(name, Constant(np.asarray(data), qparams, exact))
        self._materialize(name, layout)
        return name

    def emit(
        self, op: str, inputs: Sequence[str], params: OpParams, node: ImportedNode, suffix: str = ""
    ) -> str:
        """Add a node; the first that a layer emits gets the file's own names."""
        for name in inputs:
            if name in self._constants:
                self._materialize(name)
        wanted = node.outputs[0] if node.outputs else node.name
        if not suffix and wanted in self._unused:
            self._unused.remove(wanted)
            output = wanted
        else:
            output = self._names.take(f"{wanted}{suffix or '.' + op}")
        label = node.name + suffix
        layer = self._layers.take(label if label not in self._layers else f"{node.name}.{op}")
        made = Node(layer, op, tuple(inputs), output, params)
        tensors = [self._tensors[name] for name in inputs]
        _check_fit(op, params, tensors, node)
        operator = OPS[op]
        same = operator.same_qparams and len({tensor.qparams for tensor in tensors}) == 1
        qparams = tensors[0].qparams if same else None
        shape = operator.infer(params, tensors)
        check_size(output, shape)
        self._tensors[output] = Tensor(output, shape, qparams=qparams)
        self._producers[output] = len(self._nodes)
        self._nodes.append(made)
        return output

    def transpose(self, name: str, perm: Sequence[int], node: ImportedNode) -> str:
        """Add a transpose of an activation (or fold it into a constant)."""
        axes = tuple(int(axis) for axis in perm)
        if axes == tuple(range(len(axes))):
            return name
        constant = self._constants.get(name)
        if constant is None:
            suffix = "" if node.op_type in _MOVING else ".transpose"
            return self.emit("transpose", [name], TransposeParams(axes), node, suffix)
        qparams = constant.qparams
        if qparams is not None and qparams.axis is not None:
            qparams = replace(qparams, axis=axes.index(qparams.axis))
        moved = self._names.take(f"{name}.transposed")
        return self.add_constant(
            moved, replace(constant, data=constant.data.transpose(axes), qparams=qparams)
        )

    def reshape(self, name: str, shape: Shape, node: ImportedNode) -> str:
        """Add a reshape of an activation (or fold it into a constant)."""
        if tuple(shape) == self.shape(name):
            return name
        constant = self._constants.get(name)
        if constant is None:
            suffix = "" if node.op_type in _MOVING else ".reshape"
            return self.emit("reshape", [name], ReshapeParams(tuple(shape)), node, suffix)
        qparams = constant.qparams
        if qparams is not None and qparams.axis is not None:
            length = len(qparams.scale)
            axes = [axis for axis, n in enumerate(shape) if n == length]
            if not axes:
                raise self.unsupported(node, "a constant quantized per channel is reshaped")
            qparams = replace(qparams, axis=axes[0])
        moved = self._names.take(f"{name}.reshaped")
        return self.add_constant(
            moved, replace(constant, data=constant.data.reshape(shape), qparams=qparams)
        )

    def producer(self, name: str) -> Node | None:
        """The node that computes a tensor."""
        index = self._producers.get(name)
        return None if index is None else self._nodes[index]

    def root(self, name: str) -> str:
        """The tensor whose elements a tensor has under another shape."""
        while name in self._producers and self._nodes[self._producers[name]].op == "reshape":
            name = self._nodes[self._producers[name]].inputs[0]
        return name

    def maker(self, name: str) -> str:
        """The operator that makes a tensor's elements; empty for an input."""
        index = self._producers.get(self.root(name))
        return "" if index is None else self._nodes[index].op

    def add_state(self, name: str, shape: Shape, qparams: QParams) -> str:
        """Add a tensor that has what the run before kept."""
        check_size(name, shape)
        taken = name if name in self._unused else self._names.take(name)
        self._unused.discard(taken)
        self._tensors[taken] = Tensor(taken, shape, qparams=qparams)
        return taken

    def keep(self, source: str, update: str, codes: tuple[int, ...]) -> None:
        """Let the next run find `update` in `source`, and the first one `codes`."""
        self._states.append(State(source, update, codes))

    def unsupported(
        self, node: ImportedNode, limit: str, suggestion: str = "", attribute: str = ""
    ) -> UnsupportedError:
        """Build the error for a node that cannot be imported."""
        return UnsupportedError(
            node.op_type, node.name, limit, suggestion or advice(limit), attribute
        )

    # What the reader calls.

    def add_input(self, name: str, shape: Shape) -> str:
        """Add a graph input."""
        check_size(name, shape)
        self._unused.discard(name)
        self._tensors[name] = Tensor(name, shape)
        return name

    def reserve(self, name: str) -> str:
        """Make a name for a tensor that the file gave another one."""
        taken = self._names.take(name)
        self._unused.add(taken)
        return taken

    def add_constant(self, name: str, constant: Constant) -> str:
        """Add a constant; it joins the graph only when a node reads it."""
        self._constants[name] = constant
        return name

    def find_constant(self, name: str) -> Constant | None:
        """A constant, or None for an activation."""
        return self._constants.get(name)

    def qparams(self, name: str) -> QParams | None:
        """Quantization parameters of an activation, where the file gave it any."""
        return self._tensors[name].qparams

    def annotate(self, name: str, qparams: QParams) -> None:
        """Give an activation its quantization parameters, and those it is merely moved from."""
        self._tensors[name] = replace(self._tensors[name], qparams=qparams)
        index = self._producers.get(name)
        if index is None:
            return
        node = self._nodes[index]
        if not OPS[node.op].same_qparams:
            self._saturate(index, qparams)
            return
        for source in node.inputs:
            if self._tensors[source].qparams is None:
                self.annotate(source, qparams)

    def build(
        self,
        name: str,
        inputs: Sequence[str],
        outputs: Sequence[str],
        io_names: Mapping[str, str],
        constant_outputs: Mapping[str, Array] = MappingProxyType({}),
    ) -> Graph:
        """Return the graph of what was collected."""
        ends, states = (tuple(inputs), tuple(outputs)), tuple(self._states)
        fixed = dict(constant_outputs)
        graph = Graph(name, *ends, (), {}, {}, dict(io_names), states, fixed)
        check_network(self._nodes, self._tensors)
        return graph.with_nodes(self._nodes, self._tensors)

    def _saturate(self, index: int, qparams: QParams) -> None:
        """Say in the float graph that codes end: files leave ReLU out where saturation does it."""
        params: Any = self._nodes[index].params
        clamp = getattr(params, "clamp", None)
        if isinstance(clamp, Clamp):
            low, high = (float(v) for v in qparams.dequantize(np.array(qparams.limits)))
            saturated = replace(params, clamp=clamp.intersect(Clamp(low, high)))
            self._nodes[index] = replace(self._nodes[index], params=saturated)

    def _materialize(self, name: str, layout: str = "") -> None:
        """Make a constant a tensor of the graph."""
        if name in self._tensors:
            return
        constant = self._constants[name]
        exact = constant.data.dtype == np.float64 and constant.is_exact
        data = np.ascontiguousarray(constant.data, dtype=np.float64 if exact else np.float32)
        if not np.abs(data).max(initial=0.0) <= LARGEST_NUMBER:
            finite = np.isfinite(data).all()
            kind = "huge" if finite else "NaN" if np.isnan(data).any() else "infinite"
            raise UserError(
                f"layer {self.layer!r}: the constant {name!r} has {kind} elements\n"
                "  the training probably diverged; export a healthy checkpoint"
            )
        shape = tuple(int(n) for n in data.shape)
        dtype = DType.FLOAT64 if exact else DType.FLOAT32
        self._tensors[name] = Tensor(name, shape, dtype, constant.qparams, data, layout)

    def _rearranged(self, qparams: QParams, data: Array) -> QParams:
        """Find the channel axis of rearranged weights: the first, if the scales fit it.

        Weights may stand there several times over, as those of a transposed convolution do.
        """
        times, rest = divmod(data.shape[0], len(qparams.scale))
        moved = replace(qparams, axis=0, scale=qparams.scale * times)
        if times and not rest:
            codes = np.asarray(data, np.float64) / moved.scales(data.ndim)
            away = np.abs(codes - np.rint(codes)).reshape(len(codes), -1).max(axis=1, initial=0.0)
            # Scales that were refitted do not divide the elements, but end at code 127.
            ends = np.abs(codes).reshape(len(codes), -1).max(axis=1, initial=0.0) - 127
            if (np.minimum(away, np.abs(ends)) < 1e-2).all():
                return moved
        raise UnsupportedError(
            "DequantizeLinear",
            self.layer,
            "weights must be quantized per tensor or per output channel",
            "quantize along the axis of the output channels",
            "axis",
        )


def _check_fit(op: str, params: OpParams, tensors: Sequence[Tensor], node: ImportedNode) -> None:
    """Refuse weights that do not fit what they are applied to.

    The shape inference of ONNX does not see it where shapes are symbolic or channels grouped.

    Raises:
        UserError: naming the layer.
    """
    if op not in LINEAR:
        return
    has, weights = tensors[0].shape[-1], tensors[1].shape
    groups = params.groups if isinstance(params, Conv2dParams) else 1
    wants = weights[-1] * groups
    if has != wants or weights[0] % groups:
        raise UserError(
            f"layer {node.name!r} ({node.op_type}): its weights are for {wants} inputs in {groups} "
            f"group(s) with {weights[0]} outputs, but it is given {has} inputs\n"
            "  the file was probably edited, or the input shape is wrong"
        )
