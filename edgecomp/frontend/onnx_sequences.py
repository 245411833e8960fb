"""Sequences of tensors in ONNX: pieces of one tensor, of which constant places are read."""

from dataclasses import replace

from edgecomp.frontend.onnx_builder import GraphBuilder
from edgecomp.ops.base import ImportedNode
from edgecomp.ops.movement import constant_ints
from edgecomp.ops.slicing import axis_of, pieces


class Sequences:
    """The sequences of a file, by name."""

    def __init__(self, build: GraphBuilder) -> None:
        """Begin with none."""
        self._build = build
        self._pieces: dict[str, list[str]] = {}

    def split(self, node: ImportedNode) -> str:
        """SplitToSequence: cut a tensor along an axis."""
        shape = self._build.shape(node.inputs[0])
        axis = axis_of(node, self._build, int(node.attrs.get("axis", 0)), len(shape))
        given = constant_ints(node, self._build, "split", 1) or [1]
        value = self._build.value(node.inputs[1]) if node.has_input(1) else None
        sizes = given
        if value is None or value.ndim == 0:
            each = given[0]
            sizes = [min(each, shape[axis] - start) for start in range(0, shape[axis], each)]
        outputs = tuple(f"{node.outputs[0]}.{index}" for index in range(len(sizes)))
        keep = bool(node.attrs.get("keepdims", 1)) or node.has_input(1)
        parts = replace(node, outputs=outputs)
        self._pieces[node.outputs[0]] = pieces(parts, self._build, axis, sizes, keep=keep)
        return node.outputs[0]

    def at(self, node: ImportedNode) -> str:
        """SequenceAt: take one of the tensors that were cut off.

        Raises:
            UnsupportedError: which one is computed, or it is another sequence.
        """
        sequence = self._pieces.get(node.inputs[0])
        place = self._build.value(node.inputs[1])
        if sequence is None or place is None:
            raise self._build.unsupported(node, "only constant places of a split tensor are read")
        return sequence[int(place.reshape(()))]
