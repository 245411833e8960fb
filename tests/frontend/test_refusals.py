"""Every reason to refuse a layer is given by `check-model`, with its suggestion."""

import ast
import sys
from pathlib import Path

import numpy as np
import pytest

import edgecomp
from edgecomp.errors import UnsupportedError
from edgecomp.feasibility import check_model
from edgecomp.frontend import survey as surveys
from edgecomp.frontend.rewrites import rewrite
from edgecomp.ir import Tensor
from edgecomp.ops import OPS, check_constraints
from edgecomp.ops.add import AddParams
from edgecomp.ops.argmax import ArgMaxParams
from edgecomp.ops.conv2d import Conv2dParams
from edgecomp.ops.gather import GatherParams
from edgecomp.ops.layer_norm import LayerNormParams
from edgecomp.ops.matmul import MatMulParams
from edgecomp.ops.pool import AveragePoolParams, MaxPoolParams
from edgecomp.ops.prelu import PReluParams
from edgecomp.ops.top import TopParams
from edgecomp.ops.where import CompareParams
from tests.frontend.onnx_cases import make_model, node, save
from tests.frontend.refusals import ONNX, TFLITE, UNKNOWN
from tests.frontend.test_onnx_standard import MADE_FOR_STREAMS

SOURCES = Path(edgecomp.__file__).parent
FOLDERS = ("frontend", "ops", "passes", "quant", "plan")
BUILDS = {"unsupported", "refusal"}
"""Methods that only make the error, for those that call them."""
NOT_FROM_A_FILE = {
    "frontend/onnx_file.py:refuse_unknown": "build's; check-model lists the layers one by one",
    "frontend/tflite_reader.py:_refuse_operators": "the same",
    "frontend/onnx_builder.py:reshape": "weights per channel are rearranged by `constant` first",
    "frontend/onnx_builder.py:_rearranged": "tested in test_qdq.py, with weights per input",
    "ops/base.py:check_constraints": "the same; check-model asks every limit itself",
    "quant/float_layers.py:_refusal": "asked for by --float; tested in unit/test_float_layers.py",
    "plan/select.py:applicable": "every operator has a generic kernel on every core",
}
"""Refusals that no file reaches in `check-model`."""
KEPT_BY_READERS = {
    "ranks_are_equal", "ranks_agree", "one_is_computed", "weights_are_constant", "matrices_fit",
    "weights_are_symmetric", "slopes_are_constant", "indices_are_codes", "gains_are_constant",
    "indices_are_inside", "at_most_two_axes", "coordinates_are_inside",
    "states_are_of_one_sequence", "table_is_constant", "there_are_as_many", "batch_is_one",
    "each_row_starts_somewhere",
}  # fmt: skip
"""Limits of operators that the readers keep, or refuse by a reason of their own."""


def sites():
    """Every place that makes the error, as file, line and function."""
    for folder in FOLDERS:
        for path in sorted((SOURCES / folder).glob("*.py")):
            tree = ast.parse(path.read_text())
            for function in ast.walk(tree):
                if not isinstance(function, ast.FunctionDef) or function.name in BUILDS:
                    continue
                for call in ast.walk(function):
                    if isinstance(call, ast.Call) and _name(call.func) in {
                        "UnsupportedError",
                        "unsupported",
                    }:
                        yield f"{folder}/{path.name}", call.lineno, function.name


def _name(function):
    return getattr(function, "attr", getattr(function, "id", ""))


@pytest.fixture(scope="module")
def reached():
    """Where errors were made, recorded while the tests of this module ran before."""
    found = set()
    made = UnsupportedError.__init__

    def recorded(self, *arguments, **named):
        frame = sys._getframe(1)
        while frame.f_code.co_name in BUILDS:
            frame = frame.f_back
        path = Path(frame.f_code.co_filename)
        found.add((f"{path.parent.name}/{path.name}", frame.f_lineno))
        made(self, *arguments, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(UnsupportedError, "__init__", recorded)
        yield found


limits = set()


def check(case, refusal):
    """Compare what is said with the case, and note the limits that were named."""
    assert case.reason.lower() in refusal["reason"].lower()
    assert case.instead in refusal["suggestion"]
    assert refusal["suggestion"], "nothing is suggested"
    limits.add(refusal["reason"])


@pytest.mark.parametrize("case", ONNX, ids=[f"{c.op}-{c.reason}" for c in ONNX])
def test_onnx(case, tmp_path, reached):
    report = check_model(str(save(case.model(), tmp_path)), "mps2-an386")
    assert report["verdict"] == "refused"
    *unknown, refusal = report["refused"]
    assert len(unknown) == (case.before == UNKNOWN)
    check(case, refusal)


@pytest.mark.parametrize("case", TFLITE, ids=[f"{c.op}-{c.reason}" for c in TFLITE])
def test_tflite(case, tmp_path, reached, monkeypatch):
    monkeypatch.setattr(surveys, "load_tflite", lambda path: case.file())
    report = check_model(str(tmp_path / "net.tflite"), "mps2-an386")
    assert report["verdict"] == "refused"
    check(case, report["refused"][-1])


def test_inputs_of_truth_values(tmp_path, reached):
    model = make_model([node("Cast", "x", "y", to=1)], {"x": (1, 4)}, ["y"], types={"x": 9})
    (refusal,) = check_model(str(save(model, tmp_path)), "mps2-an386")["refused"]
    assert refusal["op"] == "input"
    assert "float inputs" in refusal["suggestion"]


def test_what_many_networks_have_gets_a_rewrite_of_its_own():
    other = rewrite("Unheard")
    assert "docs/ops.md" in other
    asked = "ReduceProd NonMaxSuppression NonZero Loop If CumProd Scan GridSample Mod Range"
    for op in asked.split():
        assert rewrite(op) != other, op


def test_no_refusal_is_missing(reached):
    """Runs behind the cases: every place of the sources was reached, or says why it cannot be."""
    missing = [
        f"{path}:{line} ({function})"
        for path, line, function in sites()
        if not any((path, n) in reached for n in range(line, line + 4))
        and f"{path}:{function}" not in NOT_FROM_A_FILE
    ]
    assert not missing


def test_no_limit_is_missing():
    """The same for the limits of operators."""
    named = {
        constraint.__name__: " ".join(constraint.__doc__.split())
        for name, op in OPS.items()
        if name not in MADE_FOR_STREAMS
        for constraint in op.constraints()
    }
    assert set(named) >= KEPT_BY_READERS
    reachable = {name: text for name, text in named.items() if name not in KEPT_BY_READERS}
    assert {name for name, text in reachable.items() if text not in limits} == set()


def act(*shape):
    return Tensor("x", shape)


def const(*shape):
    return Tensor("k", shape, data=np.zeros(shape, np.float32))


@pytest.mark.parametrize(
    ("op", "params", "inputs", "limit"),
    [
        ("add", AddParams(), [act(1, 2), act(2)], "same number of axes"),
        ("add", AddParams(), [const(1, 2), const(1, 2)], "must be computed"),
        ("compare", CompareParams("less"), [act(1, 2), act(2)], "same number of axes"),
        ("matmul", MatMulParams(), [act(1, 2, 3), act(1, 4, 5)], "rows of the right one"),
        ("conv2d", Conv2dParams(1, 1), [act(1, 2, 2, 3), act(4, 1, 1, 3)], "must be constants"),
        ("conv2d", Conv2dParams(1, 1), [act(2, 2, 2, 3), const(4, 1, 1, 3)], "batch must be 1"),
        ("max_pool", MaxPoolParams(1, 1), [act(2, 2, 2, 3)], "batch must be 1"),
        ("average_pool", AveragePoolParams(1, 1), [act(2, 2, 2, 3)], "batch must be 1"),
        ("prelu", PReluParams(), [act(1, 2, 2, 3), act(3)], "must be a constant"),
        ("argmax", ArgMaxParams(), [act(1, 300)], "256 elements"),
        ("top_indices", TopParams(2), [act(1, 300)], "256 elements"),
        ("top_values", TopParams(3), [act(1, 2)], "at least as many"),
        ("argmax", ArgMaxParams(starts=(0, 5)), [act(1, 3)], "start for each row"),
        ("layer_norm", LayerNormParams(1e-5, True), [act(1, 4), act(4), act(4)], "constants"),
        ("gather", GatherParams((None, (7,))), [act(1, 4)], "inside the input"),
    ],
)
def test_limits_that_the_readers_keep(op, params, inputs, limit):
    with pytest.raises(UnsupportedError, match=limit):
        check_constraints(OPS[op], params, inputs, "layer")
