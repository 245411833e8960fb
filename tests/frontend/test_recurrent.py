"""LSTM, GRU and RNN of ONNX with all their attributes, beside onnxruntime."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgecomp.frontend.onnx_file import checked
from edgecomp.frontend.onnx_reader import convert
from edgecomp.interp import run_float, run_int
from edgecomp.passes import run_passes
from edgecomp.quant import quantize_model
from tests.support.random_graphs import device_inputs, file_outputs

GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
SEEDS = 36
SAMPLES = 8
FLOAT_ERROR = 2e-6
CODES = 1.5
"""Root of the mean square of the codes' distance from the float outputs: weights are int8, and
hidden states go round."""


def array(name, value):
    return numpy_helper.from_array(np.asarray(value, np.float32), name)


class Layer:
    """One random layer of a file, and what it is given."""

    def __init__(self, seed):
        rng = np.random.default_rng(seed)
        self.op = ("LSTM", "GRU", "RNN")[seed % 3]
        direction = str(rng.choice(["forward", "reverse", "bidirectional"]))
        count = 2 if direction == "bidirectional" else 1
        self.first = bool(rng.integers(2)) and count == 1
        batch, steps = int(rng.choice([1, 1, 3])), int(rng.integers(1, 7))
        inputs, units = (int(n) for n in rng.integers(1, 9, 2))
        rows = GATES[self.op] * units
        names = ["x", "w", "r", "", "", "", "", ""]
        self.constants = [
            array("w", rng.normal(0, 0.5, (count, rows, inputs))),
            array("r", rng.normal(0, 0.5 / units**0.5, (count, rows, units))),
        ]
        if rng.integers(3):
            names[3] = "b"
            self.constants.append(array("b", rng.normal(0, 0.5, (count, 2 * rows))))
        if not rng.integers(3):
            names[4] = "lengths"
            lengths = np.full(batch, steps, np.int32)
            self.constants.append(numpy_helper.from_array(lengths, "lengths"))
        states = (batch, count, units) if self.first else (count, batch, units)
        x = (batch, steps, inputs) if self.first else (steps, batch, inputs)
        self.given = {"x": x}
        for place, name in ((5, "h"), (6, "c"))[: 2 if self.op == "LSTM" else 1]:
            kind = rng.integers(3)
            if kind:
                names[place] = name
            if kind == 1:
                self.constants.append(array(name, rng.uniform(-0.9, 0.9, states)))
            if kind == 2:
                self.given[name] = states
        if self.op == "LSTM" and rng.integers(2):
            names[7] = "p"
            self.constants.append(array("p", rng.normal(0, 0.5, (count, 3 * units))))
        while not names[-1]:
            names.pop()
        self.attributes = {"hidden_size": units, "direction": direction, "layout": int(self.first)}
        if rng.integers(2):
            self.attributes["clip"] = 1.5
        if self.op == "GRU":
            self.attributes["linear_before_reset"] = int(rng.integers(2))
        if self.op == "LSTM" and not rng.integers(3):
            self.attributes["input_forget"] = 1
        if self.op == "RNN" and rng.integers(2):
            self.attributes["activations"] = ["Relu"] * count
        whole = (batch, steps, count, units) if self.first else (steps, count, batch, units)
        outputs = [("y", whole), ("last", states), ("cell", states)][
            : 3 if self.op == "LSTM" else 2
        ]
        kept = rng.integers(1, 2 ** len(outputs))
        self.outputs = [pair for i, pair in enumerate(outputs) if kept >> i & 1]
        self.names = [name if kept >> i & 1 else "" for i, (name, _) in enumerate(outputs)]
        self.inputs = names
        self.rng = rng

    def model(self, *, layout=True):
        """The file; without `layout` what onnxruntime knows: the batch second."""
        attributes = {k: v for k, v in self.attributes.items() if layout or k != "layout"}
        node = helper.make_node(self.op, self.inputs, self.names, name="layer", **attributes)
        turn = self.first and not layout

        def value(name, shape):
            shape = (shape[1], shape[0], *shape[2:]) if turn and len(shape) == 3 else shape
            if turn and len(shape) == 4:
                shape = (shape[1], shape[2], shape[0], shape[3])
            return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

        constants = self.constants
        if turn:
            constants = [
                array(t.name, numpy_helper.to_array(t).swapaxes(0, 1)) if t.name in "hc" else t
                for t in constants
            ]
        graph = helper.make_graph(
            [node],
            "recurrent",
            [value(n, s) for n, s in self.given.items()],
            [value(n, s) for n, s in self.outputs],
            constants,
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)

    def witness(self, samples):
        """Outputs of onnxruntime by name, sample by sample, in the file's own layout."""
        session = onnxruntime.InferenceSession(
            self.model(layout=False).SerializeToString(), providers=["CPUExecutionProvider"]
        )
        found = []
        for i in range(SAMPLES):
            feed = {n: x[i].swapaxes(0, 1) if self.first else x[i] for n, x in samples.items()}
            found.append(session.run(None, {n: np.ascontiguousarray(x) for n, x in feed.items()}))
        outputs = {
            name: np.stack(ys)
            for (name, _), ys in zip(self.outputs, zip(*found, strict=True), strict=True)
        }
        if not self.first:
            return outputs
        orders = {4: (0, 3, 1, 2, 4), 3: (0, 2, 1, 3)}
        return {n: y.transpose(orders[y.ndim - 1]) for n, y in outputs.items()}


@pytest.mark.parametrize("seed", range(SEEDS))
def test_every_attribute_means_what_onnxruntime_means(seed):
    layer = Layer(seed)
    graph = run_passes(convert(checked(layer.model(), "recurrent"), "recurrent", {}))
    samples = {
        name: layer.rng.normal(0, 1 if name == "x" else 0.3, (SAMPLES, *shape)).astype(np.float32)
        for name, shape in layer.given.items()
    }
    if "h" in samples:  # as hidden states are: the codes of others saturate
        samples["h"] = samples["h"].clip(-0.95, 0.95)
    device = device_inputs(graph, samples)
    wanted = layer.witness(samples)
    found = file_outputs(graph, run_float(graph, device))
    for name, _ in layer.outputs:
        np.testing.assert_allclose(found[name], wanted[name], atol=FLOAT_ERROR, err_msg=name)
    if "activations" in layer.attributes and "h" in layer.inputs:
        return  # The range of a ReLU's hidden states comes from the outputs; this may be above.
    quantized, _ = quantize_model(graph, device)
    codes = {
        name: quantized.tensors[name].qparams.quantize(x).astype(np.int8)
        for name, x in device.items()
    }
    integers = run_int(quantized, codes)
    real = run_float(graph, device)
    for name in graph.outputs:
        q = quantized.tensors[name].qparams
        distance = np.abs(integers[name] - np.clip(real[name] / q.scalar + q.zero_point, -128, 127))
        assert np.sqrt((distance**2).mean()) <= CODES, name


def test_an_absent_output_is_no_absent_input():
    """The second layer has no lengths, the first no sequence: both are the empty name."""
    rng = np.random.default_rng(0)
    constants = [array(n, rng.normal(0, 0.4, (1, 4, 4))) for n in ("w1", "r1", "w2", "r2")]
    last = helper.make_node("RNN", ["x", "w1", "r1"], ["", "last"], hidden_size=4)
    more = helper.make_node("RNN", ["x", "w2", "r2", "", "", "last"], ["y"], hidden_size=4)
    graph = helper.make_graph(
        [last, more],
        "two",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, (3, 1, 4))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, (3, 1, 1, 4))],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
    read = run_passes(convert(checked(model, "two"), "two", {}))
    assert [node.op for node in read.nodes if node.op == "rnn"] == ["rnn", "rnn"]
    onnx.checker.check_model(model)
