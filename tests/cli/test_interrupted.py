"""Full disks and Ctrl-C: the previous output stays, nothing temporary and no emulator is left."""

import errno
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from edgecomp import pipeline
from tests.cli.conftest import BOARD, Inputs
from tests.cli.support import (
    FAST,
    call,
    fingerprint,
    node,
    press_ctrl_c,
    refused,
    start,
    write_model,
)

PATIENCE_S = 60.0
INTERRUPTED = 130


def arguments(tiny: Inputs, out: Path) -> tuple[str | Path, ...]:
    return ("build", tiny.model, "--board", BOARD, "--data", tiny.data, *FAST, "-o", out)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS])
@pytest.mark.parametrize("step", ["save_graph", "manifest", "measure_model"])
def test_disk_fails_in_the_middle(
    number: int, step: str, built: Path, tiny: Inputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    before = fingerprint(built)
    monkeypatch.setattr(pipeline, step, fail)
    answer = call(*arguments(tiny, built))
    refused(answer, str(built), os.strerror(number), "nothing was changed", "-o")
    assert fingerprint(built) == before
    assert [path.name for path in built.parent.iterdir()] == [built.name]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Return a function that makes a file system of a given size; skip where that is forbidden."""
    mounts: list[Path] = []

    def mount(size: str) -> Path:
        folder = tmp_path / f"disk{size}"
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
        if os.geteuid() or subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("mounting a file system is not allowed here")
        mounts.append(folder)
        return folder

    yield mount
    for folder in mounts:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("room", ["40k", "80k", "140k", "200k", "260k"])
def test_full_disk(room: str, tiny: Inputs, small_disk: Callable[[str], Path]) -> None:
    """Full while writing sources, compiling, linking, copying: always the same answer."""
    disk = small_disk(room)
    answer = call(*arguments(tiny, disk / "out"))
    refused(answer, str(disk / "out"), "No space left on device", "free some space")
    assert not list(disk.iterdir())


def test_full_disk_under_a_single_file(
    tiny: Inputs, built: Path, small_disk: Callable[[str], Path], tmp_path: Path
) -> None:
    disk = small_disk("4k")
    (disk / "filler").write_bytes(bytes(4096))
    model = disk / "int8.onnx"
    answer = call("quantize", tiny.model, "--data", tiny.data, *FAST[:4], "-o", model)
    refused(answer, str(model), "No space left on device")
    np.savez(tmp_path / "x.npz", x=np.zeros((400, 1, 8, 8)))
    answers = disk / "answers.npz"
    arguments = ("run", built, "--input", tmp_path / "x.npz", "--engine", "reference")
    refused(call(*arguments, "--dump-tensors", answers), str(answers), "No space left on device")
    assert [path.name for path in disk.iterdir()] == ["filler"]


def test_full_disk_keeps_the_previous_output(
    pristine: Path, tiny: Inputs, small_disk: Callable[[str], Path]
) -> None:
    disk = small_disk("400k")
    shutil.copytree(pristine, disk / "out")
    before = fingerprint(disk / "out")
    refused(call(*arguments(tiny, disk / "out")), "No space left on device")
    assert fingerprint(disk / "out") == before
    assert [path.name for path in disk.iterdir()] == ["out"]


def wait_until(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.01)


def programs_of(session: int) -> list[str]:
    """Names of the processes that `start` began and that are still there."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            status = (entry / "stat").read_text()
        except OSError:
            continue
        name, fields = status[status.index("(") + 1 : status.rindex(")")], status.rsplit(")")[-1]
        if int(fields.split()[3]) == session and fields.split()[0] != "Z":
            found.append(name)
    return found


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder where everything started now keeps its temporary files."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    return folder


def test_ctrl_c_while_the_data_are_read(built: Path, tiny: Inputs, temporary: Path) -> None:
    source = temporary.parent / "slow.py"
    marker = temporary.parent / "reading"
    source.write_text(
        f"import pathlib, time\n\ndef data():\n    pathlib.Path({str(marker)!r}).touch()\n"
        "    time.sleep(60)\n"
    )
    before = fingerprint(built)
    process = start(
        "build", tiny.model, "--board", BOARD, "--data", f"{source}:data", "-o", built,
        cwd=temporary.parent,
    )  # fmt: skip
    wait_until(marker.exists, process)
    press_ctrl_c(process)
    out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == INTERRUPTED, err
    assert out == ""
    assert err.splitlines()[-1] == "interrupted; nothing was changed"
    assert "Traceback" not in err
    assert fingerprint(built) == before
    assert [path.name for path in built.parent.iterdir()] == [built.name]
    assert not list(temporary.iterdir())


@pytest.fixture(scope="module")
def heavy(tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    """Return a network whose samples keep an emulator busy for many seconds, but not the host."""
    folder = tmp_path_factory.mktemp("heavy")
    rng = np.random.default_rng(0)
    weights = {
        "w": rng.normal(0, 0.2, (32, 8, 3, 3)).astype(np.float32),
        "b": rng.normal(0, 0.1, 32).astype(np.float32),
    }
    nodes = [
        node("Conv", "image w b", "conv", pads=[1, 1, 1, 1]),
        node("GlobalAveragePool", "conv", "score"),
    ]
    model = write_model(folder / "heavy.onnx", nodes, [1, 8, 48, 48], weights, outputs=4)
    np.savez(folder / "heavy.npz", x=rng.normal(0, 1, (100, 8, 48, 48)).astype(np.float32))
    return Inputs(model, folder / "heavy.npz")


@pytest.mark.device
@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, INTERRUPTED), (signal.SIGTERM, 128 + signal.SIGTERM)]
)
def test_interrupted_while_the_emulator_runs(
    number: int, status: int, heavy: Inputs, built: Path, temporary: Path
) -> None:
    before = fingerprint(built)
    process = start(
        "build", heavy.model, "--board", BOARD, "--data", heavy.data, "--limit", "0",
        "--calibration", "minmax", "--calibration-samples", "4", "-o", built,
        cwd=temporary.parent,
    )  # fmt: skip
    wait_until(lambda: programs_of(process.pid).count("qemu-system-arm") == 2, process)
    if number == signal.SIGINT:
        press_ctrl_c(process)
    else:
        process.send_signal(number)
    _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == status, err
    assert err.splitlines()[-1] == "interrupted; nothing was changed"
    assert "Traceback" not in err
    assert programs_of(process.pid) == []
    assert fingerprint(built) == before
    assert [path.name for path in built.parent.iterdir()] == [built.name]
    assert not list(temporary.iterdir())
