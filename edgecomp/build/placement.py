"""Which memory of a board holds which arena: the first listed that has the room."""

from dataclasses import dataclass

from edgecomp.targets.board import Board, Region

_DATA_RESERVE_BYTES = 2048
"""What a plan leaves of the memory that also holds the stack and the static data, at least."""

_ALIGN_BYTES = 16
"""What the linker may skip in front of an arena, at most."""


@dataclass(frozen=True)
class Placement:
    """The memories of the arena and of the second one, if there is one."""

    arena: Region
    second: Region | None = None


def arena_rooms(board: Board) -> tuple[int, ...]:
    """Bytes that an arena could have in each memory of the board, the largest first.

    How much of the memory that also holds the stack and the static data they take is known only
    once the image is linked; until then some of it is set aside.
    """
    rooms = (
        region.size - (_DATA_RESERVE_BYTES if region == board.data else 0)
        for region in board.arenas
    )
    return tuple(sorted((room for room in rooms if room > 0), reverse=True))


def data_room(board: Board) -> int:
    """Bytes of the memory of the stack and the static data that more static data could have."""
    return max(board.data.size - _DATA_RESERVE_BYTES, 0)


def usual_placement(board: Board) -> Placement:
    """Everything in the first memory, as an image is linked to learn its sizes."""
    return Placement(board.arenas[0])


def place_arenas(
    board: Board, arena_bytes: int, second_bytes: int, data_bytes: int
) -> Placement | None:
    """Choose the memories of both arenas.

    Args:
        board: its memories are tried as they are listed, the fastest first.
        arena_bytes: of the arena.
        second_bytes: of the second arena, 0 where there is none.
        data_bytes: stack and static data, which lie in `board.data`, of an image that is linked
            with the usual placement.

    Returns:
        None where there is no room.
    """
    # Then what the linker skips in front of the arena has been counted.
    linked_there = usual_placement(board).arena == board.data and not second_bytes

    def has_room(region: Region, need: int) -> bool:
        if region == board.data:
            need += data_bytes + (0 if linked_there else _ALIGN_BYTES)
        return need <= region.size

    if data_bytes > board.data.size:
        return None
    for arena in (region for region in board.arenas if has_room(region, arena_bytes)):
        if not second_bytes:
            return Placement(arena)
        for second in board.arenas:
            if second != arena and has_room(second, second_bytes):
                return Placement(arena, second)
    return None
