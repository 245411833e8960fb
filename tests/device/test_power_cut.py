"""Power cuts while QEMU is being flashed: what comes up is the old, the new, or the loader.

The emulator is stopped between two instructions, its flash is kept as a file, and it is killed;
another one starts from that file. A flash is cut at random moments, an update of the weights before
each of its steps; within a step, every single word is cut short in tests/firmware/loader.
"""

import random
import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from edgecomp.device.flash import METHODS, FlashJob
from edgecomp.device.flash.an3155 import NACK, An3155
from edgecomp.device.flash.job import SlotImage, no_progress
from edgecomp.device.flash.line import open_line
from edgecomp.errors import DeviceError
from tests.device.applications import application, ask, get_board, name_of
from tests.device.virtual_board import virtual_board

pytestmark = pytest.mark.device

NAME = "mps2-an386"
ORIGIN = 0x4000
KEPT_BYTES = 256 * 1024
PATIENCE_S = 30.0
SIZE, LARGER = 12_000, 12_400
UPDATE_BYTES, CODE_BYTES = 6_000, 0x40  # all but the vector table counts as weights here
SLOTS_BYTES = 3 * 1024 * 1024


def job(port: str, name: str, size: int = SIZE) -> FlashJob:
    return FlashJob(get_board(NAME), application(NAME, name, size), ORIGIN, port=port)


def what_runs(port: str) -> str:
    """The name of the application that answers, or `loader`.

    Nobody knocks here: only a loader that waits refuses what it does not know.
    """
    with open_line(port, 115200) as line:
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            line.write(b"?")
            answer = line.read(1)
            if answer.isalpha():
                return answer.decode()
            if answer == bytes([NACK]):
                An3155(line).open(10.0)
                return "loader"
    return "nothing"


@pytest.fixture(scope="module")
def before(loader_of, tmp_path_factory) -> tuple[Path, float]:
    """A flash that holds loader and A, and how long it takes to bring B into it."""
    folder = tmp_path_factory.mktemp("before")
    with virtual_board(get_board(NAME), folder, elf=loader_of(NAME), tcp=True) as running:
        METHODS["loader"].run(job(running.port, "A"))
        call_loader(running.port)
        dump = folder / "a.bin"
        running.tell("pmemsave", val=0, size=KEPT_BYTES, filename=str(dump))
        begun = time.monotonic()
        METHODS["loader"].run(job(running.port, "B", LARGER))
        return dump, time.monotonic() - begun


def call_loader(port: str) -> None:
    with open_line(port, 115200) as line:
        assert ask(line)
        line.write(b"L")
        An3155(line).open(10.0)


def cut_once(dump: Path, folder: Path, delay_s: float) -> str:
    """Cut the power `delay_s` after flashing B over A began; return what comes up."""
    with virtual_board(get_board(NAME), folder, dump=dump, tcp=True) as running:
        call_loader(running.port)

        def flash() -> None:
            # As it must fail, unless it was quicker than the cut.
            with suppress(DeviceError):
                METHODS["loader"].run(job(running.port, "B", LARGER))

        thread = threading.Thread(target=flash)
        thread.start()
        time.sleep(delay_s)
        running.cut_power(folder / "cut.bin", KEPT_BYTES)
        thread.join()
    with virtual_board(get_board(NAME), folder, dump=folder / "cut.bin", tcp=True) as running:
        found = what_runs(running.port)
        if found == "loader":  # and the command can be repeated
            METHODS["loader"].run(job(running.port, "B", LARGER))
            assert name_of(running.port) == "B"
        return found


def cut_often(count: int, before: tuple[Path, float], folder: Path) -> Counter[str]:
    dump, whole_s = before
    rng = random.Random(count)
    found: Counter[str] = Counter()
    for _ in range(count):
        found[cut_once(dump, folder, rng.uniform(0, 1.2 * whole_s))] += 1
    assert set(found) <= {"A", "B", "loader"}, found
    return found


def test_power_cuts_leave_old_new_or_loader(before, tmp_path):
    cut_often(3, before, tmp_path)


@pytest.mark.slow
def test_two_hundred_power_cuts_leave_old_new_or_loader(before, tmp_path):
    found = cut_often(200, before, tmp_path)
    print(f"200 cuts of a flash at random moments: {dict(found)}")
    assert min(found["B"], found["loader"]) > 0, f"the cuts came all at one time: {found}"


def update(port: str, name: str, progress=no_progress) -> None:
    """Bring an application into the slot that is not running, as `--weights-only` does."""
    slots = tuple(
        SlotImage(application(NAME, name, UPDATE_BYTES, slot), CODE_BYTES, UPDATE_BYTES)
        for slot in (0, 1)
    )
    is_first = name == "A"
    job = FlashJob(get_board(NAME), b"", 0, port=port, slots=slots, weights_only=not is_first)
    METHODS["loader"].run(replace(job, progress=progress))


@pytest.fixture(scope="module")
def before_update(loader_of, tmp_path_factory) -> tuple[Path, int]:
    """A flash that holds loader and A in a slot, and the steps that bring B into the other."""
    folder = tmp_path_factory.mktemp("before-update")
    steps = []
    with virtual_board(get_board(NAME), folder, elf=loader_of(NAME), tcp=True) as running:
        update(running.port, "A")
        call_loader(running.port)
        dump = folder / "a.bin"
        running.tell("pmemsave", val=0, size=SLOTS_BYTES, filename=str(dump))
        update(running.port, "B", lambda *step: steps.append(step))
        assert name_of(running.port) == "B"
    return dump, len(steps)


def cut_update(step: int, dump: Path, folder: Path) -> str:
    """Cut the power before step number `step` of an update from A to B; return what comes up."""
    with virtual_board(get_board(NAME), folder, dump=dump, tcp=True) as running:
        call_loader(running.port)
        left = [step]

        def cut(what: str, done: int, total: int) -> None:
            if left[0] == 0:
                running.cut_power(folder / "cut.bin", SLOTS_BYTES)
            left[0] -= 1

        with suppress(DeviceError):
            update(running.port, "B", cut)
        assert left[0] < 0, "the update had fewer steps"
    with virtual_board(get_board(NAME), folder, dump=folder / "cut.bin", tcp=True) as running:
        found = what_runs(running.port)
        if found == "A":  # and the command can be repeated
            call_loader(running.port)
            update(running.port, "B")
            assert name_of(running.port) == "B"
        return found


def cut_updates(steps: Sequence[int], dump: Path, folder: Path) -> Counter[str]:
    found = Counter(cut_update(step, dump, folder) for step in steps)
    assert set(found) <= {"A", "B"}, f"the old weights or the new, and never the loader: {found}"
    return found


def test_power_cuts_of_an_update_leave_old_or_new(before_update, tmp_path):
    dump, steps = before_update
    cut_updates((steps // 2, steps - 1), dump, tmp_path)


@pytest.mark.slow
def test_power_cut_at_every_step_of_an_update_leaves_old_or_new(before_update, tmp_path):
    dump, steps = before_update
    found = cut_updates(range(steps), dump, tmp_path)
    print(f"{steps} cuts of an update, one at each step: {dict(found)}")
    assert min(found["A"], found["B"]) > 0, found
