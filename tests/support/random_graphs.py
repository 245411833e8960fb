"""Random small networks: made, compared with onnxruntime, quantized, ready for a bundle."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

from edgecomp.frontend import read_model
from edgecomp.interp import run_float
from edgecomp.ir import Array, Graph
from edgecomp.passes import run_passes
from edgecomp.quant import QuantizeOptions, quantize_model
from tests.support.bundle import Model
from tests.support.cases import random_codes
from tests.support.onnx_net import FIRST_OPSET, LAST_OPSET, Net, Value
from tests.support.random_layers import BLOCKS

SAMPLES = 20
CALIBRATION_SAMPLES = 32


@dataclass(frozen=True)
class RandomModel:
    """A network as a file would hold it, and samples of its inputs in the file's layout."""

    name: str
    proto: onnx.ModelProto
    inputs: dict[str, Array]

    @property
    def ops(self) -> Counter[str]:
        """How often each ONNX operator occurs."""
        return Counter(node.op_type for node in self.proto.graph.node)


def random_model(seed: int) -> RandomModel:
    """Make network number `seed`."""
    rng = np.random.default_rng(seed)
    net = Net(rng, int(rng.integers(FIRST_OPSET, LAST_OPSET + 1)), bool(rng.random() < 0.3))
    net.large = net.chance(0.15)
    x = net.add_input(_input_shape(net))
    if net.chance(0.25):
        net.add_input(net.pick((x.shape, (1, *(1 for _ in x.shape[1:])), _input_shape(net))))
    blocks = [block for block, weight in BLOCKS for _ in range(weight)]
    wanted = net.between(2, 9)
    for _ in range(60):
        if wanted == 0:
            break
        # Mostly go on from the last value, sometimes begin another branch.
        source = net.values[-1] if net.chance(0.8) else net.pick(net.values)
        made = _try(net, net.pick(blocks), source)
        if made is not None:
            net.values.append(made)
            wanted -= 1
    outputs = _outputs(net)
    symbolic = all(v.shape[0] == 1 for v in net.inputs) and net.chance(0.3)
    proto = net.model(outputs, symbolic_batch=symbolic)
    onnx.checker.check_model(proto)
    inputs = {
        v.name: (
            rng.normal(rng.uniform(-0.5, 0.5), rng.uniform(0.5, 1.5),
                       (CALIBRATION_SAMPLES, *v.shape))
        ).astype(np.float32)
        for v in net.inputs
    }  # fmt: skip
    return RandomModel(f"random{seed}", proto, inputs)


def _input_shape(net: Net) -> tuple[int, ...]:
    most = 14 if net.large else 8
    match net.pick(("image", "image", "image", "sequence", "vector")):
        case "image":
            h, w, c = net.between(1, most), net.between(1, most), net.between(1, most - 2)
            return (1, h, w, c) if net.channels_last else (1, c, h, w)
        case "sequence":
            t, c = net.between(1, 2 * most), net.between(1, most - 2)
            return (1, t, c) if net.channels_last else (1, c, t)
    return (1, net.between(1, 3 * most))


def _try(net: Net, block, x: Value) -> Value | None:
    """Add a block, or leave the model as it was."""
    nodes, constants = len(net.nodes), len(net.constants)
    made = block(net, x)
    if made is None or made.size > net.most_elements or min(made.shape) < 1:
        del net.nodes[nodes:], net.constants[constants:]
        return None
    return made


def _outputs(net: Net) -> list[Value]:
    """Every value that nobody reads, and sometimes one that somebody does."""
    read = {name for node in net.nodes for name in node.input}
    computed = [v for v in net.values if v not in net.inputs]
    outputs = [v for v in computed if v.name not in read]
    inner = [v for v in computed if v.name in read]
    if inner and net.chance(0.2):
        outputs.append(net.pick(inner))
    return outputs


def device_inputs(graph: Graph, inputs: dict[str, Array]) -> dict[str, Array]:
    """Bring samples from the file's layout to the device's."""
    found = {}
    for name in graph.inputs:
        x = inputs[graph.io_names.get(name, name)]
        view = graph.views.get(name)
        if view is not None:
            device = graph.tensors[name].shape
            permuted = x.reshape(len(x), *(device[axis] for axis in view.perm))
            x = permuted.transpose(0, *(1 + int(a) for a in np.argsort(view.perm)))
        found[name] = np.ascontiguousarray(x)
    return found


def file_outputs(graph: Graph, outputs: dict[str, Array]) -> dict[str, Array]:
    """Bring results from the device's layout to the file's, by the file's names."""
    found = {}
    for name in graph.outputs:
        y = outputs[name]
        view = graph.views.get(name)
        if view is not None:
            y = y.transpose(0, *(1 + axis for axis in view.perm)).reshape(len(y), *view.shape)
        found[graph.io_names.get(name, name)] = y
    return found


def float_differences(random: RandomModel, graph: Graph) -> list[str]:
    """Compare the float graph with onnxruntime on the same file."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(
        random.proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    names = [output.name for output in session.get_outputs()]
    ours = file_outputs(graph, run_float(graph, device_inputs(graph, random.inputs)))
    lines = []
    if list(ours) != names:
        return [f"{random.name}: outputs {list(ours)}, expected {names}"]
    wanted: dict[str, list[Array]] = {name: [] for name in names}
    for sample in range(CALIBRATION_SAMPLES):
        feed = {name: x[sample] for name, x in random.inputs.items()}
        for name, y in zip(names, session.run(names, feed), strict=True):
            wanted[name].append(y)
    for name in names:
        expected = np.stack(wanted[name])
        if expected.shape != ours[name].shape:
            lines.append(f"{random.name}/{name}: {ours[name].shape} instead of {expected.shape}")
            continue
        error = np.abs(ours[name] - expected).max() / max(float(np.abs(expected).max()), 1e-3)
        if not error <= 1e-4:
            lines.append(f"{random.name}/{name}: {error:.2g} away from onnxruntime")
    return lines


def float_graph(random: RandomModel, folder: Path) -> Graph:
    """Read the network from a file and run the passes."""
    path = folder / f"{random.name}.onnx"
    onnx.save(random.proto, path)
    return run_passes(read_model(path))


def quantized_model(
    random: RandomModel, graph: Graph, options: QuantizeOptions | None = None
) -> Model:
    """Quantize the network with its samples, and make the codes to compare on."""
    samples = device_inputs(graph, random.inputs)
    quantized, _ = quantize_model(graph, samples, options)
    rng = np.random.default_rng(len(random.name))
    codes = random_codes(quantized, rng, SAMPLES)
    for name, array in codes.items():
        qparams = quantized.tensors[name].qparams
        assert qparams is not None
        array[3:] = qparams.quantize(samples[name][: SAMPLES - 3])
    return Model(random.name, quantized, codes)
