"""`edgecomp check-model`: everything that is refused, and a verdict that a build would confirm."""

import json

import numpy as np
import onnx
import pytest

from edgecomp import feasibility
from edgecomp.errors import DoesNotFitError
from edgecomp.feasibility import check_model
from edgecomp.frontend.survey import survey
from tests.cli.support import call
from tests.frontend.onnx_cases import make_model, node, save
from tests.support.random_graphs import random_model

BOARD = "mps2-an386"
RNG = np.random.default_rng(5)
W = RNG.normal(size=(4, 3, 3, 3)).astype(np.float32)
IMAGE = {"x": ["N", 3, 8, 8]}


def ints(*values):
    return np.asarray(values, np.int64)


REFUSED = {
    "unknown": ([node("GridSample", "x g", "y")], {"g": np.zeros((1, 6, 6, 2), np.float32)},
                "GridSample", "not supported"),
    "recurrent": ([node("Reshape", "x s", "r"),
                   node("LSTM", "r a b", "y", hidden_size=2, activations=["Relu", "Tanh", "Tanh"])],
                  {"s": ints(1, 1, 192), "a": np.zeros((1, 8, 192), np.float32),
                   "b": np.zeros((1, 8, 2), np.float32)}, "LSTM", "activations"),
    "area": ([node("Resize", "x - s", "y", mode="area")],
             {"s": np.array([1, 1, 0.5, 0.5], np.float32)}, "Resize", "area"),
    "power": ([node("Pow", "x x", "y")], {}, "Pow", "base or exponent must be constant"),
    "long-index": ([node("Concat", "x x", "c", axis=1), node("Reshape", "c s", "r"),
                    node("ArgMax", "r", "y", axis=1)], {"s": ints(1, 384)}, "ArgMax", "256"),
    "several": ([node("Concat", "x x", "c", axis=1), node("Reshape", "c s", "r"),
                 node("TopK", "r k", "v i", "top", axis=1), node("Cast", "i", "f", to=1),
                 node("Mul", "v f", "y")],
                {"s": ints(1, 384), "k": ints(2)}, "TopK", "256"),
    "computed-weights": ([node("Conv", "x x", "y")], {}, "Conv", "constant"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_layer_is_refused_with_a_reason(name, tmp_path):
    nodes, constants, op, reason = REFUSED[name]
    types = {"y": 7} if "ArgMax" in nodes[-1].op_type else None
    model = make_model(nodes, IMAGE, ["y"], constants, types=types, opset=18)
    found = check_model(str(save(model, tmp_path)), BOARD)
    assert found["verdict"] == "refused"
    (refusal,) = found["refused"]
    assert refusal["op"] == op
    assert reason in refusal["reason"]


def several_refusals():
    nodes = [
        node("Conv", "x w", "c", "first"),
        node("GridSample", "c g", "d", "grid"),
        node("Relu", "d", "r"),
        node("Pow", "r r", "p", "power"),
        node("Resize", "p - s", "u", "up", mode="area"),
        node("Det", "u", "y", "sum"),
    ]
    constants = {
        "w": W, "g": np.zeros((1, 6, 6, 2), np.float32),
        "s": np.array([1, 1, 0.5, 0.5], np.float32),
    }  # fmt: skip
    return make_model(nodes, IMAGE, ["y"], constants, opset=18)


def test_every_refused_layer_is_listed(tmp_path):
    found = survey(str(save(several_refusals(), tmp_path)))
    assert [refusal.layer for refusal in found.refusals] == ["grid", "power", "up", "sum"]
    assert found.layers == 6


def test_the_command_says_what_to_do_instead(tmp_path):
    path = save(several_refusals(), tmp_path)
    answer = call("check-model", path, "--board", BOARD)
    assert answer.code == 2
    assert "refused   Det in layer 'sum'" in answer.out
    assert "instead: compute it on the host" in answer.out
    assert answer.out.endswith("verdict   refused\n")
    asked = call("check-model", path, "--board", BOARD, "--json")
    assert asked.code == 2
    assert len(json.loads(asked.out)["refused"]) == 4


LIMITED = {
    "root": [node("Sqrt", "x", "y")],
    "logarithm": [node("Log", "x", "y")],
    "power": [node("Pow", "x h", "y")],
    "arcus": [node("Acosh", "x", "y")],
    "of-negated": [node("Neg", "x", "n"), node("Log", "n", "y")],
    "quotient": [node("Relu", "x", "r"), node("Div", "o r", "y")],
    "without-axes": [node("ReduceSum", "x", "s", keepdims=0), node("Sqrt", "s", "y")],
    "behind-weights": [node("Gemm", "x m", "g"), node("Relu", "g", "r"), node("Log", "r", "y")],
}  # fmt: skip


@pytest.mark.parametrize("name", LIMITED)
def test_functions_that_not_every_number_has_come_to_a_verdict(name, tmp_path, monkeypatch):
    def compiled(plan, board, optimize):
        raise DoesNotFitError("as if it were too large, to save the time")

    monkeypatch.setattr(feasibility, "_compiled", compiled)
    constants = {"h": np.float32(0.5), "o": np.float32(1), "m": -np.eye(6, dtype=np.float32)}
    used = {word for made in LIMITED[name] for word in made.input}
    constants = {key: value for key, value in constants.items() if key in used}
    model = make_model(LIMITED[name], {"x": (1, 6)}, ["y"], constants)
    found = check_model(str(save(model, tmp_path)), BOARD)
    assert found["verdict"] == "does not fit"
    assert not found["refused"]


def test_what_is_wrong_with_the_numbers_is_a_refusal(tmp_path):
    weights = np.full((6, 2), np.inf, np.float32)
    model = make_model([node("MatMul", "x w", "y", "sick")], {"x": (1, 6)}, ["y"], {"w": weights})
    path = save(model, tmp_path)
    asked = call("check-model", path, "--board", BOARD, "--json")
    (refusal,) = json.loads(asked.out)["refused"]
    assert asked.code == 2
    assert (refusal["op"], refusal["layer"]) == ("model", "sick")
    assert "infinite elements" in refusal["reason"]
    assert "healthy checkpoint" in refusal["suggestion"]
    assert "refused   model in layer 'sick'" in call("check-model", path, "--board", BOARD).out


def test_an_open_shape_is_asked_for(tmp_path):
    model = make_model([node("Relu", "x", "y")], {"x": (1, "time")}, ["y"])
    answer = call("check-model", save(model, tmp_path), "--board", BOARD)
    assert answer.code == 2
    assert "--input-shape" in answer.err


def test_equal_refusals_are_one_line(tmp_path):
    nodes = [node("Mod", "x x", "a", "first", fmod=1), node("Mod", "a a", "y", "second", fmod=1)]
    path = save(make_model(nodes, {"x": (1, 6)}, ["y"]), tmp_path)
    answer = call("check-model", path, "--board", BOARD)
    assert answer.out.count("Mod") == 1
    assert "in layer 'first' and 1 more" in answer.out


def small_net(features=5):
    nodes = [
        node("Conv", "x w", "c", "first", pads=[1, 1, 1, 1]),
        node("Relu", "c", "r"),
        node("Flatten", "r", "f"),
        node("MatMul", "f m", "y", "last"),
    ]
    weights = RNG.normal(size=(4 * 8 * 8, features)).astype(np.float32)
    return make_model(nodes, IMAGE, ["y"], {"w": W, "m": weights})


def test_what_fits_is_measured(tmp_path):
    answer = call("check-model", save(small_net(), tmp_path), "--board", BOARD, "--json")
    assert answer.code == 0
    found = json.loads(answer.out)
    assert found["verdict"] == "ok"
    assert 2_000 < found["flash"]["bytes"] < found["flash"]["board_bytes"]
    assert found["ram"]["bytes"] > found["ram"]["arena_bytes"] >= 192
    assert found["macs"] == 4 * 27 * 64 + 256 * 5
    assert found["modelled_cycles"] > found["macs"] / 4


def test_what_is_too_large_does_not_fit(tmp_path):
    answer = call("check-model", save(small_net(1200), tmp_path), "--board", "microbit")
    assert answer.code == 3
    assert answer.out.endswith("verdict   does not fit\n")


def test_a_file_that_is_no_model_is_an_error(tmp_path):
    (tmp_path / "net.onnx").write_bytes(b"nothing")
    assert call("check-model", tmp_path / "net.onnx", "--board", BOARD).code == 2


@pytest.mark.slow
def test_random_networks_of_supported_layers_are_ok(tmp_path):
    for seed in range(1000, 1040):
        random = random_model(seed)
        path = tmp_path / f"{random.name}.onnx"
        onnx.save(random.proto, path)
        assert check_model(str(path), BOARD)["verdict"] == "ok", seed
