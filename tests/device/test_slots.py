"""Two slots behind the loader in QEMU: updates, refusals, the way back, and power cuts between."""

import pytest

from edgecomp.device.flash import METHODS, FlashJob, FlashResult
from edgecomp.device.flash.job import SlotImage
from edgecomp.errors import FlashError
from tests.device.applications import application, get_board, name_of
from tests.device.test_power_cut import call_loader
from tests.device.virtual_board import VirtualBoard, virtual_board

pytestmark = pytest.mark.device

NAME = "mps2-an386"
SIZE = 6000
CODE_BYTES = 1024  # more than the code; what follows counts as weights here


def images(name: str, weights_start: int = CODE_BYTES) -> tuple[SlotImage, ...]:
    return tuple(
        SlotImage(application(NAME, name, SIZE, slot), weights_start, SIZE) for slot in (0, 1)
    )


def flash(running: VirtualBoard, name: str, *, is_first: bool = False, **options) -> FlashResult:
    if not is_first:
        call_loader(running.port)
    slots = options.pop("slots", None) or images(name)
    job = FlashJob(running.board, b"", 0, port=running.port, slots=slots, **options)
    return METHODS["loader"].run(job)


def test_updates_alternate_and_can_be_taken_back(loader_of, tmp_path):
    with virtual_board(get_board(NAME), tmp_path, elf=loader_of(NAME)) as running:
        first = flash(running, "A", is_first=True)
        assert (first.slot, first.version, first.written_bytes) == (0, 1, SIZE)
        assert name_of(running.port) == "A"
        second = flash(running, "B")
        assert (second.slot, second.version) == (1, 2)
        running.reset()
        assert name_of(running.port) == "B"
        assert flash(running, "B").written_bytes == 0

        back = flash(running, "B", rollback=True)
        assert (back.slot, back.version) == (0, 1)
        running.reset()
        assert name_of(running.port) == "A"
        with pytest.raises(FlashError, match="nothing to return to"):
            flash(running, "B", rollback=True)
        assert name_of(running.port) == "A", "what can be started is started"

        third = flash(running, "C")
        assert (third.slot, third.version) == (1, 2)
        assert name_of(running.port) == "C"


def test_weights_alone_are_refused_with_other_code(loader_of, tmp_path):
    with virtual_board(get_board(NAME), tmp_path, elf=loader_of(NAME)) as running:
        with pytest.raises(FlashError, match="the code that runs is not the code"):
            flash(running, "A", is_first=True, weights_only=True)
        flash(running, "A", is_first=True)
        # The name is part of the code here: it is other code, unless it counts as weights.
        with pytest.raises(FlashError, match="the code that runs is not the code"):
            flash(running, "B", weights_only=True)
        assert name_of(running.port) == "A"
        same_code = images("B", weights_start=0x40)
        updated = flash(running, "B", weights_only=True, slots=same_code)
        assert (updated.slot, updated.version) == (1, 2)
        assert name_of(running.port) == "B"


def test_an_image_for_all_of_the_flash_ends_the_slots(loader_of, tmp_path):
    with virtual_board(get_board(NAME), tmp_path, elf=loader_of(NAME)) as running:
        flash(running, "A", is_first=True)
        flash(running, "B")
        call_loader(running.port)
        METHODS["loader"].run(
            FlashJob(running.board, application(NAME, "W", SIZE), 0x4000, port=running.port)
        )
        running.reset()
        assert name_of(running.port) == "W", "the second slot still holds B, which is older"
        assert flash(running, "A").slot == 0
        running.reset()
        assert name_of(running.port) == "A", "not B, which was left over with a later version"
