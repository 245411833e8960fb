"""The intermediate representation: frozen values, rebuilt by passes, printable, verifiable."""

from edgecomp.ir.graph import Graph, State, View
from edgecomp.ir.types import (
    NO_CLAMP,
    Array,
    Clamp,
    DType,
    Node,
    OpParams,
    QParams,
    Shape,
    Tensor,
)

__all__ = [
    "NO_CLAMP",
    "Array",
    "Clamp",
    "DType",
    "Graph",
    "Node",
    "OpParams",
    "QParams",
    "Shape",
    "State",
    "Tensor",
    "View",
]
