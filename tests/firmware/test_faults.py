"""Everything that can go wrong on a device is reported as what it is."""

from dataclasses import replace

import pytest
from fake_support import (
    EMULATED,
    ENDLESS,
    INPUTS,
    LAYOUT,
    OVERRUN,
    UNALIGNED,
    UNDEFINED,
    UNMAPPED,
)

from edgecomp.device import HostEngine, QemuEngine, run_samples
from edgecomp.errors import BadFrame, DeviceError, LinkTimeout
from edgecomp.targets.boards import get_board

pytestmark = pytest.mark.device


def failure(built, name, fault=0, stack_bytes=None):
    """Return the message of the DeviceError that a run ends with."""
    images = built(name, fault, stack_bytes)
    with pytest.raises(DeviceError) as caught:
        run_samples(QemuEngine(get_board(name), images.check), LAYOUT, INPUTS, timeout_s=30)
    return str(caught.value)


# QEMU lets writes to nowhere pass on its older machines; their stacks have a guard all the same.
FORGIVING = {"netduino2", "lm3s6965evb"}


@pytest.mark.parametrize("name", [name for name in EMULATED if name not in FORGIVING])
def test_access_to_nowhere_is_named_with_its_place(name, built):
    message = failure(built, name, UNMAPPED)
    kind = "HardFault" if get_board(name).core.is_v6m else "BusFault"
    assert f"{name} in QEMU" in message
    assert kind in message
    assert "in fake_run+0x" in message
    if name != "microbit":  # a Cortex-M0 has no fault address register
        assert "0xf1000000 (BFAR)" in message


@pytest.mark.parametrize("name", ["mps2-an385", "mps3-an547"])
def test_undefined_instruction_is_a_usage_fault(name, built):
    message = failure(built, name, UNDEFINED)
    assert "UsageFault: undefined instruction" in message
    assert "0 of 5 samples were done" in message or "0 of 6 samples were done" in message


@pytest.mark.parametrize("name", ["mps2-an385-v6m", "microbit"])
def test_unaligned_access_faults_on_armv6m(name, built):
    assert "HardFault" in failure(built, name, UNALIGNED)


def test_unaligned_access_is_allowed_elsewhere(built):
    images = built("mps2-an385", UNALIGNED)
    assert run_samples(QemuEngine(get_board("mps2-an385"), images.check), LAYOUT, INPUTS).guard_ok


@pytest.mark.parametrize("name", EMULATED)
def test_stack_overflow_is_named(name, built):
    message = failure(built, name, stack_bytes=128)
    assert "stack" in message.splitlines()[0]
    assert "SP 0x" in message


@pytest.mark.parametrize("name", ["mps2-an386", "microbit"])
def test_endless_loop_is_a_timeout_that_says_where(name, built):
    images = built(name, ENDLESS)
    with pytest.raises(LinkTimeout) as caught:
        run_samples(QemuEngine(get_board(name), images.check), LAYOUT, INPUTS, timeout_s=2)
    message = str(caught.value)
    assert "no end after 2 s" in message
    assert "in fake_run+0x" in message


@pytest.mark.parametrize("name", EMULATED)
def test_write_behind_the_arena_is_seen_by_the_guard(name, built):
    images = built(name, OVERRUN)
    assert not run_samples(QemuEngine(get_board(name), images.check), LAYOUT, INPUTS).guard_ok


def test_image_of_another_build_is_refused(built, host_program):
    foreign = replace(LAYOUT, build_id=0x99)
    engines = [QemuEngine(get_board("mps2-an386"), built("mps2-an386").check)]
    for engine in [*engines, HostEngine(host_program)]:
        with pytest.raises(BadFrame, match="of another build: 0x1234abcd instead of 0x00000099"):
            run_samples(engine, foreign, INPUTS)


def test_image_with_other_stages_is_refused(host_program):
    other = replace(LAYOUT, stage_output_bytes=(64, 4))
    with pytest.raises(BadFrame, match="3 stages and an arena of 272 bytes, expected 2 and 272"):
        run_samples(HostEngine(host_program), other, INPUTS)


def test_firmware_that_never_reaches_its_harness_is_reported(built):
    firmware = built("mps2-an386").firmware
    with pytest.raises(LinkTimeout, match=r"PC 0x\w+ in (main|port_try_read|protocol_idle)"):
        run_samples(QemuEngine(get_board("mps2-an386"), firmware), LAYOUT, INPUTS, timeout_s=1)
