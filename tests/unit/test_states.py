"""What is kept between runs: graphs and plans that would lose it are found out."""

from dataclasses import replace

import numpy as np
import pytest

from edgecomp.errors import InternalError
from edgecomp.interp import run_int
from edgecomp.ir import DType, Graph, Node, QParams, State, Tensor
from edgecomp.ir.serialize import load_graph, save_graph
from edgecomp.ir.verify import verify
from edgecomp.ops import OPS, PARAMS
from edgecomp.ops.history import ShiftParams
from edgecomp.ops.reduce import ReduceMaxParams
from edgecomp.plan.planner import plan_graph
from edgecomp.plan.verify import verify_plan
from edgecomp.targets.cores import get_core

Q = QParams.per_tensor(0.1, -5)
LENGTH, CHANNELS = 4, 8


def graph() -> Graph:
    """A window; the largest of its old and of its new frames."""
    shapes = {
        "x": (1, 1, CHANNELS), "old": (1, LENGTH, CHANNELS), "new": (1, LENGTH, CHANNELS),
        "before": (1, 1, CHANNELS), "after": (1, 1, CHANNELS),
    }  # fmt: skip
    largest = ReduceMaxParams((1,))
    nodes = (
        Node("before", "reduce_max", ("old",), "before", largest),
        Node("new", "shift", ("old", "x"), "new", ShiftParams(1)),
        Node("after", "reduce_max", ("new",), "after", largest),
    )
    tensors = {name: Tensor(name, shape, DType.INT8, Q) for name, shape in shapes.items()}
    states = (State("old", "new", (-5,)),)
    return Graph("kept", ("x",), ("before", "after"), nodes, tensors, states=states)


def planned():
    return plan_graph(graph(), get_core("cortex-m4f"))


def test_runs_follow_one_another():
    verify(graph(), OPS)
    x = np.arange(7, dtype=np.int8).reshape(7, 1, 1, 1) * 3 + np.zeros((CHANNELS,), np.int8)
    found = run_int(graph(), {"x": x})
    assert found["after"][:, 0, 0, 0].tolist() == [0, 3, 6, 9, 12, 15, 18]
    assert found["before"][:, 0, 0, 0].tolist() == [-5, 0, 3, 6, 9, 12, 15]


def test_states_survive_a_file(tmp_path):
    many = graph().replace(states=(State("old", "new", tuple(range(LENGTH * CHANNELS))),))
    for saved in (graph(), many):
        save_graph(saved, tmp_path / "graph.npz")
        assert load_graph(tmp_path / "graph.npz", PARAMS) == saved


def test_states_lie_behind_the_arena_in_place():
    plan = planned()
    assert plan.state_bytes == LENGTH * CHANNELS
    assert plan.buffer("old").arena_offset == plan.buffer("new").arena_offset == plan.arena_bytes
    assert [stage.output for stage in plan.stages].index("before") == 0


@pytest.mark.parametrize(
    ("states", "message"),
    [
        ((State("old", "after"),), "which differs"),
        ((State("old", "new"), State("old", "new")), "is something else as well"),
        ((State("old", "new"), State("x", "after")), "is something else as well"),
        ((State("old", "new", (1, 2)),), "begins with 2 codes"),
    ],
)
def test_wrong_states_are_found(states, message):
    wrong = graph().replace(states=states, outputs=("before",))
    with pytest.raises(InternalError, match=message):
        verify(wrong, OPS)


def test_a_late_reader_is_found():
    plan = planned()
    first, second, third = plan.stages
    late = tuple(replace(stage, index=index) for index, stage in enumerate((second, first, third)))
    with pytest.raises(InternalError, match="reads 'old', part of which 'new' holds"):
        verify_plan(replace(plan, stages=late))


def test_a_state_that_is_moved_is_found():
    plan = planned()
    moved = replace(plan.buffers["old"], arena_offset=plan.arena_bytes + 8)
    apart = {**plan.buffers, "old": moved, "new": plan.buffers["old"]}
    with pytest.raises(InternalError, match=r"outside the arena|not kept|overwritten|over"):
        verify_plan(replace(plan, buffers=apart, aliases={**plan.aliases, "new": "new"}))
