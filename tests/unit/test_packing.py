"""Where weights lie in the arrays of kernels: found in all that keep them, and put back exactly."""

import numpy as np
import pytest

from edgecomp.kernels import KERNELS, Layer
from edgecomp.kernels.packing import packing_of
from edgecomp.targets.cores import get_core
from tests.ops.tables import ALL_CASES
from tests.support.cases import case_graph

CASES = [case for case in ALL_CASES if case.op in {"conv2d", "dense"}]
CORES = ("cortex-m0", "cortex-m3", "cortex-m4f", "cortex-m55")
TRANSFORMED = {
    "winograd_dsp", "winograd_dsp_shared", "winograd_4x4_dsp", "winograd_2x4_dsp",
    "winograd_1x4_dsp", "winograd_m0", "winograd_m3", "winograd_mve", "conv2d_phases_dsp",
}  # fmt: skip
"""Kernels that keep other numbers instead of the weights, or leave out zeros."""


def computed(core, cases):
    """Each case with every kernel of plain weights that computes it."""
    for case in cases:
        graph = case_graph(case)
        layer = Layer(graph, graph.nodes[0])
        for kernel in KERNELS.values():
            fits = kernel.op == layer.node.op and layer.node.numerics in kernel.numerics
            if fits and kernel.storage == "dense8" and kernel.applies(layer, core) is None:
                yield case, layer, kernel


@pytest.mark.parametrize("core", CORES)
def test_every_array_is_taken_apart_and_put_together(core):
    seen, found = set(), set()
    for case, layer, kernel in computed(get_core(core), CASES):
        packing = packing_of(kernel, layer)
        seen.add(kernel.name)
        if packing is None:
            continue
        found.add(kernel.name)
        weights = packing.weights
        assert weights.shape == (packing.records, packing.row), kernel.name
        if packing.in_words:
            again, wanted = packing.packed(weights), packing.constant.values.reshape(-1)
            assert np.array_equal(again, wanted), f"{kernel.name} on {case.id}"
        # Channels may be there twice, and bytes between weights that are none are 0.
        wanted = np.count_nonzero(layer.inputs[1].value)
        assert np.count_nonzero(weights) >= wanted, f"{kernel.name} on {case.id}"
    assert seen - found == seen & TRANSFORMED, "a kernel of transformed weights is named above"


def test_other_weights_give_other_words():
    """The words are a function of the weights, not a copy of them."""
    (_, layer, kernel), *_ = computed(get_core("cortex-m4f"), CASES)
    packing = packing_of(kernel, layer)
    assert packing is not None
    weights = packing.weights.copy()
    weights[0, 0] ^= 1
    again = packing.packed(weights)
    assert np.count_nonzero(again != packing.constant.values.reshape(-1)) == 1
