"""Elements chosen or replaced at constant places, against onnxruntime and ONNX's reference."""

import numpy as np
import pytest
from onnx import TensorProto, numpy_helper
from onnx.reference import ReferenceEvaluator

from edgecomp.errors import UnsupportedError
from edgecomp.frontend import read_model
from tests.frontend.onnx_cases import (
    check_model,
    difference,
    make_model,
    node,
    ops,
    random_inputs,
    run_graph,
    save,
)

RNG = np.random.default_rng(3)
SHAPE = (2, 3, 4)


def network(op, inputs, constants, opset=18, second=None, **attributes):
    """One layer of `x` and perhaps `z`."""
    given = {"x": SHAPE} | ({"z": second} if second else {})
    return make_model([node(op, inputs, "y", "layer", **attributes)], given, ["y"],
                      constants, opset=opset)  # fmt: skip


@pytest.mark.parametrize("axis", [0, 1, 2, -1])
def test_gather_elements(axis, tmp_path):
    indices = RNG.integers(-SHAPE[axis], SHAPE[axis], (2, 2, 3))
    graph = check_model(network("GatherElements", "x i", {"i": indices}, axis=axis), tmp_path)
    assert ops(graph).count("gather") == 1


@pytest.mark.parametrize(("batch_dims", "shape"), [(0, (3, 2)), (0, (2, 1)), (1, (2, 5, 1)),
                                                   (1, (2, 2)), (2, (2, 3, 1))])  # fmt: skip
def test_gather_nd(batch_dims, shape, tmp_path):
    limits = SHAPE[batch_dims : batch_dims + shape[-1]]
    indices = np.stack([RNG.integers(-n, n, shape[:-1]) for n in limits], -1)
    model = network("GatherND", "x i", {"i": indices}, batch_dims=batch_dims)
    check_model(model, tmp_path)


def test_whole_rows_move_as_rows(tmp_path):
    model = network("GatherND", "x i", {"i": np.array([[1, 2], [0, 1]])})
    gather = next(made for made in read_model(save(model, tmp_path)).nodes if made.op == "gather")
    assert gather.params.indices == ((5, 1), None)


REDUCTIONS = ["none", "add", "mul", "max", "min"]


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("constant", ["", "x", "z"])
def test_scatter_elements(reduction, constant, tmp_path):
    indices = np.array([[[0, 2, 1], [2, 0 if reduction == "none" else 2, 0]]])
    model = network("ScatterElements", "x i z", {"i": indices}, second=indices.shape, axis=1,
                    reduction=reduction)  # fmt: skip
    _make_constant(model, constant)
    check_model(model, tmp_path)


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_scatter_nd(reduction, tmp_path):
    twice = [[1, 2], [0, 1], [1, 2]] if reduction != "none" else [[1, 2], [0, 1], [0, 2]]
    model = network("ScatterND", "x i z", {"i": np.array(twice)}, second=(3, 4),
                    reduction=reduction)  # fmt: skip
    check_model(model, tmp_path)


def _make_constant(model, name):
    for value in [value for value in model.graph.input if value.name == name]:
        shape = [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        tensor = model.graph.initializer.add()
        tensor.CopyFrom(_tensor(name, shape))
        model.graph.input.remove(value)


def _tensor(name, shape):
    return numpy_helper.from_array(RNG.standard_normal(shape).astype(np.float32), name)


@pytest.mark.parametrize("mode", ["linear", "circular"])
def test_tensor_scatter(mode, tmp_path):
    starts = np.array([1, 2 if mode == "circular" else 0])
    model = network("TensorScatter", "x z i", {"i": starts}, 24, (2, 2, 4), mode=mode)
    graph = read_model(save(model, tmp_path))
    inputs = random_inputs(graph)
    found = run_graph(graph, inputs)["y"]
    for sample in range(2):
        feed = {name: x[sample] for name, x in inputs.items()}
        (wanted,) = ReferenceEvaluator(model).run(None, feed)
        assert difference(found[sample], wanted) == 0


@pytest.mark.parametrize(("time", "batch", "lengths"), [(0, 1, [1, 2, 0]), (1, 0, [3, 2])])
def test_reverse_sequence(time, batch, lengths, tmp_path):
    model = network("ReverseSequence", "x i", {"i": np.array(lengths)}, time_axis=time,
                    batch_axis=batch)  # fmt: skip
    check_model(model, tmp_path)


@pytest.mark.parametrize("axis", [None, 1, -1])
def test_compress(axis, tmp_path):
    attributes = {} if axis is None else {"axis": axis}
    model = network("Compress", "x i", {"i": np.array([False, True, True])}, **attributes)
    check_model(model, tmp_path)


@pytest.mark.parametrize(("op", "inputs", "indices", "attributes", "reason"), [
    ("GatherElements", "x i", np.array([[[3]]]), {"axis": 1}, "indices outside of an axis of 3"),
    ("GatherND", "x i", np.array([[0, 9]]), {}, "indices outside of an axis of 3"),
    ("ScatterElements", "x i z", np.zeros((1, 1, 17), np.int64), {"reduction": "add", "axis": 2},
     "17 updates of one place"),
    ("Compress", "x i", np.array([False, False]), {"axis": 0}, "result would be empty"),
])  # fmt: skip
def test_refused(op, inputs, indices, attributes, reason, tmp_path):
    second = indices.shape if "z" in inputs else None
    model = network(op, inputs, {"i": indices}, second=second, **attributes)
    if op == "ScatterElements":
        model.graph.input[0].type.tensor_type.shape.dim[2].dim_value = 20
    with pytest.raises(UnsupportedError, match=reason):
        read_model(save(model, tmp_path))


def test_computed_indices_are_refused(tmp_path):
    nodes = [node("GatherElements", "x i", "y", "layer", axis=2)]
    model = make_model(nodes, {"x": SHAPE, "i": SHAPE}, ["y"], types={"i": TensorProto.INT64})
    with pytest.raises(UnsupportedError, match="'i' has whole numbers"):
        read_model(save(model, tmp_path))
