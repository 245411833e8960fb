"""Helpers: small ONNX models, and a graph's float results against onnxruntime."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgecomp.frontend import read_model
from edgecomp.interp import run_float
from edgecomp.ir import Graph
from edgecomp.passes import DEFAULT_PASSES, Pass, run_passes

RELATIVE = 1e-5
"""Largest difference allowed, relative to the spread of the output: float32 rounding."""


def data_path(*parts: str) -> Path:
    """A file of the data collection, or skip the test."""
    root = os.environ.get("EDGECOMP_DATA")
    if not root:
        pytest.skip("EDGECOMP_DATA does not name the data collection")
    path = Path(root, *parts)
    if not path.exists():
        pytest.skip(f"{path} is missing")
    return path


def make_model(
    nodes: Sequence[onnx.NodeProto],
    inputs: Mapping[str, Sequence[int | str]],
    outputs: Sequence[str],
    constants: Mapping[str, np.ndarray] | None = None,
    *,
    opset: int = 17,
    types: Mapping[str, int] | None = None,
) -> onnx.ModelProto:
    """Build a model; outputs have no stated shape."""
    kinds = types or {}
    graph = helper.make_graph(
        nodes,
        "g",
        [
            helper.make_tensor_value_info(name, kinds.get(name, TensorProto.FLOAT), shape)
            for name, shape in inputs.items()
        ],
        [
            helper.make_tensor_value_info(name, kinds.get(name, TensorProto.FLOAT), None)
            for name in outputs
        ],
        [numpy_helper.from_array(value, name) for name, value in (constants or {}).items()],
    )
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets)
    model.ir_version = min(model.ir_version, 10)
    return model


def node(op: str, inputs: str, output: str, name: str = "", **attributes: object) -> onnx.NodeProto:
    """A node; inputs and outputs as words, `-` for an absent input."""
    names = ["" if word == "-" else word for word in inputs.split()]
    return helper.make_node(
        op, names, output.split(), name or output.split(maxsplit=1)[0], **attributes
    )


def save(model: onnx.ModelProto, folder: Path, name: str = "net.onnx") -> Path:
    """Write a model."""
    path = folder / name
    path.write_bytes(model.SerializeToString())
    return path


def run_onnxruntime(
    path: Path, inputs: Mapping[str, np.ndarray], outputs: Sequence[str]
) -> list[np.ndarray]:
    """Outputs for one sample, without graph optimizations."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, ["CPUExecutionProvider"])
    return [np.asarray(y) for y in session.run(list(outputs), dict(inputs))]


def to_device(graph: Graph, name: str, x: np.ndarray) -> np.ndarray:
    """Samples `(samples, *model shape)` in the order of the graph's input."""
    view = graph.views.get(name)
    if view is None:
        return x
    shape = graph.tensor(name).shape
    inner = [shape[axis] for axis in view.perm]
    back = [int(axis) + 1 for axis in np.argsort(view.perm)]
    return x.reshape(len(x), *inner).transpose(0, *back)


def from_device(graph: Graph, name: str, y: np.ndarray) -> np.ndarray:
    """Samples of a graph's output in the model's own order."""
    view = graph.views.get(name)
    if view is None:
        return y
    moved = y.transpose(0, *(axis + 1 for axis in view.perm))
    return moved.reshape(len(y), *view.shape)


def model_shape(graph: Graph, name: str) -> tuple[int, ...]:
    """Shape of an input or output as the model has it."""
    return graph.views[name].shape if name in graph.views else graph.tensor(name).shape


def run_graph(graph: Graph, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Run samples given by file names; outputs by file names, in the model's own order."""
    device = {
        name: to_device(graph, name, np.asarray(inputs[graph.io_names[name]], np.float32))
        for name in graph.inputs
    }
    results = run_float(graph, device)
    return {graph.io_names[n]: from_device(graph, n, results[n]) for n in graph.outputs}


def random_inputs(graph: Graph, seed: int = 0, samples: int = 2) -> dict[str, np.ndarray]:
    """Normal samples by file name."""
    rng = np.random.default_rng(seed)
    return {
        graph.io_names[name]: rng.standard_normal((samples, *model_shape(graph, name))).astype(
            np.float32
        )
        for name in graph.inputs
    }


def difference(a: np.ndarray, b: np.ndarray) -> float:
    """Largest difference relative to the spread of `b`."""
    assert a.shape == b.shape, (a.shape, b.shape)
    spread = max(float(np.abs(b).max()), 1e-6)
    return float(np.abs(np.asarray(a, np.float64) - b).max()) / spread


def check_model(
    model: onnx.ModelProto,
    folder: Path,
    passes: Sequence[Pass] = DEFAULT_PASSES,
    *,
    seed: int = 0,
    relative: float = RELATIVE,
) -> Graph:
    """Read a model, check it and its passed form against onnxruntime, return the passed form."""
    path = save(model, folder)
    graph = read_model(path)
    after = run_passes(graph, passes)
    inputs = random_inputs(graph, seed)
    before_y, after_y = run_graph(graph, inputs), run_graph(after, inputs)
    assert list(before_y) == list(after_y)
    for sample in range(2):
        feed = {name: x[sample] for name, x in inputs.items()}
        for name, y in zip(before_y, run_onnxruntime(path, feed, list(before_y)), strict=True):
            assert difference(before_y[name][sample], y) < relative, ("reader", name)
            assert difference(after_y[name][sample], y) < relative, ("passes", name)
    return after


def ops(graph: Graph) -> list[str]:
    """Operators in execution order."""
    return [made.op for made in graph.nodes]
