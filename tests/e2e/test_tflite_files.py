"""int8 TFLite files as firmware: the host's bits, and less of everything than TFLM needs."""

import pytest

from benchmarks.anchors import TFLM_ARENA_BYTES, TFLM_INSTRUCTIONS
from benchmarks.run import measure
from benchmarks.tflite import BOARDS, FILES, GOAL

QUICK = ("mps2-an386", "ad")
M4_ARENA_BYTES = TFLM_ARENA_BYTES["mps2-an386"]


@pytest.mark.device
@pytest.mark.parametrize(
    ("board", "name"),
    [
        pytest.param(board, name, marks=() if (board, name) == QUICK else pytest.mark.slow)
        for board in BOARDS
        for name in FILES
        if name in TFLM_INSTRUCTIONS[board]
    ],
)
def test_fewer_instructions_and_less_memory_than_tflm(board, name, data_dir, tmp_path):
    found = measure(data_dir / "models" / FILES[name], 0, board, GOAL, tmp_path)
    assert not isinstance(found, str), found
    assert found["instructions"] < TFLM_INSTRUCTIONS[board][name]
    # Its arena differs by core only where kernels want scratch: the M4's is among the smallest.
    assert found["arena_bytes"] < M4_ARENA_BYTES[name]
