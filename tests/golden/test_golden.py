"""The generated files of one small model, word for word, so that every change is seen."""

import numpy as np
import pytest

from edgecomp import __version__
from edgecomp.targets.cores import get_core
from tests.support.small_model import generate, small_graph

FILES = ("small.h", "main.c", "CMakeLists.txt", "app_model.h", "app_stages.h")


def generated(core: str) -> dict[str, str]:
    sources = generate(small_graph(), get_core(core))
    return {
        name: text.replace(f"edgecomp {__version__}", "edgecomp x.y.z")
        for name, text in sources.items()
    }


@pytest.mark.parametrize("core", ["cortex-m0", "cortex-m4f", "cortex-m55"])
def test_the_model_is_the_golden_one(core, golden):
    golden.check(f"small-{core}.c", generated(core)["small.c"])


@pytest.mark.parametrize("name", FILES)
def test_the_files_around_it_are_the_golden_ones(name, golden):
    text = generated("cortex-m4f")[name]
    if name == "app_model.h":
        # The build id is a checksum over the other files, the version among them.
        text = "".join(line for line in text.splitlines(True) if "BUILD_ID" not in line)
    golden.check(name, text)


DECODED = {
    "conv:0": "conv2d_dsp_huffman_boot",
    "depthwise:0": "depthwise_dsp_shared_huffman_layer",
    "classes:0": "dense_generic_sparse_boot",
}
"""Kernels that decode weights once at boot, or a layer's before it runs."""


@pytest.mark.parametrize("name", ["small.c", "small.h", "main.c", "app_model.h"])
def test_decoding_of_whole_layers_is_the_golden_one(name, golden):
    sources = generate(with_zeros(small_graph()), forced=DECODED)
    text = sources[name].replace(f"edgecomp {__version__}", "edgecomp x.y.z")
    text = "".join(line for line in text.splitlines(True) if "BUILD_ID" not in line)
    golden.check(f"decoded-{name}", text)


def with_zeros(graph):
    """The graph with weights of few values, most of them 0."""
    tensors = dict(graph.tensors)
    for name, tensor in tensors.items():
        if name.endswith(".w"):
            few = tensor.value // 32 * 8 * (tensor.value % 3 == 0)
            tensors[name] = tensor.with_data(few.astype(np.int8))
    return graph.replace(tensors=tensors)


def test_a_missing_golden_file_says_what_to_do(golden):
    with pytest.raises(AssertionError, match="--update-golden"):
        type(golden)(update=False).check("no such file", "")
