"""What the emitters of TFLite's operators share: tensors of the graph, padding, activations."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from edgecomp.errors import UnsupportedError
from edgecomp.export.tflite_file import TfliteWriter
from edgecomp.ir import Array, Clamp, Graph, Node, QParams, Shape, Tensor
from edgecomp.ops.spatial import Window

SAME, VALID = 0, 1
_CODES = frozenset({"int8", "int16"})
_ACTIVATIONS: Mapping[int, tuple[float, float]] = {
    0: (-math.inf, math.inf),
    1: (0.0, math.inf),
    3: (0.0, 6.0),
    2: (-1.0, 1.0),
}
"""What each fused activation clamps to; RELU6 is looked for before RELU_N1_TO_1."""


@dataclass
class TfliteBuilder:
    """A TFLite graph in the making.

    Attributes:
        graph: the quantized graph that is exported.
        file: what is written so far.
        outer: names of inputs and outputs, by tensor name.
    """

    graph: Graph
    file: TfliteWriter = field(default_factory=TfliteWriter)
    outer: Mapping[str, str] = field(default_factory=dict)
    _forms: dict[str, dict[Shape, int]] = field(default_factory=dict)
    _dtypes: dict[str, str] = field(default_factory=dict)
    _roots: dict[str, str] = field(default_factory=dict)
    _labels: dict[tuple[str, Shape], str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Find what is only a reshaped tensor, and keep the names that others know."""
        names = (*self.graph.inputs, *self.graph.outputs)
        self.outer = {name: self.graph.io_names.get(name, name) for name in names}
        self.file.reserve(*self.outer.values())
        for node in self.graph.nodes:
            if node.op == "reshape":
                self._roots[node.output] = self._root(node.inputs[0])
        for name, outer in self.outer.items():
            self._labels.setdefault((self._root(name), self.outer_shape(name)), outer)

    def _root(self, name: str) -> str:
        """The tensor that a tensor has its elements from, in the same order."""
        return self._roots.get(name, name)

    def activation(self, name: str, shape: Shape | None = None, dtype: str = "") -> int:
        """Add the tensor that holds an activation, under `shape` if not its own."""
        tensor, root = self.graph.tensors[name], self._root(name)
        shape = tensor.shape if shape is None else shape
        dtype = self._dtypes.setdefault(root, dtype or tensor.dtype.value)
        outer = self._labels.get((root, shape))
        q = tensor.qparams if dtype in _CODES else None
        index = self.file.tensor(outer or name, shape, dtype, q, is_reserved=outer is not None)
        self._forms.setdefault(root, {})[shape] = index
        return index

    def output(self, name: str) -> int:
        """Index of an output under the name that others know; a copy where two are the same."""
        index, outer = self.take(name, self.outer_shape(name)), self.outer[name]
        if self.file.name_of(index) == outer:
            return index
        dtype = self._dtypes[self._root(name)]
        q = self.graph.tensors[name].qparams if dtype in _CODES else None
        shape = self.file.shape_of(index)
        return self.reshaped(index, self.file.tensor(outer, shape, dtype, q, is_reserved=True))

    def outer_shape(self, name: str) -> Shape:
        """The shape that an input or output has for others: images lie channels last."""
        shape = self.graph.tensors[name].shape
        view = self.graph.views.get(name)
        is_plain = view is not None and view.perm == tuple(range(len(shape)))
        return view.shape if view is not None and is_plain else shape

    def take(self, name: str, shape: Shape | None = None) -> int:
        """Index of an activation or of an operand that is a constant, reshaped if need be."""
        tensor = self.graph.tensors[name]
        shape = tensor.shape if shape is None else shape
        forms = self._forms.setdefault(self._root(name), {})
        if shape not in forms and tensor.is_const:
            forms[shape] = self.codes(tensor, name, tensor.value.reshape(shape))
        elif shape not in forms:
            source = next(iter(forms.values()))
            self.reshaped(source, self.activation(name, shape))
        return forms[shape]

    def beside(self, name: str, output: str) -> tuple[int, int]:
        """An activation in whatever shape it is there, and an output of the same shape."""
        source = next(iter(self._forms[self._root(name)].values()))
        return source, self.activation(output, self.file.shape_of(source))

    def is_free(self, name: str) -> bool:
        """Whether an activation needs no tensor of its own for others to read."""
        return name not in self.outer

    def alias(self, name: str, source: str) -> None:
        """Let an activation be another one, whose codes it has."""
        self._roots = {n: self._root(source) if r == name else r for n, r in self._roots.items()}
        self._roots[name] = self._root(source)

    def reshaped(self, source: int, target: int) -> int:
        """Add a RESHAPE from one tensor to another."""
        shape = np.array(self.file.shape_of(target), np.int32)
        name = f"{self.file.name_of(target)}.shape"
        inputs = [source, self.file.constant(name, shape)]
        return self.file.operator("RESHAPE", inputs, target, "ReshapeOptions")

    def inner(self, like: int, suffix: str, shape: Shape, qparams: QParams | None) -> int:
        """Add a tensor that the graph does not have, named after the one that it leads to."""
        dtype = "int16" if qparams is not None and qparams.is_wide else "int8"
        return self.file.tensor(f"{self.file.name_of(like)}{suffix}", shape, dtype, qparams)

    def codes(self, tensor: Tensor, name: str, data: Array, axis: int = 0) -> int:
        """Add a constant of codes, with scales along `axis` where they are per channel."""
        return self.file.tensor(name, data.shape, str(data.dtype), tensor.qparams, data, axis=axis)

    def code(self, output: int, suffix: str, code: int, qparams: QParams) -> int:
        """Add a constant of one code."""
        data = np.array([code], np.int16 if qparams.is_wide else np.int8)
        name = f"{self.file.name_of(output)}{suffix}"
        return self.file.tensor(name, data.shape, str(data.dtype), qparams, data)

    def numbers(self, output: int, suffix: str, values: Any) -> int:
        """Add a constant of int32."""
        data = np.asarray(values, np.int32)
        return self.file.constant(f"{self.file.name_of(output)}{suffix}", data)

    def qparams(self, name: str) -> QParams:
        """Parameters of an activation."""
        found = self.graph.tensors[name].qparams
        assert found is not None
        return found

    def fused(
        self, op: str, inputs: Sequence[int], out: int, kind: str, clamp: Clamp, **options: Any
    ) -> int:
        """Add an operator that may have an activation; other bounds become layers behind it."""
        q = self.file.qparams_of(out)
        number = fused_activation(clamp.codes(q), q)
        if number is None:
            options["FusedActivationFunction"] = fused_activation(q.limits, q)
            return self.bounded(op, inputs, out, kind, clamp, **options)
        options["FusedActivationFunction"] = number
        return self.file.operator(op, inputs, out, kind, **options)

    def bounded(
        self, op: str, inputs: Sequence[int], out: int, kind: str, clamp: Clamp, **options: Any
    ) -> int:
        """Add an operator without activation, and behind it what bounds its codes."""
        q = self.file.qparams_of(out)
        bounds = clamp.codes(q)
        if bounds == q.limits:
            return self.file.operator(op, inputs, out, kind, **options)
        free = self.inner(out, ".free", self.file.shape_of(out), q)
        self.file.operator(op, inputs, free, kind, **options)
        return self.limited(free, out, bounds, q)

    def limited(self, x: int, out: int, bounds: tuple[int, int], q: QParams) -> int:
        """Add what keeps the codes of `x` within bounds: a maximum, a minimum or both."""
        (low, high), (lowest, highest) = bounds, q.limits
        if low > lowest and high < highest:
            least = self.inner(out, ".least", self.file.shape_of(out), q)
            x = self.limited(x, least, (low, highest), q)
        op, code = ("MINIMUM", high) if high < highest else ("MAXIMUM", low)
        limit = self.code(out, ".limit", code, q)
        return self.file.operator(op, [x, limit], out, "MaximumMinimumOptions")

    def requantized(self, x: int, out: int) -> int:
        """Add a QUANTIZE from one scale to another."""
        return self.file.operator("QUANTIZE", [x], out, "QuantizeOptions")

    def padded(
        self, x: int, out: int, before: Sequence[int], after: Sequence[int], code: int, q: QParams
    ) -> int:
        """Add a border of one code."""
        widths = self.numbers(out, ".widths", list(zip(before, after, strict=True)))
        if code == q.zero_point:
            return self.file.operator("PAD", [x, widths], out, "PadOptions")
        border = self.code(out, ".border", code, q)
        return self.file.operator("PADV2", [x, widths, border], out, "PadV2Options")

    def refusal(self, node: Node, limit: str, suggestion: str = "") -> UnsupportedError:
        """The error for a layer that TFLite has not."""
        return UnsupportedError(node.op, node.name, f"TFLite export: {limit}", suggestion)


def fused_activation(bounds: tuple[int, int], q: QParams) -> int | None:
    """The fused activation that clamps to these codes, or None.

    Where codes of an output end at 0 anyway it is RELU: that says more than none.
    Source: TensorFlow Lite `kernels/kernel_util.cc`, `CalculateActivationRangeQuantized`.
    """
    for number in (1, 3, 2, 0):
        codes = []
        for real, end in zip(_ACTIVATIONS[number], q.limits, strict=True):
            if math.isinf(real):
                codes.append(end)
                continue
            scaled = float(np.float32(real) / np.float32(q.scalar))
            away = math.floor(abs(scaled) + 0.5) * (1 if scaled >= 0 else -1)
            codes.append(min(max(q.zero_point + away, q.limits[0]), q.limits[1]))
        if tuple(codes) == bounds:
            return number
    return None


def tflite_padding(window: Window, height: int, width: int) -> int | None:
    """How TFLite calls the padding of a window over an input: SAME, VALID, or None for another."""
    if not window.has_padding:
        return VALID
    axes = (
        (height, window.kernel_h, window.stride_h, window.dilation_h),
        (width, window.kernel_w, window.stride_w, window.dilation_w),
    )
    pads = ((window.pad_top, window.pad_bottom), (window.pad_left, window.pad_right))
    for (size, kernel, stride, dilation), given in zip(axes, pads, strict=True):
        span = dilation * (kernel - 1) + 1
        total = max(0, (-(-size // stride) - 1) * stride + span - size)
        if given != (total // 2, total - total // 2):
            return None
    return SAME
