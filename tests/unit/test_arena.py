"""Where blocks go, on examples whose answer is known."""

from edgecomp.plan.arena import Block, aligned, lower_bound, place


def test_a_block_takes_the_place_of_one_that_is_dead():
    offsets, total = place([Block(100, 0, 1), Block(50, 1, 2), Block(100, 2, 3)], 4)
    assert total == 152
    assert offsets[0] == offsets[2]


def test_nothing_needs_nothing():
    assert place([], 8) == ([], 0)
    assert lower_bound([], 8) == 0


def test_sizes_are_rounded_to_the_alignment():
    assert [aligned(n, 8) for n in (0, 1, 8, 9)] == [0, 8, 8, 16]
    offsets, total = place([Block(3, 0, 1), Block(5, 0, 1)], 8)
    assert sorted(offsets) == [0, 8]
    assert total == 16


def test_the_search_beats_the_usual_orders():
    blocks = [Block(8, 1, 3), Block(1, 4, 4), Block(10, 4, 6), Block(6, 2, 4), Block(6, 2, 3)]
    assert place(blocks, 1)[1] == lower_bound(blocks, 1) == 20
    assert place(blocks, 1, attempts=0)[1] == 22


def test_the_same_blocks_get_the_same_places():
    blocks = [Block(7 * n % 41 + 1, n % 5, n % 5 + n % 3) for n in range(20)]
    assert place(blocks, 4) == place(list(blocks), 4)
