"""ONNX's own cases: what is computed right, in real numbers and in integers, and what is refused.

`python -m tests.support.onnx_standard docs/onnx-coverage.md` writes the table.
"""

import re
import sys
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.backend.test.case.node import collect_testcases

from edgecomp.errors import EdgecompError, InternalError, UnsupportedError, UserError
from edgecomp.frontend.onnx_file import checked
from edgecomp.frontend.onnx_reader import convert
from edgecomp.interp import run_float, run_int
from edgecomp.ir import Array, Graph
from edgecomp.ops import OPS
from edgecomp.passes import run_passes
from edgecomp.quant import quantize_model
from tests.support.bounds import real_codes
from tests.support.cases import real_value
from tests.support.random_graphs import device_inputs, file_outputs

REAL = frozenset({"float16", "float32", "float64"})
FLOOR = 1e-6
"""Absolute tolerance where the case's own is below what sums in float32 can hold."""
OLDEST, CONVERTED = 6, 13
"""Models of the wheel's folders are old; they are converted by `onnx.version_converter`."""
COMPUTED = (slice(None), slice(1), slice(-1, None))
"""Which real inputs of a case are computed: all; where that is refused, the first, or the last."""
FOLDERS = ("pytorch-operator", "pytorch-converted", "simple")


@dataclass(frozen=True)
class Standard:
    """One case: a model, its inputs and the outputs that ONNX says it has."""

    name: str
    group: str
    model: onnx.ModelProto
    inputs: Sequence[object]
    outputs: Sequence[object]
    rtol: float
    atol: float

    @property
    def op_type(self) -> str:
        """The operator that the case is about: its first node's."""
        return next((node.op_type for node in self.model.graph.node), "")


@dataclass(frozen=True)
class Outcome:
    """What became of a case.

    Attributes:
        kind: `passed`, `refused`, `wrong`, or `other` for cases without a computed real tensor.
        reason: why it was refused, or what was wrong.
        layers: operators that were compared code by code.
    """

    kind: str
    reason: str = ""
    layers: tuple[str, ...] = ()


def standard_cases() -> list[Standard]:
    """Every case of the installed `onnx`, in its order."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = [
            Standard(case.name, "node", case.model, *case.data_sets[0], case.rtol, case.atol)
            for case in collect_testcases(None)
            if case.model is not None and case.data_sets
        ]
    return [*found, *_from_files()]


def _from_files() -> Iterator[Standard]:
    root = Path(onnx.__file__).parent / "backend" / "test" / "data"
    for group in FOLDERS:
        for folder in sorted((root / group).iterdir()):
            data = folder / "test_data_set_0"
            if not (folder / "model.onnx").exists() or not data.exists():
                continue
            model = _newer(onnx.load(folder / "model.onnx"))
            inputs, outputs = (
                [
                    _array(data / f"{kind}_{index}.pb")
                    for index in range(len(list(data.glob(f"{kind}_*.pb"))))
                ]
                for kind in ("input", "output")
            )
            yield Standard(folder.name, group, model, inputs, outputs, 1e-3, 1e-6)


def _newer(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with a newer operator set, where `onnx` itself can convert it."""
    if model.opset_import[0].version > OLDEST:
        return model
    try:
        converted = onnx.version_converter.convert_version(model, CONVERTED)
    except (RuntimeError, ValueError, onnx.version_converter.ConvertError):
        return model
    converted.ir_version = max(converted.ir_version, 4)
    return converted


def _array(path: Path) -> object:
    tensor = onnx.TensorProto()
    tensor.ParseFromString(path.read_bytes())
    return numpy_helper.to_array(tensor)


def _is_real(value: object) -> bool:
    arrays = (np.ndarray, np.generic)
    return isinstance(value, arrays) and value.dtype.name in REAL and value.size > 0


def _overflows(array: Array) -> bool:
    """Whether float32 cannot hold finite numbers of a float64 array."""
    finite = array[np.isfinite(array)]
    return bool((np.abs(finite) > np.finfo(np.float32).max).any())


def _with_constants(
    case: Standard, computed_ones: slice
) -> tuple[onnx.ModelProto, dict[str, Array]]:
    """The model whose constants are integers, and real numbers outside of a slice of these."""
    model = onnx.ModelProto()
    model.CopyFrom(case.model)
    constants = {tensor.name for tensor in model.graph.initializer}
    given = [value for value in model.graph.input if value.name not in constants]
    real = [v.name for v, array in zip(given, case.inputs, strict=False) if _is_real(array)]
    computed: dict[str, Array] = {}
    for value, array in zip(given, case.inputs, strict=False):
        if value.name in real[computed_ones]:
            computed[value.name] = np.asarray(array)
        elif isinstance(array, (np.ndarray, np.generic)):
            tensor = numpy_helper.from_array(np.asarray(array), value.name)
            model.graph.initializer.append(tensor)
            if model.ir_version >= 4:
                model.graph.input.remove(value)
    return model, computed


def _with_codes(case: Standard) -> tuple[onnx.ModelProto, object]:
    """The model of a DequantizeLinear whose first input is computed, and that input's codes."""
    model = onnx.ModelProto()
    model.CopyFrom(case.model)
    codes, *constants = (
        numpy_helper.to_array(x) if isinstance(x, onnx.TensorProto) else np.asarray(x)
        for x in case.inputs
    )
    for value, array in zip(list(model.graph.input)[1:], constants, strict=True):
        model.graph.initializer.append(numpy_helper.from_array(array, value.name))
        model.graph.input.remove(value)
    return model, codes


def _read(model: onnx.ModelProto, case: Standard) -> Graph:
    """The graph as it is quantized; one whose outputs are all constant stays as it is read."""
    graph = convert(checked(model, case.name), "standard", {})
    return run_passes(graph) if graph.outputs else graph


def _dequantized(case: Standard) -> Outcome:
    """The outcome of a case that turns the codes of an input into real numbers."""
    model, given = _with_codes(case)
    try:
        graph = _read(model, case)
    except InternalError as error:
        return Outcome("wrong", str(error))
    except EdgecompError as error:
        return Outcome("refused", _short(error))
    (name,) = graph.inputs
    dtype = np.asarray(given).dtype
    # Codes of floating point are indices of the table of all of them.
    codes = np.asarray(given).view(np.uint8) if dtype.name.startswith("float") else given
    q, numbers = graph.tensors[name].qparams, np.asarray(codes).astype(np.int64)
    # Codes of uint8 lie 128 lower on the device.
    shift = 128 if dtype == np.uint8 else 0
    real = numbers.astype(np.float64) if q is None else q.dequantize(numbers - shift)
    return _compared(case, graph, {model.graph.input[0].name: real})


def outcome(case: Standard) -> Outcome:
    """Read, compute, quantize and compare one case."""
    if not all(_is_real(y) or getattr(y, "dtype", None) == np.int64 for y in case.outputs):
        return Outcome("other", "its outputs are no real numbers")
    if case.op_type == "DequantizeLinear":
        return _dequantized(case)
    if not any(_is_real(x) for x in case.inputs):
        return Outcome("other", "its inputs are no real numbers")
    if any(_is_real(x) and _overflows(np.asarray(x)) for x in case.inputs):
        return Outcome("other", "its inputs are beyond float32")
    reason = ""
    for computed_ones in COMPUTED:
        model, inputs = _with_constants(case, computed_ones)
        try:
            graph = _read(model, case)
        except InternalError as error:
            return Outcome("wrong", str(error))
        except EdgecompError as error:
            # Whatever a layer wants constant is constant another time.
            reason = _short(error)
            continue
        return _compared(case, graph, inputs)
    return Outcome("refused", reason)


def _short(error: EdgecompError) -> str:
    """The reason, with the operator's name and without the layer's."""
    if isinstance(error, UnsupportedError):
        return f"{error.op}: {error.limit}".split("\n")[0]
    return re.sub(r"^test_\w+ ", "", str(error).split("\n")[0])


def _compared(case: Standard, graph: Graph, inputs: dict[str, Array]) -> Outcome:
    """Compare the real outputs with ONNX's, and each layer's codes with its real values."""
    samples = device_inputs(graph, {n: x[None].astype(np.float32) for n, x in inputs.items()})
    with np.errstate(all="ignore"):
        found = file_outputs(graph, run_float(graph, samples))
    for value, expected in zip(case.model.graph.output, case.outputs, strict=True):
        wanted = np.asarray(expected)
        constant = graph.constant_outputs.get(value.name)
        got = (found[value.name][0] if constant is None else constant).astype(wanted.dtype)
        try:
            np.testing.assert_allclose(got, wanted, rtol=case.rtol, atol=max(case.atol, FLOOR))
        except AssertionError as error:
            return Outcome("wrong", " ".join(str(error).split())[:200])
    if not graph.outputs:
        return Outcome("passed", "nothing is computed")
    if not all(np.isfinite(x).all() for x in samples.values()):
        return Outcome("passed", "infinite inputs are not quantized")
    try:
        return _quantized(graph, samples)
    except UserError as error:
        return Outcome("passed", f"not quantized: {_short(error)}")


def _quantized(graph: Graph, samples: dict[str, Array]) -> Outcome:
    with np.errstate(all="ignore"):
        quantized, _ = quantize_model(graph, samples)
        codes: dict[str, Array] = {}
        for name in quantized.inputs:
            q = quantized.tensors[name].qparams
            assert q is not None
            codes[name] = q.quantize(samples[name]).astype(np.int8)
        values = run_int(quantized, codes, keep=True)
        for node in quantized.nodes:
            tensors = quantized.node_inputs(node)
            arrays = [
                real_value(t) if t.is_const else t.qparams.dequantize(values[t.name])  # type: ignore[union-attr]
                for t in tensors
            ]
            real = OPS[node.op].float_ref(node.params, tensors, arrays)
            wanted = np.rint(real_codes(quantized, node, real))
            defined = np.isfinite(wanted)
            worst = np.abs(values[node.output] - wanted)[defined].max(initial=0.0)
            if worst > 1:
                return Outcome("wrong", f"{node.op}: {worst:.0f} codes from the real result")
    return Outcome("passed", layers=tuple(node.op for node in quantized.nodes))


_HEAD = """\
# ONNX's own cases

<!-- written by `python -m tests.support.onnx_standard docs/onnx-coverage.md`: do not edit -->

Every case of the Python package `onnx` {version}: `onnx.backend.test.case.node`, and the models in
its `data/pytorch-operator`, `data/pytorch-converted` and `data/simple`. *Passed*: the real outputs
are those of ONNX within the case's own tolerance, and each layer's int8 codes are at most 1 from
its real result on the same dequantized inputs. Inputs that no network computes (integers: axes,
shapes, indices) are constants; where a layer wants constants, all inputs but one are.
Models of operator set 6 are converted by `onnx.version_converter`.
Cases on integers, strings, booleans and sequences are left out: {other} of {count}. None is wrong:
a case passes or is refused before anything is generated.

"""


def table(cases: Sequence[Standard], outcomes: Sequence[Outcome]) -> str:
    """The page as Markdown."""
    rows: dict[str, Counter[str]] = defaultdict(Counter)
    reasons: dict[str, Counter[str]] = defaultdict(Counter)
    for case, result in zip(cases, outcomes, strict=True):
        if result.kind == "other":
            continue
        rows[case.op_type][result.kind] += 1
        if result.kind != "passed":
            reasons[case.op_type][result.reason] += 1
    counts = Counter(result.kind for result in outcomes)
    passing = sum(row["passed"] > 0 for row in rows.values())
    lines = [
        _HEAD.format(version=onnx.__version__, other=counts["other"], count=len(cases)),
        f"{counts['passed']} passed, {counts['refused']} refused, {counts['wrong']} wrong; "
        f"{passing} operators have cases that pass.",
        "",
        "| first operator | passed | refused | why |",
        "|---|---|---|---|",
    ]
    for op in sorted(rows):
        why = "; ".join(reason for reason, _ in reasons[op].most_common(3))
        why = why.replace("|", "\\|").replace("\n", " ")
        lines.append(f"| {op} | {rows[op]['passed']} | {rows[op]['refused']} | {why[:160]} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    everything = standard_cases()
    results = [outcome(case) for case in everything]
    Path(sys.argv[1]).write_text(table(everything, results), encoding="utf-8")
    for one, result in zip(everything, results, strict=True):
        if result.kind == "wrong":
            sys.exit(f"{one.name}: {result.reason}")
