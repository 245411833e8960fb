"""Casts between ONNX's element types, on activations that are real numbers whatever the file says.

A truth value is 0 or 1, an integer a real number without fraction.  Source of the semantics: ONNX
Cast, CastLike, Div.
"""

from collections.abc import Iterable, Mapping
from functools import cached_property

import numpy as np
import onnx

from edgecomp.errors import UnsupportedError
from edgecomp.frontend.onnx_builder import GraphBuilder
from edgecomp.ops import OPS
from edgecomp.ops.argmax import ArgMaxParams
from edgecomp.ops.base import ImportedNode
from edgecomp.ops.div import ONNX as DIV
from edgecomp.ops.expression import Expr, X, call
from edgecomp.ops.unary import UnaryParams

_TYPES = onnx.TensorProto
FLOAT_TYPES = frozenset({_TYPES.FLOAT, _TYPES.FLOAT16, _TYPES.BFLOAT16, _TYPES.DOUBLE})
INTEGER_TYPES: Mapping[int, np.iinfo] = {
    kind: np.iinfo(onnx.helper.tensor_dtype_to_np_dtype(kind))
    for kind in (
        *(_TYPES.INT8, _TYPES.INT16, _TYPES.INT32, _TYPES.INT64),
        *(_TYPES.UINT8, _TYPES.UINT16, _TYPES.UINT32, _TYPES.UINT64),
    )
}
NARROW_BITS = 16
"""Types up to here wrap around within what activations reach; wider ones hold all of it."""
TRUNCATED = call("mul", call("sign", X), call("floor", call("abs", X)))
"""Rounding towards zero."""
TRUTH = call("abs", call("sign", X))


def type_name(kind: int) -> str:
    """The name of an element type, which a damaged file may not have."""
    return str(_TYPES.DataType.Name(kind)) if kind in _TYPES.DataType.values() else f"{kind}"


class ElementTypes:
    """Element types of a file's tensors, and what depends on them."""

    def __init__(self, model: onnx.ModelProto, build: GraphBuilder) -> None:
        """Find types when they are first asked for."""
        self._model, self._build = model, build
        self._added: dict[str, int] = {}

    def add(self, types: Mapping[str, int]) -> None:
        """Add what a branch has."""
        self._added.update(types)

    def of(self, names: Iterable[str]) -> list[int]:
        """Types as ONNX numbers them; what is unknown is float."""
        return [self._added.get(n, self._found.get(n, _TYPES.FLOAT)) for n in names]

    def cast(self, proto: onnx.NodeProto, node: ImportedNode) -> str:
        """Turn elements into those of another type: the one named, or that of a second input."""
        source, *like = self.of(proto.input)
        target = int(node.attrs["to"]) if "to" in node.attrs else like[0]
        return cast(node, self._build, source, target)

    def divide(self, proto: onnx.NodeProto, node: ImportedNode) -> str | list[str]:
        """Divide real numbers, or integers, which is not the same."""
        if all(kind in INTEGER_TYPES for kind in self.of(proto.input)):
            return divided(node, self._build)
        return DIV["Div"](node, self._build)

    @cached_property
    def _found(self) -> dict[str, int]:
        try:
            graph = onnx.shape_inference.infer_shapes(self._model).graph
        except (onnx.shape_inference.InferenceError, ValueError, RuntimeError):
            graph = self._model.graph
        found = {tensor.name: int(tensor.data_type) for tensor in graph.initializer}
        for value in (*graph.input, *graph.value_info, *graph.output):
            if value.type.HasField("tensor_type"):
                found[value.name] = int(value.type.tensor_type.elem_type)
        return found


def cast(node: ImportedNode, build: GraphBuilder, source: int, target: int) -> str:
    """Import a cast of the first input from one element type to another.

    Raises:
        UnsupportedError: no activation can be of the type.
    """
    x = node.inputs[0]
    if target in FLOAT_TYPES or source == target:
        return x
    if target == _TYPES.BOOL:
        return build.emit("unary", [x], UnaryParams(TRUTH), node)
    if target not in INTEGER_TYPES:
        raise _refusal(node, build, target)
    if source in FLOAT_TYPES:
        return build.emit("unary", [x], UnaryParams(_truncated(target)), node)
    if _fits(x, build, source, target):
        return x
    if INTEGER_TYPES[target].bits > NARROW_BITS:
        raise build.unsupported(
            node,
            "negative numbers could become huge ones of an unsigned type",
            "cast to INT32, or clip at 0 before the cast to integers",
            "to",
        )
    return build.emit("unary", [x], UnaryParams(_wrapped(target)), node)


def divided(node: ImportedNode, build: GraphBuilder) -> str:
    """Import a division of integers by a constant, which rounds towards zero."""
    divisor = build.value(node.inputs[1])
    if divisor is None or divisor.size != 1 or not divisor.all():
        raise build.unsupported(
            node, "integers are divided by one constant number only", "cast to float before"
        )
    quotient = call("div", X, float(divisor.reshape(())))
    expr = call("mul", call("sign", quotient), call("floor", call("abs", quotient)))
    return build.emit("unary", node.inputs[:1], UnaryParams(expr), node)


def _refusal(node: ImportedNode, build: GraphBuilder, target: int) -> UnsupportedError:
    name = type_name(target)
    return build.unsupported(
        node, f"activations cannot become {name}", "cast to float, INT32 or BOOL", "to"
    )


def _truncated(target: int) -> Expr:
    """Rounding towards zero; what a type cannot hold, which ONNX leaves open, becomes its end."""
    info = INTEGER_TYPES[target]
    if info.bits > NARROW_BITS:
        return TRUNCATED if info.min else call("relu", TRUNCATED)
    return call("clip", TRUNCATED, info.min, info.max)


def _wrapped(target: int) -> Expr:
    """The number modulo 2^bits that the type can hold."""
    info = INTEGER_TYPES[target]
    count, least = float(2**info.bits), float(info.min)
    whole = call("round", X)
    turns = call("floor", call("div", call("sub", whole, least), count))
    return call("sub", whole, call("mul", turns, count))


def _fits(x: str, build: GraphBuilder, source: int, target: int) -> bool:
    """Whether integers or truth values of one type are the same in another.

    No activation reaches the ends of 32 bits: of wider types only the sign matters.
    """
    if source not in INTEGER_TYPES:
        return True
    has, holds = INTEGER_TYPES[source], INTEGER_TYPES[target]
    if holds.bits > NARROW_BITS and (holds.min or not has.min):
        return True
    if holds.min <= has.min and has.max <= holds.max:
        return True
    producer = build.producer(x)
    while producer is not None and OPS[producer.op].same_qparams:
        producer = build.producer(producer.inputs[0])
    if producer is None or not isinstance(producer.params, ArgMaxParams):
        return False
    return build.shape(producer.inputs[0])[-1] - 1 <= holds.max
