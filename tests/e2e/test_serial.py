"""Real networks over the serial line of a board: `check --port` says what the host says."""

from pathlib import Path

import numpy as np
import pytest

from edgecomp.artifact import open_artifact
from edgecomp.checking import check
from edgecomp.data import load_dataset
from edgecomp.device.virtual import virtual_board
from edgecomp.errors import DeviceError
from edgecomp.interp import outputs_in_chunks
from edgecomp.lines import JOURNAL, Lines
from edgecomp.pipeline import build
from edgecomp.report.metrics import Answers, find_metric
from edgecomp.samples import input_codes, real_outputs
from edgecomp.targets.boards import get_board
from tests.e2e.real_models import BOARDS, ON_SMALL_BOARD, SMALL_BOARD, data_file, request
from tests.e2e.real_models import MODELS as REAL

pytestmark = [pytest.mark.slow, pytest.mark.device]

SAMPLES = 500
NETWORKS = ("mnist", "har", "kws")


def samples_file(name: str, data_dir: Path, work: Path) -> Path:
    """Write the samples that are asked over the line, with their labels."""
    path = work / f"{name}-line.npz"
    if not path.exists():
        with np.load(data_file(REAL[name], data_dir, work)) as file:
            np.savez(path, **{key: file[key][:SAMPLES] for key in ("x", "y")})
    return path


def host_accuracy(folder: Path, samples: Path) -> float:
    """Accuracy of the integer reference on the same samples."""
    built = open_artifact(folder)
    dataset = load_dataset(str(samples), built.graph, built.preprocessing)
    codes = outputs_in_chunks(built.graph, input_codes(built.graph, dataset), integer=True)
    answers = Answers(real_outputs(built.graph, codes), dataset.targets, dict(dataset.raw))
    return find_metric("accuracy")(answers)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("board", [*BOARDS, SMALL_BOARD])
def test_accuracy_over_the_line_is_the_hosts(name, board, data_dir, work, record_property):
    if board == SMALL_BOARD and name not in ON_SMALL_BOARD:
        pytest.skip(f"{name} is too large for {board}")
    wish = request(name, board, data_dir, work / "serial", limit=4)
    build(wish)
    samples = samples_file(name, data_dir, work)
    with virtual_board(get_board(board), wish.out / "firmware.elf") as virtual:
        report = check(wish.out, str(samples), limit=0, lines=Lines((virtual.port,)))
    assert report["bit_exact"]["mismatches"] == 0
    assert report["bit_exact"]["samples"] == SAMPLES
    assert report["check"]["tensors_compared"] == len(open_artifact(wish.out).stored)
    assert report["accuracy"]["device_samples"] == SAMPLES
    assert report["accuracy"]["device"] == host_accuracy(wish.out, samples)
    (seen,) = report["check"]["ports"]
    assert 0 < seen["stack_bytes"] <= seen["stack_room_bytes"]
    assert seen["ms"] is None  # an emulator counts no cycles
    assert not (wish.out / JOURNAL).exists()


def test_an_emulator_that_is_killed_is_gone_on_with(data_dir, work):
    wish = request("kws", "mps2-an386", data_dir, work / "killed", limit=4)
    build(wish)
    samples = samples_file("kws", data_dir, work)
    board, elf = get_board("mps2-an386"), wish.out / "firmware.elf"

    with virtual_board(board, elf, tcp=True) as virtual:

        def kill(done: int, total: int) -> None:
            if total == SAMPLES and done == SAMPLES // 2:
                virtual.process.kill()

        lines = Lines((virtual.port,), reconnect_s=1, progress=kill)
        with pytest.raises(DeviceError, match="are done and kept in"):
            check(wish.out, str(samples), limit=0, lines=lines)
    with virtual_board(board, elf) as virtual:
        report = check(wish.out, str(samples), limit=0, lines=Lines((virtual.port,)))
    assert report["check"]["resumed_samples"] >= SAMPLES // 2
    assert report["check"]["ports"][0]["samples"] <= SAMPLES // 2
    assert report["bit_exact"]["mismatches"] == 0
    assert report["bit_exact"]["samples"] == SAMPLES
