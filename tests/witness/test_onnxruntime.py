"""The integers of every operator beside onnxruntime's float arithmetic on the same codes."""

from dataclasses import dataclass, replace
from fractions import Fraction
from math import floor

import numpy as np
import pytest

from edgecomp.fixedpoint import PRECISE_MULTIPLIER
from edgecomp.interp import run_int
from edgecomp.ir import QParams
from edgecomp.ops import OPS
from edgecomp.requant import prepare_node
from tests.ops.tables import ALL_CASES
from tests.support.bounds import code_error_bound
from tests.support.cases import MADE_FOR_STREAMS, case_graph, random_codes, real_outputs
from tests.witness.exact import exact_code, is_half_way
from tests.witness.runtime import Runtime

ELEMENTS = 12_000
"""Elements that are compared per case, about."""
ALLOWED = 1e-4
MORE_THAN_ONE = 2e-3
"""Share of a recurrent layer's codes that may be 2 or more apart."""
NEAR = Fraction(1, 1000)
"""How near to half-way an element must lie, at least, on which the two differ."""


@dataclass
class Count:
    """What was compared, and what was set aside."""

    elements: int = 0
    different: int = 0
    half_way: int = 0
    coarse: int = 0
    worst: int = 0


def precise(graph, node):
    """Which output channels have multipliers of at least 2^17, or None where that is no matter."""
    constants = prepare_node(node, graph.node_inputs(node), graph.node_output(node))
    multiplier = getattr(constants, "multiplier", None)
    if node.op not in {"conv2d", "dense", "matmul"}:
        return None
    return np.abs(multiplier) >= PRECISE_MULTIPLIER


def with_general_scales(graph, seed):
    """Scales whose ratios are nothing special.

    The cases' own ratios are often 1, 2 or 1/3, but for the last bit of a float32 scale: then the
    real result lies within 1e-7 of half-way between two codes in a great share of all elements,
    and float32 arithmetic decides those by chance.
    """
    rng = np.random.default_rng(seed)
    (node,) = graph.nodes
    if node.op == "embedding":
        # The scale of indices is 1, and rows have that of their table.
        return graph
    moved = OPS[node.op].same_qparams
    common = rng.uniform(0.9, 1.1)
    tensors = {}
    for name, tensor in graph.tensors.items():
        q = tensor.qparams
        if q is not None and q.axis is None:
            factor = common if moved else rng.uniform(0.9, 1.1)
            q = QParams.per_tensor(q.scalar * factor, q.zero_point)
        tensors[name] = replace(tensor, qparams=q)
    if node.op in {"conv2d", "dense"} and len(node.inputs) > 2:
        x, weights, bias = (tensors[name] for name in node.inputs)
        scales = x.qparams.scalar * np.broadcast_to(weights.qparams.scale, bias.shape)
        tensors[bias.name] = replace(bias, qparams=QParams.per_channel(scales, 0))
    return graph.replace(tensors=tensors)


def compare(case, count):
    graph = with_general_scales(case_graph(case), case.seed)
    (node,) = graph.nodes
    samples = int(np.clip(ELEMENTS // graph.tensors["y"].size, 8, 600))
    codes = random_codes(graph, np.random.default_rng(case.seed + 7), samples)
    got = run_int(graph, codes)["y"].astype(np.int64)
    witness = np.clip(Runtime(graph)(codes)["y"], -128, 127)
    valid = np.ones(got.shape, bool)
    if case.op in {"unary", "div"}:
        # Where the function has no value, neither side has anything to say.
        valid = np.isfinite(real_outputs(graph, codes)["y"])
    fine = precise(graph, node)
    if fine is not None:
        count.coarse += int((~np.broadcast_to(fine, got.shape)).sum())
        valid &= fine
    count.elements += int(valid.sum())
    different = valid & (got != witness)
    for sample, *index in np.argwhere(different):
        exact = exact_code(graph, node, codes, sample, index)
        if exact is None:
            continue
        assert abs(abs(exact - floor(exact)) - Fraction(1, 2)) < NEAR, (case.id, float(exact))
        if is_half_way(exact):
            count.half_way += 1
            different[(sample, *index)] = False
    count.different += int(different.sum())
    if different.any():
        count.worst = max(count.worst, int(np.abs(got - witness)[different].max()))


def is_clipped(case):
    """Whether it is an LSTM whose cells are clipped, which ONNX cannot say."""
    (node,) = case_graph(case).nodes
    return np.isfinite(getattr(node.params, "cell_clip", np.inf))


REMEMBERING = ("lstm", "gru", "rnn")
"""Their int16 gates are no float32 numbers: see the test of their own."""


@pytest.mark.parametrize("op", [op for op in OPS if op not in MADE_FOR_STREAMS.union(REMEMBERING)])
def test_operator_agrees_with_onnxruntime(op, record_property):
    count = Count()
    for case in ALL_CASES:
        if case.op == op and case.numerics == "edgecomp":
            compare(case, count)
    record_property("witness", str(count))
    print(f"{op}: {count}")
    assert count.elements >= 20_000
    assert count.worst <= 1, count
    assert count.different <= ALLOWED * count.elements, count


@pytest.mark.parametrize("op", REMEMBERING)
def test_recurrent_layer_agrees_with_onnxruntime(op):
    """As far as its bound says: onnxruntime keeps its hidden states in float32."""
    elements = different = 0
    for case in ALL_CASES:
        if case.op != op or is_clipped(case):
            continue
        graph = with_general_scales(case_graph(case), case.seed)
        (node,) = graph.nodes
        codes = random_codes(graph, np.random.default_rng(case.seed + 7), 60)
        got = run_int(graph, codes)["y"].astype(np.int64)
        witness = np.clip(Runtime(graph)(codes)["y"], -128, 127)
        distance = np.abs(got - witness)
        assert distance.max() <= max(code_error_bound(graph, node) + 0.5, 1), case.id
        elements += got.size
        different += int((distance > 1).sum())
    assert elements >= 10_000
    assert different <= MORE_THAN_ONE * elements, (different, elements)
