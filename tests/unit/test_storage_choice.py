"""Which storage the planner takes, and which it refuses."""

from dataclasses import replace

import numpy as np
import pytest

from edgecomp.errors import DoesNotFitError, UserError
from edgecomp.interp import run_int
from edgecomp.ir.serialize import load_graph, save_graph
from edgecomp.kernels import Layer
from edgecomp.ops import PARAMS
from edgecomp.ops.conv2d import Conv2dParams
from edgecomp.ops.dense import DenseParams
from edgecomp.plan.planner import plan_graph
from edgecomp.storage import DECODES, allow_storage
from edgecomp.targets.cores import get_core
from tests.support.cases import Act, Bias, OpCase, Weights, case_graph, random_codes

M4 = get_core("cortex-m4f")


def graph_of(density, storages, inputs=400, outputs=100, unit=16):
    case = OpCase(
        "one", "dense", DenseParams(), (Act((1, inputs)), Weights((outputs, inputs)), Bias())
    )
    graph = case_graph(case)
    name = graph.nodes[0].inputs[1]
    rng = np.random.default_rng(0)
    values = graph.tensors[name].value // 16 * unit * (rng.random((outputs, inputs)) < density)
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


def convolution(live, size=1):
    """64 to 64 channels, of which this share of the blocks of four weights is not 0."""
    case = OpCase(
        "one",
        "conv2d",
        Conv2dParams(kernel_h=size, kernel_w=size),
        (Act((1, 8, 8, 64)), Weights((64, size, size, 64)), Bias()),
    )
    graph = case_graph(case)
    name = graph.nodes[0].inputs[1]
    blocks = np.random.default_rng(0).random(16 * 64 * size * size).repeat(4) < live
    weights = graph.tensors[name]
    data = replace(weights, data=weights.value * blocks.reshape(weights.shape).astype(np.int8))
    graph = graph.replace(tensors={**graph.tensors, name: data})
    return allow_storage(graph, name, ("dense8", "sparse"))


@pytest.mark.parametrize("core", ["cortex-m4f", "cortex-m7", "cortex-m33"])
@pytest.mark.parametrize("goal", ["balanced", "speed", "size"])
@pytest.mark.parametrize("size", [1, 3])
def test_blocks_of_zeros_save_cycles_and_flash(core, goal, size):
    target = get_core(core)
    (sparse,) = plan_graph(convolution(0.25, size), target, goal=goal).stages
    assert sparse.kernel == "conv2d_sparse_blocks_dsp"
    (plain,) = plan_graph(convolution(0.9, size), target, goal="speed").stages
    assert plain.storage == "dense8"


def test_what_costs_more_flash_and_more_cycles_is_refused_with_numbers():
    plan = plan_graph(graph_of(0.95, ("sparse",), unit=8), M4)
    assert [stage.storage for stage in plan.stages] == ["dense8"]
    (choice,) = plan.storage_choices
    assert choice.was_refused
    assert choice.flash_bytes > choice.plain_flash_bytes
    difference = choice.flash_bytes - choice.plain_flash_bytes
    assert f"{difference:,} bytes of flash" in choice.text


def test_a_small_plain_kernel_is_compared_as_well_as_the_fastest():
    """The fastest plain kernel of this core fills rows up; one in plain C is smaller and fast."""
    graph = graph_of(0.9, ("sparse",), inputs=45, outputs=10)
    (choice,) = plan_graph(graph, get_core("cortex-m55")).storage_choices
    assert choice.storage == "dense8"
    assert choice.flash_bytes > choice.plain_flash_bytes
    assert choice.cycles > choice.plain_cycles
    assert "bytes of flash and" in choice.text


def test_what_the_weights_do_not_fit_is_refused():
    plan = plan_graph(graph_of(1.0, ("packed4",)), M4)
    assert [stage.storage for stage in plan.stages] == ["dense8"]
    assert "do not fit four bits" in plan.storage_choices[0].text


def test_what_no_kernel_computes_is_refused():
    """A channel has more different weights than a table holds."""
    params = Conv2dParams(kernel_h=3, kernel_w=3)
    case = OpCase("one", "conv2d", params, (Act((1, 6, 6, 40)), Weights((8, 3, 3, 40)), Bias()))
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


def test_speed_decodes_at_boot_where_the_ram_is():
    plan = plan_graph(graph_of(0.07, ("huffman",), unit=8), M4, goal="speed")
    (choice,) = plan.storage_choices
    assert (choice.storage, choice.decode) == ("huffman", "boot")
    assert plan.boot_ram_bytes == choice.boot_bytes >= 400 * 100
    assert choice.cycles == choice.plain_cycles
    assert "decoded at boot" in choice.text
    assert plan.decode_bytes(plan.stages[0]) == 0
    assert plan.weights_bytes(plan.stages[0]) < 400 * 100 / 4


@pytest.mark.parametrize("goal", ["balanced", "size", "ram"])
def test_other_goals_give_no_ram_for_cycles(goal):
    plan = plan_graph(graph_of(0.07, ("huffman",), unit=8), M4, goal=goal)
    assert plan.boot_ram_bytes == 0
    assert plan.storage_choices[0].decode in {"row", "layer"}


def test_speed_takes_plain_weights_rather_than_ram():
    plan = plan_graph(graph_of(0.3, ("dense8", "codebook")), M4, goal="speed")
    assert plan.boot_ram_bytes == 0


@pytest.mark.parametrize("goal", ["speed", "balanced", "size", "ram"])
@pytest.mark.parametrize("time", DECODES)
def test_what_is_asked_for_by_name_is_done(goal, time):
    graph = graph_of(0.07, (), unit=8)
    graph = allow_storage(graph, graph.nodes[0].inputs[1], ("huffman",), (time,))
    plan = plan_graph(graph, M4, goal=goal)
    assert plan.storage_choices[0].decode == time
    assert plan.kernel(plan.stages[0]).decode == time
    assert (plan.boot_ram_bytes > 0) == (time == "boot")
    assert plan.decode_bytes(plan.stages[0]) >= (40_000 if time == "layer" else 0)


def test_without_room_layers_are_decoded_at_each_inference():
    plan = plan_graph(graph_of(0.07, ("huffman",), unit=8), M4, goal="speed", data_room=40_000)
    assert plan.boot_ram_bytes == 0
    assert plan.storage_choices[0].decode in {"row", "layer"}


def test_the_arena_comes_first():
    """Both lie in one memory: what decoding at boot may take is what the arena leaves."""
    graph = graph_of(0.07, ("huffman",), unit=8)
    free = plan_graph(graph, M4, goal="speed")
    need = free.boot_ram_bytes + free.arena_bytes
    for room, decode in ((need, "boot"), (need - 1, "row")):
        plan = plan_graph(graph, M4, goal="speed", rooms=(need,), data_room=room)
        assert plan.storage_choices[0].decode == decode


def test_what_is_asked_for_and_has_no_room_is_refused_with_numbers():
    graph = graph_of(0.07, (), unit=8)
    graph = allow_storage(graph, graph.nodes[0].inputs[1], ("huffman",), ("boot",))
    with pytest.raises(
        DoesNotFitError, match=r"need 4\d,\d+ bytes.*there are at most 1,000(.|\n)*layer 4"
    ):
        plan_graph(graph, M4, data_room=1000)


def test_a_time_at_which_nothing_decodes_is_refused():
    """A depthwise layer has no rows: a channel is a few weights."""
    params = Conv2dParams(kernel_h=3, kernel_w=3, groups=40)
    case = OpCase("one", "conv2d", params, (Act((1, 6, 6, 40)), Weights((40, 3, 3, 1)), Bias()))
    graph = case_graph(case)
    graph = allow_storage(graph, graph.nodes[0].inputs[1], ("huffman",), ("row",))
    with pytest.raises(UserError, match="by row, it can be boot or layer"):
        plan_graph(graph, M4)


def test_an_unknown_time_is_refused():
    graph = graph_of(1.0, ())
    with pytest.raises(UserError, match="'never'; there are row, layer, boot"):
        allow_storage(graph, graph.nodes[0].inputs[1], ("huffman",), ("never",))


def test_a_stored_graph_keeps_when_it_is_decoded(tmp_path):
    graph = graph_of(0.07, (), unit=8)
    graph = allow_storage(graph, graph.nodes[0].inputs[1], ("huffman",), ("boot",))
    save_graph(graph, tmp_path / "graph.npz")
    again = load_graph(tmp_path / "graph.npz", PARAMS)
    assert Layer(again, again.nodes[0]).decodes == ("boot",)


def test_a_large_layer_is_not_decoded_into_the_arena_unless_asked():
    """400 x 100 weights beside 500 activations: the arena would grow by forty kilobytes."""
    (times,) = {
        plan_graph(graph_of(0.07, ("huffman",), unit=8), M4, goal=goal).storage_choices[0].decode
        for goal in ("balanced", "size", "ram")
    }
    assert times == "row"
    small = plan_graph(graph_of(0.07, ("huffman",), 40, 100, unit=8), M4)
    assert small.arena_bytes < 5000
