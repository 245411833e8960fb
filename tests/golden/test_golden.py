"""The generated files of one small model, word for word, so that every change is seen."""

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


def test_a_missing_golden_file_says_what_to_do(golden):
    with pytest.raises(AssertionError, match="--update-golden"):
        type(golden)(update=False).check("no such file", "")
