"""QDQ files come back: the same codes at once, the same file from the second export on.

Names apart; a network with transposes between layers may alternate between two files.
"""

import numpy as np
import pytest
from onnx import numpy_helper

from edgecomp.data.layout import device_to_model, model_to_device
from edgecomp.errors import UnsupportedError, UserError
from edgecomp.frontend import read_model
from edgecomp.interp import run_int
from edgecomp.passes import run_passes
from edgecomp.quant import quantize_model
from edgecomp.quant.export_qdq import export_qdq
from tests.support.cases import random_codes
from tests.support.quantized_networks import quantized_network

FEW = 8
MANY = 100


def structure(model):
    """A file without names: operators, attributes and constants, in order."""
    data = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    place: dict[str, int] = {}

    def seen(name):
        if name in place:
            return place[name]
        place[name] = len(place)
        known = data.get(name)
        content = None if known is None else (known.tobytes(), known.shape, str(known.dtype))
        return place[name], content

    return (
        [seen(value.name) for value in model.graph.input],
        [
            (
                node.op_type,
                sorted(attribute.SerializeToString() for attribute in node.attribute),
                [seen(name) for name in node.input],
                [seen(name) for name in node.output],
            )
            for node in model.graph.node
        ],
        [seen(value.name) for value in model.graph.output],
    )


def read_back(model, folder):
    path = folder / "qdq.onnx"
    path.write_bytes(model.SerializeToString())
    return quantize_model(run_passes(read_model(path)), None)[0]


def outer(graph, codes):
    """Codes by the model's own names, in its own order."""
    return {
        graph.io_names.get(name, name): device_to_model(array, graph.views.get(name))
        for name, array in codes.items()
    }


def inner(graph, codes):
    """The way back from `outer`, for another graph."""
    return {
        name: model_to_device(
            codes[graph.io_names.get(name, name)],
            graph.tensors[name].shape,
            graph.views.get(name),
        )
        for name in graph.inputs
    }


def assert_comes_back(seed, folder):
    graph = quantized_network(seed, folder)
    try:
        again = read_back(export_qdq(graph), folder)
    except (UserError, UnsupportedError) as error:
        # What is written in several operators, without scales between them, is not found again;
        # scales of weights that are next to nothing are refused.
        if "calibration samples" not in str(error) and "a scale is not" not in str(error):
            raise
        pytest.skip(str(error).splitlines()[0])
    second = export_qdq(again)
    forms = [structure(second), structure(export_qdq(read_back(second, folder)))]
    if any(node.op == "transpose" for node in graph.nodes):
        # Transposes find their places when a file is read, and may have two that are as good.
        third = export_qdq(read_back(second, folder))
        assert structure(export_qdq(read_back(third, folder))) in forms
    else:
        assert forms[0] == forms[1]
    codes = random_codes(graph, np.random.default_rng(seed), 6)
    wanted = outer(graph, run_int(graph, codes))
    got = outer(again, run_int(again, inner(again, outer(graph, codes))))
    assert wanted.keys() == got.keys()
    for name, array in wanted.items():
        np.testing.assert_array_equal(got[name], array)


@pytest.mark.parametrize("seed", range(FEW))
def test_random_networks_come_back(seed, tmp_path):
    assert_comes_back(seed, tmp_path)


def test_an_output_of_one_axis_has_the_shape_of_the_model(tmp_path):
    assert_comes_back(34, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(FEW, FEW + MANY))
def test_many_random_networks_come_back(seed, tmp_path):
    assert_comes_back(seed, tmp_path)
