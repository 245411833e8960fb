"""Running graphs on the host."""

import numpy as np
import pytest

from edgecomp.interp import in_chunks, outputs_in_chunks, run_float, run_int
from tests.support.random_graphs import (
    device_inputs,
    float_graph,
    quantized_model,
    random_model,
)


@pytest.fixture(scope="module", params=range(4))
def networks(request, tmp_path_factory):
    random = random_model(request.param)
    graph = float_graph(random, tmp_path_factory.mktemp("onnx"))
    return graph, device_inputs(graph, random.inputs), quantized_model(random, graph)


def test_keep_returns_every_activation(networks):
    graph, samples, model = networks
    for result, of in (
        (run_float(graph, samples, keep=True), graph),
        (run_int(model.graph, model.codes, keep=True), model.graph),
    ):
        wanted = {name for name, tensor in of.tensors.items() if not tensor.is_const}
        assert set(result) == wanted
        for name, array in result.items():
            assert array.shape[1:] == of.tensors[name].shape


def test_outputs_are_the_same_whether_all_is_kept_or_not(networks):
    graph, samples, model = networks
    for run, of, inputs in ((run_float, graph, samples), (run_int, model.graph, model.codes)):
        kept = run(of, inputs, keep=True)
        outputs = run(of, inputs)
        assert list(outputs) == list(of.outputs)
        for name in of.outputs:
            np.testing.assert_array_equal(outputs[name], kept[name])


def test_samples_do_not_touch_each_other(networks):
    _, _, model = networks
    together = run_int(model.graph, model.codes)
    for sample in (0, 5):
        alone = run_int(model.graph, {n: x[sample : sample + 1] for n, x in model.codes.items()})
        for name in model.graph.outputs:
            np.testing.assert_array_equal(alone[name][0], together[name][sample])


@pytest.mark.parametrize("chunk", [1, 7, 64])
def test_chunks_join_to_the_whole(networks, chunk):
    _, _, model = networks
    whole = run_int(model.graph, model.codes)
    parts = outputs_in_chunks(model.graph, model.codes, integer=True, chunk=chunk)
    for name in model.graph.outputs:
        np.testing.assert_array_equal(parts[name], whole[name])
    assert sum(len(next(iter(p.values()))) for p in in_chunks(model.codes, chunk)) == len(
        next(iter(model.codes.values()))
    )


def test_codes_are_int8(networks):
    _, _, model = networks
    for array in run_int(model.graph, model.codes, keep=True).values():
        assert array.dtype == np.int8


def test_inputs_are_not_changed(networks):
    _, _, model = networks
    before = {name: array.copy() for name, array in model.codes.items()}
    run_int(model.graph, model.codes, keep=True)
    for name, array in before.items():
        np.testing.assert_array_equal(model.codes[name], array)
