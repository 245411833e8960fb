"""The check image: the same bits on the host and on every emulated core."""

import zlib

import numpy as np
import pytest
from fake_support import EMULATED, INPUTS, LAYOUT, reference

from edgecomp.device import HostEngine, QemuEngine, run_firmware, run_samples
from edgecomp.targets.boards import get_board


def test_host_computes_what_numpy_computes(on_host):
    stages = reference(INPUTS)
    for got, expected in zip(on_host.dumps, stages, strict=True):
        np.testing.assert_array_equal(got, expected)
    np.testing.assert_array_equal(on_host.outputs[0], stages[-1])
    assert len(np.unique(stages[-1])) > 10


def test_crcs_are_those_of_the_dumped_tensors(on_host):
    expected = [[zlib.crc32(row.tobytes()) for row in stage] for stage in on_host.dumps]
    np.testing.assert_array_equal(on_host.stage_crcs, np.array(expected, np.uint32).T)


@pytest.mark.device
@pytest.mark.parametrize("name", EMULATED)
def test_device_equals_host_bit_for_bit(name, built, on_host):
    engine = QemuEngine(get_board(name), built(name).check)
    got = run_samples(engine, LAYOUT, INPUTS, stage_crcs=True, dump=True, timeout_s=60)
    np.testing.assert_array_equal(got.stage_crcs, on_host.stage_crcs)
    for ours, host in zip(got.dumps, on_host.dumps, strict=True):
        np.testing.assert_array_equal(ours, host)
    np.testing.assert_array_equal(got.outputs[0], on_host.outputs[0])
    assert got.guard_ok
    assert got.arena_high_water_bytes == LAYOUT.arena_bytes


@pytest.mark.device
@pytest.mark.parametrize("name", EMULATED)
@pytest.mark.parametrize("crcs", [False, True])
def test_painted_stack_stays_within_the_bound(name, crcs, built):
    images = built(name)
    engine = QemuEngine(get_board(name), images.check)
    got = run_samples(engine, LAYOUT, INPUTS, stage_crcs=crcs, timeout_s=60)
    bound = images.check_stack.without_exception_bytes
    assert got.stack_high_water_bytes <= bound
    assert bound <= 1.25 * got.stack_high_water_bytes + 64


@pytest.mark.device
@pytest.mark.parametrize("samples", [1, 7, 8])
def test_samples_keep_their_order_however_they_are_shared(samples, built):
    engine = QemuEngine(get_board("mps2-an386"), built("mps2-an386").check)
    got = run_samples(engine, LAYOUT, INPUTS[:samples], timeout_s=60)
    np.testing.assert_array_equal(got.outputs[0], reference(INPUTS[:samples])[-1])
    assert got.stage_crcs is None
    assert got.dumps is None


@pytest.mark.device
@pytest.mark.parametrize("name", ["mps2-an386", "mps2-an505", "microbit"])
def test_firmware_image_answers_over_its_uart(name, built):
    outputs = run_firmware(get_board(name), built(name).firmware, LAYOUT, INPUTS[:3])
    np.testing.assert_array_equal(outputs[0], reference(INPUTS[:3])[-1])


def test_host_runs_without_stage_flags_too(host_program):
    got = run_samples(HostEngine(host_program), LAYOUT, INPUTS)
    np.testing.assert_array_equal(got.outputs[0], reference(INPUTS)[-1])
