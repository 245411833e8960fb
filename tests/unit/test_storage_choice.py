"""Which storage the planner takes, and which it refuses."""

from dataclasses import replace

import numpy as np
import pytest

from edgecomp.interp import run_int
from edgecomp.ir.serialize import load_graph, save_graph
from edgecomp.kernels import Layer
from edgecomp.ops import PARAMS
from edgecomp.ops.conv2d import Conv2dParams
from edgecomp.ops.dense import DenseParams
from edgecomp.plan.planner import plan_graph
from edgecomp.storage import allow_storage
from edgecomp.targets.cores import get_core
from tests.support.cases import Act, Bias, OpCase, Weights, case_graph, random_codes

M4 = get_core("cortex-m4f")


def graph_of(density, storages, inputs=400, outputs=100):
    case = OpCase(
        "one", "dense", DenseParams(), (Act((1, inputs)), Weights((outputs, inputs)), Bias())
    )
    graph = case_graph(case)
    name = graph.nodes[0].inputs[1]
    rng = np.random.default_rng(0)
    values = graph.tensors[name].value // 16 * 16 * (rng.random((outputs, inputs)) < density)
    data = replace(graph.tensors[name], data=values.astype(np.int8))
    graph = graph.replace(tensors={**graph.tensors, name: data})
    return allow_storage(graph, name, storages) if storages else graph


def test_plain_weights_need_no_choice():
    plan = plan_graph(graph_of(1.0, ()), M4)
    assert plan.storage_choices == ()
    assert [stage.storage for stage in plan.stages] == ["dense8"]
    assert not plan.decoders


@pytest.mark.parametrize("goal", ["balanced", "size", "ram"])
def test_sparse_layers_are_coded(goal):
    plan = plan_graph(graph_of(0.07, ("huffman",)), M4, goal=goal)
    assert [stage.storage for stage in plan.stages] == ["huffman"]
    (choice,) = plan.storage_choices
    assert not choice.was_refused
    assert plan.decoders == {"huffman_gaps"}
    assert plan.weights_bytes(plan.stages[0]) < 400 * 100 / 4


def test_the_smaller_of_two_is_taken_for_size():
    plan = plan_graph(graph_of(0.07, ("codebook", "huffman", "sparse")), M4, goal="size")
    assert [stage.storage for stage in plan.stages] == ["huffman"]


def test_what_costs_more_flash_and_more_cycles_is_refused_with_numbers():
    plan = plan_graph(graph_of(0.95, ("sparse",)), M4)
    assert [stage.storage for stage in plan.stages] == ["dense8"]
    (choice,) = plan.storage_choices
    assert choice.was_refused
    assert choice.flash_bytes > choice.plain_flash_bytes
    difference = choice.flash_bytes - choice.plain_flash_bytes
    assert f"{difference:,} bytes of flash" in choice.text


def test_what_the_weights_do_not_fit_is_refused():
    plan = plan_graph(graph_of(1.0, ("packed4",)), M4)
    assert [stage.storage for stage in plan.stages] == ["dense8"]
    assert "do not fit four bits" in plan.storage_choices[0].text


def test_what_no_kernel_computes_is_refused():
    """A channel has few different weights, but depthwise layers have one table for all."""
    params = Conv2dParams(kernel_h=3, kernel_w=3, groups=40)
    case = OpCase("one", "conv2d", params, (Act((1, 6, 6, 40)), Weights((40, 3, 3, 1)), Bias()))
    graph = case_graph(case)
    graph = allow_storage(graph, graph.nodes[0].inputs[1], ("codebook",))
    plan = plan_graph(graph, M4)
    assert [stage.storage for stage in plan.stages] == ["dense8"]
    assert "different weights" in plan.storage_choices[0].text


def test_a_stored_graph_keeps_its_storages(tmp_path):
    graph = graph_of(0.07, ("huffman", "sparse"))
    save_graph(graph, tmp_path / "graph.npz")
    again = load_graph(tmp_path / "graph.npz", PARAMS)
    name = graph.nodes[0].inputs[1]
    assert again.tensors[name].storages == ("huffman", "sparse")
    codes = random_codes(graph, np.random.default_rng(0), 3)
    assert np.array_equal(run_int(again, codes)["y"], run_int(graph, codes)["y"])
    assert Layer(again, again.nodes[0]).storages == ("huffman", "sparse")


def test_a_decoder_must_save_more_than_its_code():
    plan = plan_graph(graph_of(0.07, ("huffman",), inputs=16, outputs=4), M4)
    assert [stage.storage for stage in plan.stages] == ["dense8"]
