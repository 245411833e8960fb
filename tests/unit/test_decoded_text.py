"""The C of layers on decoded weights: only the layer's own function names the array."""

import pytest

from edgecomp.codegen.decoded import signature_of
from edgecomp.codegen.rows import layer_function
from edgecomp.kernels.packing import packing_of
from edgecomp.targets.cores import get_core
from tests.unit.test_packing import CASES, CORES, computed


@pytest.mark.parametrize("core", CORES)
def test_only_the_last_function_names_the_array(core):
    seen = set()
    for _, layer, kernel in computed(get_core(core), CASES[::3]):
        packing = packing_of(kernel, layer)
        if packing is None or kernel.name in seen:
            continue
        seen.add(kernel.name)
        text, _ = layer_function("L00", layer, kernel)
        signature, _ = signature_of(text)
        assert signature.endswith(")"), f"{kernel.name}: a signature is one line"
        before = text.partition(signature)[0]
        assert f"L00_{packing.constant.name}" not in before, kernel.name
    assert len(seen) > 3
