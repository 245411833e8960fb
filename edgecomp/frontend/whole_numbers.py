"""Inputs of an ONNX file that are whole numbers: they choose rows of a table."""

from collections.abc import Collection

import onnx

from edgecomp.frontend.onnx_builder import GraphBuilder
from edgecomp.frontend.onnx_casts import FLOAT_TYPES
from edgecomp.frontend.qdq import DEQUANTIZE
from edgecomp.ops.base import ImportedNode

WHOLE_TYPES = frozenset(
    {onnx.TensorProto.INT64, onnx.TensorProto.INT32, onnx.TensorProto.INT16}
    | {onnx.TensorProto.UINT64, onnx.TensorProto.UINT32, onnx.TensorProto.UINT16}
)
MOVEMENTS = frozenset(
    {"Identity", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "MaxPool", "Concat"}
    | {"Slice", "Split", "Gather", "Tile", "Expand", "DepthToSpace", "SpaceToDepth"}
)
"""Operators that move codes and whole numbers alike."""


class WholeNumbers:
    """Names of the file's tensors that are whole numbers."""

    def __init__(self, build: GraphBuilder) -> None:
        """Begin with none."""
        self._build = build
        self._names: set[str] = set()

    def add(self, name: str) -> None:
        """Take an input for whole numbers."""
        self._names.add(name)

    def __contains__(self, name: str) -> bool:
        """Whether a tensor of the file is known to be whole numbers."""
        return name in self._names

    def follow(self, node: ImportedNode, proto: onnx.NodeProto, codes: Collection[str]) -> None:
        """Find out what a layer makes of whole numbers.

        Args:
            node: the layer.
            proto: the same, with the file's own names.
            codes: tensors of codes; those that are cast to integers are whole numbers, too.

        Raises:
            UnsupportedError: it computes with them.
        """
        is_cast = node.op_type == "Cast"
        to_real = is_cast and int(node.attrs["to"]) in FLOAT_TYPES
        to_real = to_real or node.op_type == DEQUANTIZE
        if is_cast and not to_real:
            self._refuse_scaled(node, proto, codes)
            self._names.update(name for name in proto.input if name in codes)
        whole = self._names.intersection(proto.input)
        if not whole or to_real:
            return
        if node.op_type == "OneHot" and not whole.intersection(proto.input[1:]):
            return
        if node.op_type not in MOVEMENTS | {"Cast"}:
            raise self._build.unsupported(
                node,
                f"its input {min(whole)!r} has whole numbers, which can be the indices of a "
                "Gather, or be cast to float",
                "give real numbers to the network as float",
            )
        if node.op_type != "Gather" or proto.input[0] in whole:
            self._names.update(proto.output)

    def _refuse_scaled(
        self, node: ImportedNode, proto: onnx.NodeProto, codes: Collection[str]
    ) -> None:
        """Refuse codes that have a scale already: here they stand for the real values."""
        for name, source in zip(proto.input, node.inputs, strict=True):
            if name in codes and name not in self._names and self._build.qparams(source):
                raise self._build.unsupported(
                    node,
                    f"its input {name!r} has codes of a scale, which are no whole numbers",
                    "use the QDQ form: DequantizeLinear before, QuantizeLinear after each layer",
                )
