"""Constants that hide scores from a softmax: -inf, or numbers as good as that.

Attention adds them to its scores (a causal mask), or takes them instead (`masked_fill`).  They
become `HIDDEN_SCORE`, which a softmax in float32 cannot tell from -inf.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
import onnx

from edgecomp.frontend.onnx_builder import GraphBuilder
from edgecomp.frontend.onnx_fold import names_read
from edgecomp.ops.base import ImportedNode
from edgecomp.ops.softmax import HIDDEN_SCORE

MASKS = frozenset({"Add", "Where"})
_MOVES = frozenset(
    {"Identity", "Dropout", "Cast", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose"}
)
_ENDS = frozenset({"Softmax", "Shape"})


def masking_nodes(nodes: Sequence[onnx.NodeProto], outputs: Iterable[str]) -> frozenset[int]:
    """Return the indices of nodes that mask: what they give reaches nothing but softmaxes."""
    seen = set(outputs)
    found = set()
    # From the end: whatever is read by another node than these is seen.
    for index in reversed(range(len(nodes))):
        node = nodes[index]
        is_hidden = not seen.intersection(node.output)
        if node.op_type in MASKS and is_hidden:
            found.add(index)
        if node.op_type not in _ENDS and not (node.op_type in MASKS | _MOVES and is_hidden):
            seen.update(names_read(node))
    return frozenset(found)


def with_finite_masks(node: ImportedNode, build: GraphBuilder) -> ImportedNode:
    """Let a node that masks read finite constants; other readers keep those of the file."""
    return replace(node, inputs=tuple(_finite(name, build) for name in node.inputs))


def _finite(name: str, build: GraphBuilder) -> str:
    constant = build.find_constant(name)
    if constant is None or constant.data.dtype.kind != "f":
        return name
    if not (constant.data < HIDDEN_SCORE).any():
        return name
    hidden = np.maximum(constant.data, HIDDEN_SCORE)
    return build.constant(hidden, f"{name}.finite", like=name)
