"""The table of cores."""

import subprocess

import pytest

from edgecomp.build import find_tool
from edgecomp.errors import UserError
from edgecomp.targets.cores import CORES, get_core


@pytest.mark.parametrize("core", CORES, ids=lambda core: core.name)
def test_flags_make_gcc_choose_the_features_that_the_row_states(core):
    gcc = str(find_tool("arm-none-eabi-gcc").path)
    shown = subprocess.run(
        [gcc, *core.gcc_flags, "-dM", "-E", "-x", "c", "/dev/null"],
        capture_output=True,
        text=True,
        check=True,
    )
    macros = dict(line.split(" ", 2)[1:] for line in shown.stdout.splitlines())
    assert ("__ARM_FEATURE_DSP" in macros) == core.dsp
    assert ("__ARM_FEATURE_MVE" in macros) == core.mve
    assert ("__ARM_FEATURE_IDIV" in macros) == core.hardware_divide
    assert ("__ARM_FEATURE_UNALIGNED" in macros) == core.unaligned_access
    floats = int(macros.get("__ARM_FP", "0"), 0)
    assert bool(floats & 0x4) == bool(core.fpu)
    assert bool(floats & 0x8) == (core.fpu == "double")


def test_names_are_unique_and_unknown_ones_get_the_nearest():
    assert len({core.name for core in CORES}) == len(CORES)
    with pytest.raises(UserError, match="nearest: cortex-m4f"):
        get_core("cortex-m4")


def test_exception_frame_holds_the_fpu_registers_where_there_are_any():
    assert {bool(c.fpu): c.exception_frame_bytes for c in CORES} == {False: 32, True: 104}
