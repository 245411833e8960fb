"""Everything in a model file that cannot be compiled, not only the first of it.

Where a layer is refused, graph inputs of the right shape stand in for its outputs, and reading goes
on behind it.  What is wrong with the file's numbers ends the reading and is refused, too.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import onnx

from edgecomp.errors import EdgecompError, UnsupportedError, UserError
from edgecomp.frontend import read_model
from edgecomp.frontend.names import c_identifier
from edgecomp.frontend.onnx_file import InputShapes, load_model, unknown_operator
from edgecomp.frontend.onnx_reader import OnnxConversion
from edgecomp.frontend.tflite_file import TfliteOperator, load_tflite
from edgecomp.frontend.tflite_reader import TfliteConversion
from edgecomp.ir import Graph, Shape
from edgecomp.ops.advice import advice

MODEL = "model"
"""In place of an operator, where a reason is none of a layer's operator."""


@dataclass(frozen=True)
class Refusal:
    """What cannot be compiled: operator, layer, the limit, what to do instead (never empty)."""

    op: str
    layer: str
    reason: str
    suggestion: str

    @classmethod
    def of(cls, error: UserError, layer: str = "") -> "Refusal":
        """What an error says; `layer` is where it was found, for one that does not say it."""
        if not isinstance(error, UnsupportedError):
            reason, _, rest = str(error).partition("\n  ")
            return cls(MODEL, layer, reason, rest or advice(reason))
        where = f"attribute {error.attribute}: " if error.attribute else ""
        suggestion = error.suggestion or advice(error.limit)
        return cls(error.op, error.layer, where + error.limit, suggestion)


@dataclass(frozen=True)
class Survey:
    """What was found.

    Attributes:
        layers: number of layers in the file that compute something; 0 where it is not known.
        refusals: those that cannot be compiled.
        graph: the graph as read, stand-ins among its inputs; None where reading had to end.
    """

    layers: int
    refusals: tuple[Refusal, ...]
    graph: Graph | None


def survey(path: str, input_shapes: InputShapes | None = None) -> Survey:
    """Read a model file of any kind, and collect what is refused.

    Raises:
        UserError: the file cannot be read, or the shapes of its inputs are not settled.
    """
    suffix = Path(path).suffix.lower()
    if suffix == ".onnx":
        return _OnnxSurvey(load_model(Path(path))).survey(Path(path), input_shapes or {})
    if suffix == ".tflite" and not input_shapes:
        return _TfliteSurvey(load_tflite(Path(path))).survey(Path(path))
    try:
        graph = read_model(path, input_shapes=input_shapes)
    except UnsupportedError as error:
        return Survey(0, (Refusal.of(error),), None)
    return Survey(len(graph.nodes), (), graph)


def _with_inputs(graph: Graph, stand_ins: list[str]) -> Graph:
    """The graph with those stand-ins that a layer reads."""
    read = [name for name in stand_ins if name in graph.tensors]
    return graph.replace(inputs=(*graph.inputs, *read))


class _OnnxSurvey(OnnxConversion):
    """Reads an ONNX file and goes on behind what is refused."""

    def __init__(self, model: onnx.ModelProto) -> None:
        super().__init__(model)
        self._refusals: list[Refusal] = []
        self._shapes: Mapping[str, Shape] = {}
        self._stand_ins: list[str] = []
        self._asks_for_shapes = False

    def survey(self, path: Path, input_shapes: InputShapes) -> Survey:
        """Read everything that can be read."""
        graph = None
        try:
            graph = self.run(c_identifier(path.stem), input_shapes)
            graph = _with_inputs(graph, self._stand_ins)
        except UnsupportedError as error:
            # What was refused before and cannot be stood in for ends the reading.
            if Refusal.of(error) not in self._refusals:
                self._refusals.append(Refusal.of(error))
        except EdgecompError as error:
            # Behind a refused layer nothing can be relied upon, before it everything.
            if not self._refusals:
                self._refusals.append(self._of_file(error))
        layers = {self._origins.get(layer, layer) for layer in self.imported.values()}
        return Survey(len(layers), tuple(self._refusals), graph)

    def _of_file(self, error: EdgecompError) -> Refusal:
        """What is wrong with the numbers of a file; faults of other kinds are none of it."""
        if not isinstance(error, UserError) or self._asks_for_shapes:
            raise error
        return Refusal.of(error, self._build.layer)

    def _refuse_unknown(self) -> None:
        """Layers are refused one by one."""

    def _refuse_inconsistent(self, name: str) -> None:
        # ONNX cannot say what operators of other domains compute.
        if all(self.is_known(self._graph.node[index]) for index in self.imported):
            super()._refuse_inconsistent(name)

    def _inputs(self, input_shapes: InputShapes) -> list[str]:
        self._asks_for_shapes = True
        names = super()._inputs(input_shapes)
        self._asks_for_shapes = False
        model = onnx.ModelProto()
        model.CopyFrom(self._model)
        for value in model.graph.input:
            if value.name in names:
                shape = self._build.shape(value.name)
                for dim, n in zip(value.type.tensor_type.shape.dim, shape, strict=False):
                    dim.dim_value = n
        self._shapes = _inferred_shapes(model)
        return names

    def _import(self, proto: onnx.NodeProto, layer: str) -> None:
        try:
            if not self.is_known(proto):
                raise unknown_operator(proto, layer)
            super()._import(proto, layer)
        except UnsupportedError as error:
            # Layers of one operator's definition may be refused for the same reason.
            if Refusal.of(error) not in self._refusals:
                self._refusals.append(Refusal.of(error))
            for name in proto.output:
                if name and name not in self._alias:
                    self._stand_in(name, error)

    def _stand_in(self, name: str, error: UnsupportedError) -> None:
        if name not in self._shapes:
            if name in self._read:
                raise error
            return
        self._build.add_input(name, self._shapes[name])
        self._stand_ins.append(name)


def _inferred_shapes(model: onnx.ModelProto) -> dict[str, Shape]:
    """Shapes of the tensors for which ONNX itself finds them."""
    try:
        graph = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    except (onnx.shape_inference.InferenceError, ValueError, RuntimeError):
        return {}
    found = {}
    for value in (*graph.value_info, *graph.output):
        tensor = value.type.tensor_type
        sizes = tuple(int(dim.dim_value) for dim in tensor.shape.dim)
        if tensor.HasField("shape") and min(sizes, default=1) > 0:
            found[value.name] = sizes
    return found


class _TfliteSurvey(TfliteConversion):
    """Reads a TFLite file and goes on behind what is refused."""

    def survey(self, path: Path) -> Survey:
        """Read everything that can be read."""
        self._refusals: list[Refusal] = []
        self._stand_ins: list[str] = []
        graph = None
        try:
            graph = self.run(c_identifier(path.stem))
            graph = _with_inputs(graph, self._stand_ins)
        except UserError as error:
            if isinstance(error, UnsupportedError) or not self._refusals:
                self._refusals.append(Refusal.of(error, self._build.layer))
        except EdgecompError:
            if not self._refusals:
                raise
        return Survey(len(self._file.operators), tuple(self._refusals), graph)

    def _refuse_unknown(self) -> None:
        """Layers are refused one by one; state between inferences is refused for the file."""
        self._refuse_state()

    def _import(self, operator: TfliteOperator) -> None:
        try:
            self._refuse_operator(operator)
            super()._import(operator)
        except UnsupportedError as error:
            self._refusals.append(Refusal.of(error))
            for index in operator.outputs:
                name = self._names[index]
                self._build.add_input(name, self._file.tensors[index].shape)
                self._annotate(name, self._file.tensors[index])
                self._stand_ins.append(name)
