"""Reads ONNX into a float graph.

The only module, with its helpers beside it, that knows ONNX's graph structure; what each operator
means is asked of `edgecomp.ops`.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import onnx

from edgecomp.errors import EdgecompError, InternalError, UnsupportedError, UserError
from edgecomp.frontend import onnx_fold, qdq, qdq_inputs
from edgecomp.frontend.finite import refuse_infinite
from edgecomp.frontend.masks import masking_nodes, with_finite_masks
from edgecomp.frontend.names import c_identifier, qualified
from edgecomp.frontend.onnx_branches import CHOICE, branch_taken, with_types
from edgecomp.frontend.onnx_builder import Constant, GraphBuilder
from edgecomp.frontend.onnx_casts import FLOAT_TYPES, ElementTypes, type_name
from edgecomp.frontend.onnx_dropout import undropped
from edgecomp.frontend.onnx_file import (
    InputShapes,
    elements,
    input_shape,
    layer_names,
    load_model,
    opset_version,
    refuse_inconsistent,
    refuse_unknown,
    unknown_operator,
)
from edgecomp.frontend.onnx_functions import expand_functions
from edgecomp.frontend.onnx_sequences import Sequences
from edgecomp.frontend.rewrites import rewrite
from edgecomp.frontend.whole_numbers import MOVEMENTS, WHOLE_TYPES, WholeNumbers
from edgecomp.ir import Array, Graph
from edgecomp.ops import ONNX_IMPORTERS
from edgecomp.ops.base import ImportedNode
from edgecomp.ops.expression import X
from edgecomp.ops.unary import UnaryParams

_DROPPED = frozenset({"Identity", "Dropout"})
_MICROSOFT = "com.microsoft."
_KNOWN = (
    frozenset(ONNX_IMPORTERS)
    | _DROPPED
    | {"Cast", "CastLike", "SplitToSequence", "SequenceAt", CHOICE}
    | {qdq.QUANTIZE, qdq.DEQUANTIZE}
    | {_MICROSOFT + op for op in (qdq.QUANTIZE, qdq.DEQUANTIZE)}
)


def read_onnx(path: Path, *, input_shapes: InputShapes | None = None) -> Graph:
    """Read an ONNX file.

    Args:
        path: the file.
        input_shapes: shapes of inputs that the file leaves open, by name.

    Returns:
        A float graph in the file's own layout, transposes around every spatial layer (the layout
        pass removes them); its tensors have qparams where the file is quantized.

    Raises:
        UserError: the file cannot be read, or its numbers or shapes are unusable.
        UnsupportedError: layers that cannot be compiled, all of them in one message.
    """
    model = load_model(path)
    return convert(model, c_identifier(path.stem), input_shapes or {})


def convert(model: onnx.ModelProto, name: str, input_shapes: InputShapes) -> Graph:
    """Turn a checked model into a graph called `name`; see `read_onnx`."""
    return OnnxConversion(model).run(name, input_shapes)


class OnnxConversion:
    """One file on its way into a graph."""

    def __init__(self, model: onnx.ModelProto) -> None:
        """Look at the names and find what is constant."""
        expansion = expand_functions(model, _KNOWN)
        model = with_types(expansion.model)
        self._model = model
        self._graph = model.graph
        self._opset = opset_version(model)
        self._initializers = {t.name: t for t in self._graph.initializer}
        values = [o for node in self._graph.node for o in node.output if o]
        inputs = [value.name for value in self._graph.input]
        self._build = GraphBuilder([*inputs, *self._initializers, *values])
        self._foldable = onnx_fold.foldable_nodes(self._graph.node, self._initializers)
        self._alias: dict[str, str] = {}
        self._codes: set[str] = set()
        self._whole = WholeNumbers(self._build)
        self._sequences = Sequences(self._build)
        self._types = ElementTypes(model, self._build)
        self._io_names: dict[str, str] = {}
        self._layers = layer_names(self._graph.node)
        self._origins = {self._layers[i]: origin for i, origin in expansion.origins.items()}
        masking = masking_nodes(self._graph.node, [value.name for value in self._graph.output])
        self._masking = {self._layers[index] for index in masking}
        self._read = {n for node in self._graph.node for n in onnx_fold.names_read(node)}
        self._read |= {value.name for value in self._graph.output}

    def run(self, name: str, input_shapes: InputShapes) -> Graph:
        """Convert inputs, nodes and outputs, in this order."""
        self._refuse_unknown()
        self._refuse_inconsistent(name)
        inputs = self._inputs(input_shapes)
        for tensor in self._initializers.values():
            self._build.add_constant(tensor.name, Constant(elements(tensor)))
        for index, node in enumerate(self._graph.node):
            self._take(node, self._layers[index], is_constant=index in self._foldable)
        outputs, constants = self._outputs()
        return self._build.build(name, inputs, outputs, self._io_names, constants)

    def _take(self, node: onnx.NodeProto, layer: str, *, is_constant: bool) -> None:
        """Compute a layer that is a constant, import any other."""
        self._build.layer = layer
        if is_constant or self._became_constant(node):
            self._fold(node, layer)
        else:
            self._import(node, layer)

    def _became_constant(self, node: onnx.NodeProto) -> bool:
        """Whether layers before turned out to compute nothing but constants."""
        plain = [name for name in onnx_fold.names_read(node) if self._is_plain(name)]
        return bool(onnx_fold.foldable_nodes([node], plain))

    def _is_plain(self, name: str) -> bool:
        constant = self._build.find_constant(*self._resolve([name]))
        return constant is not None and constant.qparams is None and not constant.is_exact

    @property
    def imported(self) -> dict[int, str]:
        """Names of the layers that are not constants, by index."""
        return {i: layer for i, layer in enumerate(self._layers) if i not in self._foldable}

    def is_known(self, node: onnx.NodeProto) -> bool:
        """Whether the operator can be imported at all."""
        return qualified(node) in _KNOWN

    def _refuse_unknown(self) -> None:
        refuse_unknown(self._graph.node, self.imported, _KNOWN)

    def _refuse_inconsistent(self, name: str) -> None:
        refuse_inconsistent(self._model, name)

    def _inputs(self, input_shapes: InputShapes) -> list[str]:
        values = [v for v in self._graph.input if v.name not in self._initializers]
        unknown = set(input_shapes) - {v.name for v in values} - {""}
        if unknown or ("" in input_shapes and len(values) != 1):
            names = ", ".join(repr(v.name) for v in values)
            raise UserError(f"input shapes must name the model's inputs, which are {names}")
        for value in values:
            shape, kind = input_shape(value, input_shapes, only=len(values) == 1)
            if kind in qdq_inputs.CODE_TYPES:
                self._codes.add(value.name)
            elif kind in WHOLE_TYPES or kind in qdq_inputs.TINY_FLOATS:
                self._whole.add(value.name)
            elif kind not in FLOAT_TYPES:
                raise UnsupportedError(
                    "input",
                    value.name,
                    f"elements of type {type_name(kind)}; only float, integer codes that are "
                    "dequantized, and indices of a table are supported",
                    "give the network float inputs",
                )
            self._io_names[self._build.add_input(value.name, shape)] = value.name
        return [value.name for value in values]

    def _outputs(self) -> tuple[list[str], dict[str, Array]]:
        """Tensors of the outputs that are computed, and values of those that are not."""
        outputs: list[str] = []
        constants: dict[str, Array] = {}
        for value in self._graph.output:
            name = self._alias.get(value.name, value.name)
            constant = self._build.value(name)
            if constant is not None:
                constants[value.name] = constant
                continue
            if name in self._io_names:
                node = ImportedNode("Identity", f"{value.name}.copy", (name,), (value.name,))
                qparams = self._build.qparams(name)
                name = self._build.emit("unary", [name], UnaryParams(X), node)
                if qparams is not None:
                    self._build.annotate(name, qparams)
            outputs.append(name)
            self._io_names[name] = value.name
        return outputs, constants

    def _resolve(self, names: list[str]) -> tuple[str, ...]:
        return tuple(self._alias.get(name, name) for name in names)

    def _fold(self, node: onnx.NodeProto, layer: str) -> None:
        inputs = self._resolve(onnx_fold.names_read(node))
        if node.op_type in onnx_fold.SHAPE_OPS:
            attrs = onnx_fold.attributes(node)
            results = [onnx_fold.shape_constant(node, attrs, self._build.shape(inputs[0]))]
        elif node.op_type == "CastLike" and self._computed(node.input[1]):
            (kind,) = self._types.of(node.input[1:2])
            real = kind in FLOAT_TYPES
            dtype = np.float32 if real else onnx.helper.tensor_dtype_to_np_dtype(kind)
            results = [self._constant(inputs[0]).astype(dtype)]
        else:
            copy = onnx.NodeProto()
            copy.CopyFrom(node)
            copy.name = layer
            results = onnx_fold.fold(copy, [self._constant(name) for name in inputs], self._opset)
        for name, result in zip([name for name in node.output if name], results, strict=False):
            self._build.add_constant(name, Constant(result))

    def _computed(self, name: str) -> bool:
        return self._build.value(*self._resolve([name])) is None

    def _constant(self, name: str) -> Array:
        value = self._build.value(name)
        assert value is not None, name
        return value

    def _import(self, proto: onnx.NodeProto, layer: str) -> None:
        try:
            self._import_layer(proto, layer)
        except UnsupportedError as error:
            if layer not in self._origins:
                raise
            raise self._origins[layer].refusal(error) from error

    def _choose(self, node: onnx.NodeProto, layer: str) -> None:
        """Import the branch that a constant condition chooses."""
        condition = self._build.value(*self._resolve(node.input[:1]))
        if condition is None:
            raise UnsupportedError(CHOICE, layer, "its condition is computed", rewrite(CHOICE))
        branch = branch_taken(node, layer, holds=bool(condition.all()), reserve=self._build.reserve)
        self._types.add(branch.types)
        self._read.update(branch.names_read)
        for tensor in branch.constants:
            self._build.add_constant(tensor.name, Constant(elements(tensor)))
        for inner in branch.nodes:
            if not self.is_known(inner) and not self._became_constant(inner):
                raise unknown_operator(inner, inner.name)
            self._take(inner, inner.name, is_constant=False)
        for name, result in zip(node.output, branch.results, strict=True):
            self._alias[name] = self._alias.get(result, result)
            for group in (self._codes, self._whole):
                if result in group:
                    group.add(name)

    def _import_layer(self, proto: onnx.NodeProto, layer: str) -> None:
        if proto.op_type == CHOICE:
            self._choose(proto, layer)
            return
        node = ImportedNode(
            proto.op_type,
            layer,
            self._resolve(list(proto.input)),
            # Further outputs that nobody reads are those of a layer that leaves them out.
            tuple(o if i == 0 or o in self._read else "" for i, o in enumerate(proto.output)),
            onnx_fold.attributes(proto),
            self._opset,
        )
        if layer in self._masking:
            node = with_finite_masks(node, self._build)
        refuse_infinite(node, self._build)
        self._whole.follow(node, proto, self._codes)
        self._check_codes(node, proto)
        result: str | list[str]
        importers: dict[str, Callable[[ImportedNode], str | list[str]]] = {
            qdq.QUANTIZE: self._quantize,
            qdq.DEQUANTIZE: partial(self._dequantize, proto),
            "Cast": partial(self._types.cast, proto),
            "CastLike": partial(self._types.cast, proto),
            "Div": partial(self._types.divide, proto),
            "Dropout": partial(undropped, build=self._build),
            "SplitToSequence": self._sequences.split,
            "SequenceAt": self._sequences.at,
        }
        try:
            if node.op_type in importers:
                result = importers[node.op_type](node)
            elif node.op_type in _DROPPED:
                result = node.inputs[0]
            else:
                result = ONNX_IMPORTERS[node.op_type](node, self._build)
        except EdgecompError:
            raise
        except (ValueError, KeyError, IndexError, TypeError, ArithmeticError, MemoryError) as error:
            raise UserError(
                f"layer {layer!r} ({node.op_type}): its attributes, constants and inputs do not "
                f"fit together: {error!r}\n"
                "  the file was probably edited or damaged; export the model again"
            ) from error
        except Exception as error:
            raise InternalError(
                f"layer {layer!r} ({node.op_type}) cannot be imported: {error!r}"
            ) from error
        results = [result] if isinstance(result, str) else result
        for name in proto.output[len(results) :]:
            if name and name in self._read:
                raise self._build.unsupported(node, f"its further output {name!r} is used")
        named = zip(node.outputs, results, strict=False)
        # The empty name is that of every absent output, and of every absent input.
        self._alias.update((name, result) for name, result in named if name)

    def _check_codes(self, node: ImportedNode, proto: onnx.NodeProto) -> None:
        """Refuse arithmetic on integers, which only a DequantizeLinear may read."""
        codes = {name for name in self._codes.intersection(proto.input) if name not in self._whole}
        if node.op_type == qdq.DEQUANTIZE or not codes:
            return
        if node.op_type == "Gather" and proto.input[0] not in codes:
            return
        if node.op_type not in MOVEMENTS:
            (name, *_) = codes
            raise self._build.unsupported(
                node,
                f"its input {name!r} is integer",
                "use the QDQ form: DequantizeLinear before, QuantizeLinear after each layer",
            )
        self._codes.update(proto.output)

    def _quantize(self, node: ImportedNode) -> str:
        self._codes.add(node.outputs[0])
        qparams = qdq.activation_qparams(node, self._build)
        return qdq.rescaled(self._build, node.inputs[0], qparams, node)

    def _dequantize(self, proto: onnx.NodeProto, node: ImportedNode) -> str:
        codes = self._build.value(node.inputs[0])
        if codes is not None:
            constant = qdq.dequantized_constant(node, self._build, codes)
            return self._build.add_constant(node.outputs[0], constant)
        source, (kind, *_) = proto.input[0], self._types.of(proto.input)
        if kind in qdq_inputs.TINY_FLOATS:
            return qdq_inputs.looked_up(node, self._build, kind)
        are_codes = source in self._codes and source not in self._whole
        return qdq_inputs.dequantized(node, self._build, kind, are_codes=are_codes)
