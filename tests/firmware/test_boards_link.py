"""Every board of the table: both images link, lie where they should and hold only its code."""

from itertools import pairwise

import pytest
from elftools.elf.elffile import ELFFile

from edgecomp.build import verify_isa
from edgecomp.device.flash.uf2 import decode_uf2, encode_uf2, family_of
from edgecomp.targets.boards import load_boards

BOARDS = load_boards()
XIP = 0x10000000
FLEXSPI = 0x60000000


def segments(elf):
    with elf.open("rb") as stream:
        return [
            (s["p_vaddr"], s["p_paddr"], s["p_filesz"], s["p_memsz"])
            for s in ELFFile(stream).iter_segments("PT_LOAD")
            if s["p_memsz"]
        ]


def words(image, at, count):
    return [int.from_bytes(image[i : i + 4], "little") for i in range(at, at + 4 * count, 4)]


def crc32_mpeg2(data):
    """CRC-32 with the polynomial 04c11db7, not reflected, as the RP2040's boot ROM computes it."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1 ^ 0x04C11DB7 if crc & 0x80000000 else crc << 1) & 0xFFFFFFFF
    return crc


def image_of(built, name):
    return built(name).firmware.with_suffix(".bin").read_bytes()


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
def test_sections_do_not_overlap(name, built):
    for elf in (built(name).firmware, built(name).check):
        with elf.open("rb") as stream:
            spans = sorted(
                (s["sh_addr"], s["sh_addr"] + s["sh_size"])
                for s in ELFFile(stream).iter_sections()
                if s["sh_flags"] & 2 and s["sh_size"]  # SHF_ALLOC
            )
        assert all(one[1] <= other[0] for one, other in pairwise(spans))


@pytest.mark.parametrize("name", BOARDS)
def test_vector_table_of_the_image_file(name, built):
    board, image = BOARDS[name], image_of(built, name)
    stack_top, reset = words(image, board.vectors_addr - board.image.origin, 2)
    assert stack_top == board.data.origin + built(name).firmware_stack.total_bytes
    assert board.image.origin < reset < board.image.origin + len(image)
    assert reset & 1
    assert len(image) == built(name).sizes.flash_bytes
    assert board.vectors_addr % (256 if board.core.is_v6m else 512) == 0


def test_rp2040_second_stage_has_its_crc(built):
    image = image_of(built, "rpi_pico")
    assert words(image, 252, 1) == [crc32_mpeg2(image[:252])]
    assert BOARDS["rpi_pico"].vectors_addr == XIP + 0x100


def test_rp2350_block_lies_in_the_first_4_kib_and_closes(built):
    image = image_of(built, "rpi_pico2")
    block = BOARDS["rpi_pico2"].header.at
    assert block + 20 <= 4096
    start, item, last, link, end = words(image, block, 5)
    assert (start, end) == (0xFFFFDED3, 0xAB123579)
    assert item == 0x10210142  # executable, Arm, secure, RP2350
    assert last == 0x000001FF  # one word of items
    assert link == 0  # the loop of blocks has one member


@pytest.mark.parametrize(("name", "size"), [("teensy40", 2 << 20), ("teensy41", 8 << 20)])
def test_imxrt_flash_configuration_and_vector_table(name, size, built):
    image = image_of(built, name)
    assert image[:4] == b"FCFB"
    assert words(image, 0x50, 1) == [size]
    assert words(image, 0x1C0, 2) == [256, 4096]
    read, mode, data = words(image, 0x80, 3)
    assert (read & 0xFF, read >> 16 & 0xFF) == (0xEB, 24)
    assert mode & 0xFF == 0x20
    assert data >> 26 == 31  # and again from the start
    header, entry, _, dcd, boot_data, itself, signature, _ = words(image, 0x1000, 8)
    assert header == 0x432000D1
    assert (entry, itself, boot_data) == (FLEXSPI + 0x2000, FLEXSPI + 0x1000, FLEXSPI + 0x1020)
    assert (dcd, signature) == (0, 0)
    assert words(image, 0x1020, 3) == [FLEXSPI, len(image), 0]


def test_k64f_stays_unlocked(built):
    image = image_of(built, "frdm_k64f")
    assert image[0x400:0x410] == bytes.fromhex("ffffffffffffffffffffffff feffffff")


def test_boards_of_a_core_share_their_objects(built, objects):
    built("nucleo_f401re")
    built("nucleo_f446re")
    assert objects.hits > 5


@pytest.mark.parametrize("name", ["rpi_pico", "rpi_pico2", "adafruit_feather_m4"])
def test_uf2_puts_the_image_where_it_was_linked(name, built):
    board, image = BOARDS[name], image_of(built, name)
    made = encode_uf2(image, board.image.origin, family_of(board))
    content, addr, family = decode_uf2(made)
    assert content[: len(image)] == image
    assert (addr, family) == (board.image.origin, family_of(board))
    first = words(made, 0, 4)
    assert first[:2] == [0x0A324655, 0x9E5D5157]
    assert first[3] == board.flash.origin + board.link_offset


def test_only_known_headers_are_before_or_behind_the_vectors():
    assert {b.boot_header for b in BOARDS.values()} == {"", "rp2040", "rp2350", "imxrt", "kinetis"}
