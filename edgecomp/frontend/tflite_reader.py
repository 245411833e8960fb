"""Reads TFLite into a float graph; a file of integers keeps its scales and TFLite's arithmetic."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np

from edgecomp.errors import EdgecompError, InternalError, UnsupportedError, UserError
from edgecomp.frontend import qdq
from edgecomp.frontend.names import UniqueNames, c_identifier
from edgecomp.frontend.onnx_builder import Constant, GraphBuilder
from edgecomp.frontend.rewrites import rewrite, rewrites
from edgecomp.frontend.tflite_file import TfliteFile, TfliteOperator, TfliteTensor, load_tflite
from edgecomp.frontend.tflite_layers import TFLITE
from edgecomp.frontend.tflite_lstm import with_own_variables
from edgecomp.frontend.tflite_svdf import with_svdf_states
from edgecomp.frontend.tflite_variables import VARIABLE_OPERATORS, Variables
from edgecomp.ir import Graph, QParams
from edgecomp.ops.base import ImportedNode
from edgecomp.ops.expression import X
from edgecomp.ops.unary import UnaryParams

_QUANTIZE, _DEQUANTIZE = "QUANTIZE", "DEQUANTIZE"
_SAME = frozenset({_QUANTIZE, _DEQUANTIZE, "DENSIFY"})
"""Operators that change how numbers are stored, not the numbers."""
_FLOATS = frozenset({"float32", "float16"})
_CODES = frozenset({"int8", "uint8", "int16"})
_WHOLE = frozenset({"int32", "int64"})
_READ_WHOLE = frozenset(
    {"GATHER", "EMBEDDING_LOOKUP", "RESHAPE", "EXPAND_DIMS", "SQUEEZE", "TRANSPOSE"}
)
"""Operators whose indices are computed, and those that such indices pass unchanged."""
_LARGEST_BIAS = 1 << 38


def read_tflite(path: Path) -> Graph:
    """Read a TFLite file, float or full-integer int8 or 16x8.

    Args:
        path: the file.

    Returns:
        A float graph in the device's layout.  Where the file is quantized, every tensor has
        qparams, weights and biases give back the file's very integers, and every layer has the
        numerics `tflite`.

    Raises:
        UserError: the file cannot be read, or its numbers are unusable.
        UnsupportedError: layers that cannot be compiled.
    """
    return TfliteConversion(load_tflite(path)).run(c_identifier(path.stem))


class TfliteConversion:
    """One file on its way into a graph."""

    def __init__(self, file: TfliteFile) -> None:
        """Name the tensors."""
        self._file = with_svdf_states(with_own_variables(file))
        unique = UniqueNames()
        self._names = [unique.take(tensor.name) for tensor in file.tensors]
        self._file_names = tuple(self._names)
        self._swap_names()
        self._build = GraphBuilder(self._names)
        self._alias: dict[str, str] = {}
        self._io_names: dict[str, str] = {}
        self._variables = Variables(file, self._build, _qparams)

    def run(self, name: str) -> Graph:
        """Convert inputs, constants, layers and outputs, in this order."""
        self._refuse_unknown()
        inputs = [self._input(index) for index in self._file.inputs]
        for index, tensor in enumerate(self._file.tensors):
            if tensor.data is not None:
                self._build.add_constant(self._names[index], self._constant(index))
        for operator in self._file.operators:
            self._import(operator)
        outputs = [self._output(index) for index in self._file.outputs]
        self._variables.finish()
        graph = self._build.build(name, inputs, outputs, self._io_names)
        if not self._is_quantized():
            return graph
        return graph.replace(nodes=tuple(replace(n, numerics="tflite") for n in graph.nodes))

    def _swap_names(self) -> None:
        """Let a layer of real numbers have the name of what is quantized behind it."""
        made = {index for operator in self._file.operators for index in operator.outputs}
        for operator in self._file.operators:
            if operator.op_type != _QUANTIZE or not operator.inputs or not operator.outputs:
                continue
            x, y = operator.inputs[0], operator.outputs[0]
            if x in made and self._file.tensors[x].dtype in _FLOATS:
                self._names[x], self._names[y] = self._names[y], self._names[x]

    def _is_quantized(self) -> bool:
        """Whether computed tensors are int8 or int16."""
        return any(
            self._file.tensors[index].dtype in {"int8", "int16"}
            for operator in self._file.operators
            for index in operator.outputs
        )

    def _refuse_unknown(self) -> None:
        """Refuse what cannot be imported, all of it in one message."""
        self._refuse_operators()
        self._refuse_state()

    def _refuse_operators(self) -> None:
        known = {*TFLITE, *_SAME, *VARIABLE_OPERATORS}
        unknown = Counter(op.op_type for op in self._file.operators if op.op_type not in known)
        if unknown:
            names = ", ".join(f"{name} ({count})" for name, count in sorted(unknown.items()))
            first = next(op for op in self._file.operators if op.op_type in unknown)
            raise UnsupportedError(
                first.op_type,
                self._layer(first),
                f"these operators cannot be compiled: {names}",
                rewrites(sorted(unknown)),
            )

    def _refuse_operator(self, operator: TfliteOperator) -> None:
        """Refuse one that cannot be imported."""
        if operator.op_type not in {*TFLITE, *_SAME, *VARIABLE_OPERATORS}:
            raise UnsupportedError(
                operator.op_type,
                self._layer(operator),
                "this operator is not supported",
                rewrite(operator.op_type),
            )

    def _refuse_state(self) -> None:
        """Refuse tensors that live on between inferences."""
        for tensor in self._file.tensors:
            if tensor.is_variable:
                raise UserError(
                    f"tensor {tensor.name!r} keeps its value between inferences, "
                    "which is not supported"
                )

    def _layer(self, operator: TfliteOperator) -> str:
        """The name of a layer: that of what it computes."""
        return self._names[operator.outputs[0]] if operator.outputs else operator.name

    def _input(self, index: int) -> str:
        tensor, name = self._file.tensors[index], self._names[index]
        if tensor.dtype not in _FLOATS | _CODES | _WHOLE:
            raise UserError(f"input {name!r} has elements of type {tensor.dtype}")
        self._io_names[self._build.add_input(name, tensor.shape)] = name
        self._annotate(name, tensor)
        return name

    def _output(self, index: int) -> str:
        self._check_made(index, "there is an output")
        name = self._alias.get(self._names[index], self._names[index])
        if self._build.value(name) is not None:
            raise UserError(f"output {name!r} is a constant")
        if name in self._io_names or self._variables.is_source(self._build.root(name)):
            node = ImportedNode("IDENTITY", f"{name}.copy", (name,), (f"{name}.copied",))
            qparams = self._build.qparams(name)
            name = self._build.emit("unary", [name], UnaryParams(X), node)
            if qparams is not None:
                self._build.annotate(name, qparams)
        self._io_names[name] = self._file_names[index]
        return name

    def _check_made(self, index: int, what: str) -> None:
        """Refuse a tensor that no layer before has made."""
        name = self._names[index]
        if index in self._file.inputs or name in self._alias:
            return
        if self._file.tensors[index].data is None:
            raise UserError(f"{what} {name!r}, which no layer makes before: the file is damaged")

    def _constant(self, index: int) -> Constant:
        """The real values of a constant, with the parameters that give its integers back."""
        tensor = self._file.tensors[index]
        data = tensor.data
        assert data is not None
        if not tensor.scale:
            return Constant(data.astype(np.float32) if tensor.dtype in _FLOATS else data)
        if tensor.dtype not in {*_CODES, "int4", "int32", "int64"}:
            raise UserError(f"tensor {self._names[index]!r} has quantized {tensor.dtype} elements")
        shape = [1] * data.ndim
        if len(tensor.scale) > 1:
            shape[tensor.axis] = len(tensor.scale)
        scale = np.array(tensor.scale, np.float64).reshape(shape if len(tensor.scale) > 1 else ())
        zero = np.array(tensor.zero_point, np.int64).reshape(scale.shape)
        real = (data.astype(np.int64) - zero) * scale
        if tensor.dtype in {"int32", "int64"}:
            if np.abs(data).max(initial=0) > _LARGEST_BIAS:
                raise UserError(f"tensor {self._names[index]!r} has codes of more than 38 bits")
            axis = 0 if len(tensor.scale) > 1 else None
            q = QParams(tensor.scale, 0, axis, is_wide=tensor.dtype == "int64")
            return Constant(real, q, is_exact=True)
        if len(tensor.scale) > 1:
            if zero.any():
                raise UserError(f"tensor {self._names[index]!r}: scales per channel need zero 0")
            return Constant(real.astype(np.float32), QParams(tensor.scale, 0, tensor.axis))
        return Constant(real.astype(np.float32), _qparams(tensor))

    def _import(self, operator: TfliteOperator) -> None:
        layer = self._layer(operator)
        self._build.layer = layer
        names = tuple("" if i < 0 else self._names[i] for i in operator.inputs)
        outputs = [self._file.tensors[i] for i in operator.outputs]
        node = ImportedNode(
            operator.op_type,
            layer,
            tuple(self._alias.get(name, name) for name in names),
            tuple(self._names[i] for i in operator.outputs),
            {**operator.options, "shape": outputs[0].shape if outputs else ()},
        )
        if operator.op_type in VARIABLE_OPERATORS:
            self._alias.update(zip(node.outputs, self._variables.take(node, operator), strict=True))
            return
        if not outputs or not node.inputs or not node.inputs[0]:
            raise self._build.unsupported(node, f"{len(outputs)} outputs")
        for index in operator.inputs:
            if index >= 0:
                self._check_made(index, f"layer {layer!r} reads")
            self._refuse_width(node, index)
        results = self._results(node)
        if len(results) != len(outputs):
            raise self._build.unsupported(node, f"{len(outputs)} outputs")
        for name, result, tensor in zip(node.outputs, results, outputs, strict=True):
            computed = self._build.value(result) is None
            self._alias[name] = self._finish(node, result, tensor) if computed else result

    def _results(self, node: ImportedNode) -> list[str]:
        if node.op_type in _SAME:
            return [node.inputs[0]]
        if all(self._build.value(name) is not None for name in node.inputs if name):
            raise self._build.unsupported(node, "its input is a constant", "fold it before")
        try:
            result = TFLITE[node.op_type](node, self._build)
            return [result] if isinstance(result, str) else result
        except EdgecompError:
            raise
        except (ValueError, KeyError, IndexError, TypeError) as error:
            raise UserError(
                f"layer {node.name!r} ({node.op_type}) is damaged: {error!r}"
            ) from error
        except Exception as error:
            raise InternalError(f"layer {node.name!r} cannot be imported: {error!r}") from error

    def _refuse_width(self, node: ImportedNode, index: int) -> None:
        """Refuse activations that are neither real nor codes."""
        if index < 0:
            return
        tensor = self._file.tensors[index]
        known = _FLOATS | _CODES | (_WHOLE if node.op_type in _READ_WHOLE else frozenset())
        if tensor.data is None and tensor.dtype not in known:
            raise self._build.unsupported(node, f"activations of {tensor.dtype}")

    def _finish(self, node: ImportedNode, result: str, tensor: TfliteTensor) -> str:
        """Give a layer's output the file's parameters; codes that differ are rescaled."""
        if self._build.shape(result) != tensor.shape:
            raise UserError(
                f"layer {node.name!r} ({node.op_type}) computes {self._build.shape(result)}, "
                f"but the file says {tensor.shape}: it is damaged"
            )
        if not tensor.scale or tensor.dtype in _FLOATS:
            return result
        qparams = _qparams(tensor)
        given = self._build.qparams(result)
        if given is None or given == qparams:
            self._build.annotate(result, qparams)
            return result
        return qdq.rescaled(self._build, result, qparams, node)

    def _annotate(self, name: str, tensor: TfliteTensor) -> None:
        if tensor.scale and tensor.dtype not in _FLOATS:
            self._build.annotate(name, _qparams(tensor))


def _qparams(tensor: TfliteTensor) -> QParams:
    """Parameters of an activation, as those of int8 or int16 codes."""
    if len(tensor.scale) != 1:
        raise UserError(f"tensor {tensor.name!r} is an activation with scales per channel")
    shift = 128 if tensor.dtype == "uint8" else 0
    zero = tensor.zero_point[0] - shift
    wide = tensor.dtype == "int16"
    if not -128 <= zero <= 127 or (wide and zero):
        raise UserError(f"tensor {tensor.name!r} has the zero point {tensor.zero_point[0]}")
    return replace(QParams.per_tensor(tensor.scale[0], zero), is_wide=wide)
