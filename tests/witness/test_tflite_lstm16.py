"""LSTMs of 16x8 TFLite files against TensorFlow Lite for Microcontrollers."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from edgecomp.errors import UnsupportedError
from edgecomp.export.tflite import export_tflite
from edgecomp.fixedpoint import INT32_MAX
from edgecomp.frontend import read_model
from edgecomp.interp import run_float, run_int
from edgecomp.ir import DType, QParams
from edgecomp.kernels import Layer
from edgecomp.passes import run_passes
from edgecomp.passes.keep_states import keep_states
from edgecomp.passes.stream import stream
from edgecomp.plan.select import applicable
from edgecomp.quant import QuantizeOptions, quantize_model
from edgecomp.requant import prepare_node
from edgecomp.targets.cores import get_core
from tests.ops.lstm import CASES
from tests.support.bundle import Model
from tests.support.cases import case_graph, one_line_each, random_codes
from tests.support.proof import ONE_NOW_ALL_LATER, board_differences, host_differences
from tests.support.stored import CODED, with_stored_weights
from tests.support.tflite_lstm_files import LstmSpec, NetSpec, lstm_answers, lstm_file

pytest.importorskip(
    "tflite_micro.python.tflite_micro.runtime",
    reason="tflite-micro is not installed: no witness for TFLite's LSTM",
)
SEQUENCES = 200
SCALE = 1 / 4096


def net(steps, inputs, *layers, x=SCALE, **more):
    return NetSpec(1, steps, inputs, layers, x=(x, 0), dtype="int16", **more)


def layer(units, **more):
    return LstmSpec(units, **{"hidden": (1 / 32768, 0), "magnitude": 2.0, **more})


GRID = {
    f"{units}-units-{steps}-steps{'-time-major' * time_major}-clip-{clip:g}": net(
        steps, 5, layer(units, time_major=time_major, cell_clip=clip)
    )
    for units, steps, time_major, clip in product((1, 3, 16), (1, 7), (False, True), (0.0, 0.7))
}
NETS = {
    "hidden-scale": net(9, 6, layer(7, hidden=(1 / 30000, 0))),
    "large": net(12, 40, layer(64, magnitude=3.0, bias=1.0), x=1 / 3000),
    "saturated": net(12, 16, layer(16, magnitude=20.0, extreme=True, bias=6.0), x=1 / 500),
    "no-clip": net(30, 4, layer(6, magnitude=9.0, bias=6.0, cell_bits=12, cell_clip=0.0)),
    "fine-cell": net(20, 4, layer(6, cell_bits=15)),
    "coarse-cell": net(30, 4, layer(6, magnitude=9.0, bias=6.0, cell_bits=9, cell_clip=0.0)),
    "sums-of-64-bits": net(2, 600, layer(3, extreme=True, magnitude=4.0)),
    "biases-of-64-bits": net(30, 4, layer(3, bias=3.0), x=2.0**-25),
    "large-factors": net(3, 2, layer(5, magnitude=3.0), x=1 / 64),
    "stacked": net(8, 5, layer(9), layer(6), classes=4),
    "stacked-time-major": net(8, 5, layer(9, time_major=True), layer(6, time_major=True)),
    "last-step": net(6, 5, layer(9), layer(12), last=True),
}
EVERY = {**GRID, **NETS}


def built(spec, folder):
    """The file, and the quantized graph of a run that begins anew."""
    path = folder / "net.tflite"
    path.write_bytes(lstm_file(spec))
    graph, _ = quantize_model(run_passes(read_model(path)), None)
    assert {node.numerics for node in graph.nodes} == {"tflite16"}
    return path.read_bytes(), graph


def input_codes(graph):
    """Full-range codes, extremes first; some small ones, where gates are not saturated."""
    (name,) = graph.inputs
    codes = random_codes(graph, np.random.default_rng(1), SEQUENCES)[name]
    codes[3:60] //= 8
    codes[60:90] //= 200
    return codes


def check(graph, codes, wanted):
    got = run_int(graph, {graph.inputs[0]: codes})[graph.outputs[0]]
    assert wanted.dtype == got.dtype == np.int16
    assert len(np.unique(wanted)) >= 100
    np.testing.assert_array_equal(got.reshape(wanted.shape), wanted)


@pytest.mark.parametrize("name", EVERY)
def test_sequences_are_equal(name, tmp_path):
    model, graph = built(EVERY[name], tmp_path)
    codes = input_codes(graph)
    check(graph, codes, lstm_answers(model, codes, reset=True))


@pytest.mark.parametrize("name", [*list(GRID)[::5], *NETS])
def test_states_are_kept_from_run_to_run(name, tmp_path):
    model, whole = built(EVERY[name], tmp_path)
    graph = keep_states(whole).graph
    assert len(graph.states) == len(EVERY[name].layers)
    codes = input_codes(graph)
    wanted = lstm_answers(model, codes, reset=False)
    check(graph, codes, wanted)
    anew = run_int(whole, {whole.inputs[0]: codes})[whole.outputs[0]]
    assert (anew.reshape(wanted.shape) != wanted).any()


def test_ticks_are_equal_to_one_step_after_the_other(tmp_path):
    model, whole = built(NETS["large"], tmp_path)
    codes = input_codes(whole)[3:13]
    wanted = lstm_answers(model, codes, reset=False)
    ticks = stream(whole).graph
    steps = codes.reshape(-1, 1, 1, codes.shape[-1])
    got = run_int(ticks, {ticks.inputs[0]: steps})[ticks.outputs[0]]
    np.testing.assert_array_equal(got.reshape(wanted.shape), wanted)


@pytest.mark.parametrize("name", ["large", "last-step", "stacked-time-major", "no-clip"])
def test_what_is_exported_again_is_the_same(name, tmp_path):
    model, graph = built(NETS[name], tmp_path)
    first = tmp_path / "first.tflite"
    first.write_bytes(export_tflite(graph))
    again, _ = quantize_model(run_passes(read_model(first)), None)
    assert export_tflite(again) == first.read_bytes()
    codes = input_codes(graph)[:40]
    wanted = lstm_answers(model, codes, reset=False)
    got = lstm_answers(first.read_bytes(), codes, reset=False)
    np.testing.assert_array_equal(got.reshape(wanted.shape), wanted)


def test_float_layers_become_16x8(tmp_path):
    """`--activations int16 --numerics tflite`: near the real result, and TFLM's bits."""
    path = tmp_path / "real.tflite"
    spec = replace(NETS["stacked"], dtype="float32")
    path.write_bytes(lstm_file(spec))
    real = run_passes(read_model(path))
    (name,) = real.inputs
    x = np.random.default_rng(0).normal(0, 1, (40, *real.tensors[name].shape)).astype(np.float32)
    graph, _ = quantize_model(real, {name: x}, QuantizeOptions(numerics="tflite16"))
    q_in, q_out = (graph.tensors[n].qparams for n in (name, *graph.outputs))
    codes = q_in.quantize(x, -32768, 32767).astype(np.int16)
    got = run_int(graph, {name: codes})[graph.outputs[0]]
    wanted = run_float(real, {name: x})[real.outputs[0]]
    assert np.abs(q_out.dequantize(got) - wanted).max() < 0.01 * np.abs(wanted).max()
    answers = lstm_answers(export_tflite(graph), codes, reset=True)
    np.testing.assert_array_equal(got.reshape(answers.shape), answers)


def test_other_lstms_have_no_int16_form():
    (case,) = (case for case in CASES if case.name == "peepholes")
    graph = case_graph(case)
    wide = {
        name: replace(t, dtype=DType.INT16, qparams=QParams.per_tensor(SCALE))
        for name, t in graph.tensors.items()
        if not t.is_const
    }
    (node,) = (replace(node, numerics="tflite16") for node in graph.nodes)
    tensors = {**graph.tensors, **wide}
    with pytest.raises(UnsupportedError, match="no peepholes"):
        prepare_node(node, [tensors[name] for name in node.inputs], tensors[node.output])


def chosen(name, core, folder):
    """The kernels that may compute the first layer on a core, the best one first."""
    graph = built(NETS[name], folder)[1]
    found = [kernel.name for kernel in applicable(Layer(graph, graph.nodes[0]), get_core(core))]
    return [name.removeprefix("tflite_lstm16_") for name in found]


def test_fast_kernels_take_what_is_proved(tmp_path):
    assert chosen("large", "cortex-m55", tmp_path) == ["mve", "dsp", "generic"]
    assert chosen("large", "cortex-m4f", tmp_path) == ["dsp", "generic"]
    assert chosen("large", "cortex-m0", tmp_path) == ["generic"]
    for name in ("sums-of-64-bits", "biases-of-64-bits", "large-factors"):
        assert chosen(name, "cortex-m55", tmp_path) == ["generic"]
    cell = built(NETS["sums-of-64-bits"], tmp_path)[1]
    (node,) = cell.nodes
    assert Layer(cell, node).prepared.cell.inputs.magnitude > INT32_MAX


def models(folder, step=1):
    """Networks as they are built: with the states that they keep."""
    for name in list(EVERY)[::step]:
        graph = keep_states(built(EVERY[name], folder)[1]).graph
        yield Model(name, graph, random_codes(graph, np.random.default_rng(2), 8))


@pytest.mark.parametrize(
    ("compiler", "core", "step"),
    [
        ("gcc", "cortex-m0", 5),
        ("gcc", "cortex-m55", 7),
        *(
            pytest.param(compiler, core, 1, marks=pytest.mark.slow)
            for compiler, core in product(
                ("gcc", "clang"), ("cortex-m0", "cortex-m4f", "cortex-m55")
            )
        ),
    ],
)
def test_host_c_computes_the_same(compiler, core, step, tmp_path):
    found = host_differences(list(models(tmp_path, step)), tmp_path, compiler, core)
    assert not found, one_line_each(found)


@pytest.mark.device
@pytest.mark.parametrize("board", ONE_NOW_ALL_LATER)
def test_emulated_core_computes_the_same(board, tmp_path):
    found = board_differences(list(models(tmp_path)), tmp_path, board)
    assert not found, one_line_each(found)


def coded_models(folder, decode, step):
    """Networks whose first layer has coded weights, decoded as a whole for the plain C kernel."""
    for number, name in enumerate(list(EVERY)[::step]):
        plain = keep_states(built(EVERY[name], folder)[1]).graph
        node = next(node for node in plain.nodes if node.op == "lstm")
        for storage in CODED:
            graph = with_stored_weights(plain, node, storage, number, (decode,))
            kernel = f"tflite_lstm16_generic_{storage}_{decode}"
            codes = random_codes(graph, np.random.default_rng(2), 4)
            yield Model(f"{name} {storage}", graph, codes, forced={node.output: kernel})


@pytest.mark.parametrize("decode", ["layer", "boot"])
@pytest.mark.parametrize("step", [9, pytest.param(1, marks=pytest.mark.slow)])
def test_coded_weights_in_host_c(decode, step, tmp_path):
    found = host_differences(list(coded_models(tmp_path, decode, step)), tmp_path)
    assert not found, one_line_each(found)


@pytest.mark.device
@pytest.mark.parametrize("decode", ["layer", "boot"])
@pytest.mark.parametrize("board", ONE_NOW_ALL_LATER)
def test_coded_weights_on_emulated_cores(decode, board, tmp_path):
    found = board_differences(list(coded_models(tmp_path, decode, 7)), tmp_path, board)
    assert not found, one_line_each(found)


def test_sequences_of_several_begin_anew(tmp_path):
    """A batch, which no file has: every sequence is computed as by itself."""
    graph = built(NETS["large"], tmp_path)[1]
    (node,) = graph.nodes
    x, y = (graph.tensors[name] for name in (node.inputs[0], node.output))
    sizes = {
        x.name: replace(x, shape=(3, *x.shape[1:])),
        y.name: replace(y, shape=(3, *y.shape[1:])),
    }
    params = replace(node.params, keeps=False)
    nodes = (replace(node, params=params),)
    several = graph.replace(nodes=nodes, tensors={**graph.tensors, **sizes})
    codes = input_codes(graph)[:30]
    wanted = run_int(graph, {x.name: codes})[y.name]
    got = run_int(several, {x.name: codes.reshape(10, 3, *x.shape[1:])})[y.name]
    np.testing.assert_array_equal(got.reshape(wanted.shape), wanted)
    model = Model("batch", several, {x.name: codes.reshape(10, 3, *x.shape[1:])})
    found = host_differences([model], tmp_path)
    assert not found, one_line_each(found)
