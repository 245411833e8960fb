"""The four networks of MLPerf Tiny, driven by the client in both modes, on real samples."""

from pathlib import Path

import numpy as np
import pytest

from edgecomp.artifact import open_artifact
from edgecomp.codegen.mlperf import TASKS
from edgecomp.device.virtual import virtual_board
from edgecomp.pipeline import build
from tests.e2e.real_models import MODELS, data_file, request
from tests.mlperf.runner import MODEL, Runner
from tests.mlperf.samples import agree, expected

pytestmark = [pytest.mark.device, pytest.mark.slow]

BOARD = "mps2-an386"
TASK = {task.name: task for task in TASKS}
COUNTS = {"kws": 200, "ic": 50, "vww": 5, "ad": 20}


def samples_of(name: str, data_dir: Path, work: Path) -> tuple[list[bytes], np.ndarray | None]:
    """Return samples as the benchmark's files have them, with labels where there are any."""
    count = COUNTS[name]
    own = {"kws": "kws01_int8_mfcc.npz", "ic": "cifar10_ic01_lossless200.npz"}.get(name)
    path = data_dir / "datasets" / own if own else data_file(MODELS[name], data_dir, work)
    with np.load(path) as file:
        rows = (
            file["x"][:count] if own else file["x"][-count:]
        )  # ours began with the calibration set
        return [row.tobytes() for row in rows], file["y"][:count] if own else None


@pytest.mark.parametrize("name", COUNTS)
def test_both_modes(name, data_dir, tmp_path):
    asked = request(name, BOARD, data_dir, tmp_path, protocol="mlperf", limit=2)
    build(asked)
    built = open_artifact(asked.out)
    task = TASK[f"{name}01"]
    samples, labels = samples_of(name, data_dir, tmp_path)
    wanted = expected(built, task, samples)
    assert np.ptp(wanted.codes.astype(int)) >= 10
    with (
        virtual_board(built.board, built.folder / "firmware.elf") as board,
        Runner(board.port) as runner,
    ):
        assert runner.find("profile", MODEL) == task.name
        got = runner.accuracy(samples)
        agree(got, wanted, 2e-5 if task.result_is_error else 0.0)
        rate = runner.performance(samples[0], inferences=3)
    correct = "no labels"
    if labels is not None:
        on_device = np.array(got).argmax(axis=1)
        on_host = np.array(wanted.results).argmax(axis=1)
        correct = (
            f"{(on_device == labels).mean():.4f}, on the host {(on_host == labels).mean():.4f}"
        )
    print(
        f"{task.name}: {len(samples)} samples, {correct}; {rate:.3g} inferences/s of QEMU's clock"
    )
