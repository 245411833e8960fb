"""Every board of the table: both images link, lie where they should and hold only its code."""

import pytest
from elftools.elf.elffile import ELFFile

from edgecomp.build import verify_isa
from edgecomp.targets.boards import load_boards

BOARDS = load_boards()


def segments(elf):
    with elf.open("rb") as stream:
        return [
            (s["p_vaddr"], s["p_paddr"], s["p_filesz"], s["p_memsz"])
            for s in ELFFile(stream).iter_segments("PT_LOAD")
            if s["p_memsz"]
        ]


@pytest.mark.parametrize("name", BOARDS)
def test_both_images_link_for(name, built):
    board, images = BOARDS[name], built(name)
    for elf in (images.firmware, images.check):
        verify_isa(elf, board.core)
        rooms = (board.image, *board.ram)
        for vaddr, paddr, in_file, in_memory in segments(elf):
            assert any(r.origin <= vaddr and vaddr + in_memory <= r.end for r in rooms)
            if in_file:
                assert board.image.origin <= paddr
                assert paddr + in_file <= board.image.end


@pytest.mark.parametrize("name", BOARDS)
def test_image_file_begins_with_the_vector_table(name, built):
    board, firmware = BOARDS[name], built(name).firmware
    image = firmware.with_suffix(".bin").read_bytes()
    stack_top, reset = (int.from_bytes(image[at : at + 4], "little") for at in (0, 4))
    assert stack_top == board.data.origin + built(name).firmware_stack.total_bytes
    assert board.image.origin < reset < board.image.origin + len(image)
    assert reset & 1
    assert len(image) == built(name).sizes.flash_bytes
