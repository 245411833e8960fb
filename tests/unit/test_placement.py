"""Which memory holds the arena of an image, and what happens where none can."""

from dataclasses import replace

from edgecomp.build.placement import Placement, arena_rooms, place_arenas
from edgecomp.targets.boards import Region, get_board

F4 = get_board("stm32f4_disco")  # 128 K of SRAM for everything, 64 K of CCM for data alone
H7 = get_board("nucleo_h743zi2")  # 128 K of DTCM, which also holds the stack, 512 K of AXI SRAM
KIB = 1024


def names(placement: Placement | None) -> tuple[str, ...] | None:
    if placement is None:
        return None
    return tuple(r.name for r in (placement.arena, placement.second) if r is not None)


def test_a_small_arena_lies_in_the_fastest_memory():
    assert names(place_arenas(H7, 100 * KIB, 0, 2 * KIB)) == ("dtcm",)


def test_a_larger_one_in_the_next_that_holds_it():
    assert names(place_arenas(H7, 127 * KIB, 0, 2 * KIB)) == ("axi_sram",)
    assert names(place_arenas(H7, 512 * KIB, 0, 2 * KIB)) == ("axi_sram",)
    assert place_arenas(H7, 512 * KIB + 8, 0, 2 * KIB) is None


def test_stack_and_data_count_where_they_lie():
    assert names(place_arenas(F4, 126 * KIB, 0, 2 * KIB)) == ("sram",)
    assert place_arenas(F4, 126 * KIB + 8, 0, 2 * KIB) is None
    assert place_arenas(F4, 8, 0, 129 * KIB) is None


def test_two_arenas_lie_in_two_memories():
    assert names(place_arenas(F4, 120 * KIB, 60 * KIB, 2 * KIB)) == ("sram", "ccm")
    assert names(place_arenas(F4, 60 * KIB, 120 * KIB, 2 * KIB)) == ("ccm", "sram")
    assert place_arenas(F4, 120 * KIB, 65 * KIB, 2 * KIB) is None


def test_rooms_leave_something_for_stack_and_data():
    assert arena_rooms(F4) == (126 * KIB, 64 * KIB)
    assert arena_rooms(H7) == (512 * KIB, 126 * KIB)


def test_code_memory_and_what_must_be_powered_hold_no_arena():
    board = replace(F4, ram=(F4.ram[0], Region("itcm", 0, 1024 * KIB, arena=False)))
    assert arena_rooms(board) == (126 * KIB,)
    assert {r.name for r in H7.ram} - {r.name for r in H7.arenas} == {"itcm", "d2_sram", "d3_sram"}
