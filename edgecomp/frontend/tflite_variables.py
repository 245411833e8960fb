"""Variables of a TFLite file become states of the network.

READ_VARIABLE gives the codes of the run before, or what this run has assigned already;
ASSIGN_VARIABLE says what the next run will find.  CALL_ONCE runs a graph that assigns constants
before the first run; what it leaves out begins with the code of 0.
Source: `tensorflow/lite/micro/kernels/{var_handle,read_variable,assign_variable,call_once}.cc`,
`tensorflow/lite/micro/micro_resource_variable.cc`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from edgecomp.errors import UserError
from edgecomp.frontend.onnx_builder import Constant, GraphBuilder
from edgecomp.frontend.tflite_file import TfliteFile, TfliteOperator, TfliteTensor
from edgecomp.ir import Array, QParams
from edgecomp.ops.base import ImportedNode
from edgecomp.ops.history import ShiftParams

_OPERANDS = {
    "VAR_HANDLE": (0, 1), "READ_VARIABLE": (1, 1), "ASSIGN_VARIABLE": (2, 0), "CALL_ONCE": (0, 0),
}  # fmt: skip
VARIABLE_OPERATORS = frozenset(_OPERANDS)
Key = tuple[str, str]


@dataclass(eq=False)
class Variable:
    """What is known of one while the layers are walked through.

    Attributes:
        first: codes before the first run; None where they stand for 0.
        source: tensor of the codes of the run before, once it was read.
        qparams: of these codes.
        value: tensor of what was assigned last, once it was.
        layer: what assigned it.
    """

    first: Array | None = None
    source: str = ""
    qparams: QParams | None = None
    value: str = ""
    layer: ImportedNode | None = None


@dataclass
class Variables:
    """The variables of a file, and how its layers use them."""

    file: TfliteFile
    build: GraphBuilder
    qparams_of: Callable[[TfliteTensor], QParams]
    _known: dict[Key, Variable] = field(default_factory=dict)
    _handles: dict[int, Key] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Find what is assigned in every run."""
        handles = _handles_of(self.file)
        self._assigned = {
            handles.get(op.inputs[0])
            for op in self.file.operators
            if op.op_type == "ASSIGN_VARIABLE" and _is_whole(op)
        }

    def take(self, node: ImportedNode, operator: TfliteOperator) -> list[str]:
        """Walk over one of `VARIABLE_OPERATORS`; return the tensors that stand for its outputs.

        Raises:
            UserError: it has not the operands that it must have.
            UnsupportedError: what it does with the variable cannot be compiled.
        """
        if not _is_whole(operator):
            raise UserError(f"layer {node.name!r} ({operator.op_type}) is damaged")
        match operator.op_type:
            case "VAR_HANDLE":
                self._handles[operator.outputs[0]] = _key(operator)
                return [""]
            case "CALL_ONCE":
                self._call(node, operator)
                return []
            case "READ_VARIABLE":
                return [self._read(node, operator)]
        self._assign(node, operator)
        return []

    def is_source(self, name: str) -> bool:
        """Whether a tensor has the codes of the run before."""
        return any(variable.source == name for variable in self._known.values())

    def finish(self) -> None:
        """Write what was assigned over what was read, in an order in which nothing is lost."""
        kept = [v for v in self._known.values() if v.source and v.value]
        while kept:
            ready = next((v for v in kept if not _is_read(v, kept)), None)
            if ready is None:
                assert kept[0].layer is not None
                raise self.build.unsupported(
                    kept[0].layer, "variables that change places", "copy one of them before"
                )
            kept.remove(ready)
            self._keep(ready)

    def _variable(self, node: ImportedNode, operator: TfliteOperator) -> tuple[Key, Variable]:
        if operator.inputs[0] not in self._handles:
            raise self.build.unsupported(node, "a handle that VAR_HANDLE did not make")
        key = self._handles[operator.inputs[0]]
        return key, self._known.setdefault(key, Variable())

    def _call(self, node: ImportedNode, operator: TfliteOperator) -> None:
        """Take constants for first values."""
        number = int(operator.options.get("InitSubgraphIndex", 0)) - 1
        if not 0 <= number < len(self.file.others):
            raise self.build.unsupported(node, "a graph that is not there")
        if any(variable.source or variable.value for variable in self._known.values()):
            raise self.build.unsupported(node, "first values behind the layers that read them")
        first = self.file.others[number]
        handles = _handles_of(first)
        for inner in first.operators:
            if inner.op_type == "VAR_HANDLE":
                continue
            data = None
            known = inner.op_type == "ASSIGN_VARIABLE" and _is_whole(inner)
            if known and inner.inputs[0] in handles:
                data = first.tensors[inner.inputs[1]].data
            if data is None:
                raise self.build.unsupported(node, "first values that are not constants")
            self._known.setdefault(handles[inner.inputs[0]], Variable()).first = data

    def _read(self, node: ImportedNode, operator: TfliteOperator) -> str:
        key, variable = self._variable(node, operator)
        tensor = self.file.tensors[operator.outputs[0]]
        if tensor.dtype not in {"int8", "int16"} or len(tensor.scale) != 1 or not tensor.shape:
            raise self.build.unsupported(
                node, f"variables of {tensor.dtype} without one scale", "convert to int8"
            )
        qparams = self.qparams_of(tensor)
        if variable.value:
            return self._same(node, variable.value, tensor, qparams)
        if variable.source:
            return self._same(node, variable.source, tensor, qparams)
        name = node.outputs[0]
        if key not in self._assigned:
            codes = self._first(variable, tensor, qparams)
            real = qparams.dequantize(codes.reshape(tensor.shape)).astype(np.float32)
            return self.build.add_constant(name, Constant(real, qparams))
        variable.source = self.build.add_state(name, tensor.shape, qparams)
        variable.qparams = qparams
        variable.first = self._first(variable, tensor, qparams)
        return name

    def _first(self, variable: Variable, tensor: TfliteTensor, qparams: QParams) -> Array:
        if variable.first is None:
            return np.full(tensor.shape, qparams.zero_point, tensor.dtype)
        if str(variable.first.dtype) != tensor.dtype or variable.first.size != np.prod(
            tensor.shape
        ):
            raise UserError(f"variable {tensor.name!r} begins with other codes than it has later")
        return variable.first

    def _assign(self, node: ImportedNode, operator: TfliteOperator) -> None:
        _, variable = self._variable(node, operator)
        value = node.inputs[1]
        if self.build.value(value) is not None:
            raise self.build.unsupported(node, "a constant", "leave the variable out")
        variable.value, variable.layer = value, node

    def _same(self, node: ImportedNode, name: str, tensor: TfliteTensor, qparams: QParams) -> str:
        """A tensor as a variable has it: codes are not changed on the way."""
        if self.build.qparams(name) != qparams:
            raise self.build.unsupported(node, "another scale than that of the codes it reads")
        return self.build.reshape(name, tensor.shape, node)

    def _keep(self, variable: Variable) -> None:
        """Add the layer that writes a state."""
        node, shape = variable.layer, self.build.shape(variable.source)
        assert node is not None
        assert variable.first is not None
        if self.build.qparams(variable.value) != variable.qparams:
            raise self.build.unsupported(node, "codes of another scale than that it is read with")
        value = self.build.reshape(variable.value, shape, node)
        self.build.layer = node.name
        moved = replace(node, outputs=(f"{variable.source}.next",))
        update = self.build.emit("shift", [variable.source, value], ShiftParams(0), moved)
        codes = variable.first.reshape(-1)
        kept = codes[:1] if (codes == codes[0]).all() else codes
        self.build.keep(variable.source, update, tuple(int(code) for code in kept))


def _is_read(variable: Variable, others: Sequence[Variable]) -> bool:
    """Whether another variable takes over the codes that this one has still."""
    return any(o is not variable and o.value == variable.source for o in others)


def _key(operator: TfliteOperator) -> Key:
    container, name = (operator.options.get(key) or b"" for key in ("Container", "SharedName"))
    return container.decode("utf-8", "replace"), name.decode("utf-8", "replace")


def _handles_of(file: TfliteFile) -> Mapping[int, Key]:
    """Whose variable each handle is, by the index of its tensor."""
    return {
        op.outputs[0]: _key(op)
        for op in file.operators
        if op.op_type == "VAR_HANDLE" and _is_whole(op)
    }


def _is_whole(operator: TfliteOperator) -> bool:
    """Whether an operator has all of its operands."""
    ends = len(operator.inputs), len(operator.outputs)
    return (
        ends == _OPERANDS[operator.op_type] and min((*operator.inputs, *operator.outputs, 0)) == 0
    )
