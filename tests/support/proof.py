"""Running bundles on the host and on emulated cores, and naming the first difference."""

import functools
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from edgecomp.build import Images, compile_host_check, compile_images
from edgecomp.device import CheckResult, HostEngine, QemuEngine, run_samples
from edgecomp.errors import DoesNotFitError
from edgecomp.plan.stack import stack_bound
from edgecomp.targets.boards import Board, get_board
from edgecomp.targets.cores import get_core
from tests.support.bundle import Bundle, Model, bundle, in_pieces

IMAGE_MODELS = 200
"""Small models that go into one image: more would not fit the smallest flash of the boards."""
EMULATED = (
    "mps2-an385-v6m",
    "mps2-an385",
    "mps2-an386",
    "mps2-an500",
    "mps2-an505",
    "mps3-an547",
)
"""Boards with room for a whole bundle: M0, M3, M4F, M7, M33, M55."""
ONE_NOW_ALL_LATER = [
    pytest.param(board, marks=[] if board == "mps2-an386" else [pytest.mark.slow])
    for board in EMULATED
]
"""The Cortex-M4F in continuous integration, the other cores in `make accept`."""

SMALL_BOARD = "microbit"
SMALL_ARENA_BYTES = 12 * 1024
"""What a bundle may use of the micro:bit's 16 KiB of RAM."""


def differences(made: Bundle, result: CheckResult) -> list[str]:
    """Compare every stored tensor and every output; one line per model that differs anywhere."""
    expected = made.expected()
    assert result.dumps is not None
    found: dict[str, str] = {}
    places = [
        (stage.output, f"stage {stage.label} ({stage.name})", dump)
        for stage, dump in zip(made.plan.stages, result.dumps, strict=True)
    ] + [
        (name, "output", array)
        for name, array in zip(made.plan.graph.outputs, result.outputs, strict=True)
    ]
    for name, where, stored in places:
        wanted = expected[name].reshape(len(stored), -1)
        got = stored.view(wanted.dtype)
        if np.array_equal(got, wanted):
            continue
        sample, index = (int(n) for n in np.argwhere(got != wanted)[0])
        line = (
            f"{where}, {name}: sample {sample}, index {index}: "
            f"expected {wanted[sample, index]}, got {got[sample, index]}; "
            f"{np.count_nonzero(got != wanted)} of {got.size} differ"
        )
        found.setdefault(name.split("/")[0], line)
    if not result.guard_ok:
        found["arena"] = "bytes around the arena were written"
    if result.arena_high_water_bytes > made.plan.arena_bytes:
        found["size"] = f"the arena's high water is {result.arena_high_water_bytes}"
    return list(found.values())


def host_differences(
    models: Sequence[Model], work: Path, compiler: str = "gcc", core_name: str = "cortex-m4f"
) -> list[str]:
    """Build `models` as for a core with the host's compiler and sanitizers, run and compare.

    What the core's kernels have in assembly, the host compiles in the C that stands beside it.
    Two programs are built side by side, because the sanitizers make compiling slow.
    """
    core = get_core(core_name)

    def half(number: int) -> list[str]:
        made = bundle(models[number::2], core)
        folder = made.write(work / str(number))
        program = compile_host_check(
            folder,
            [made.c_file],
            compiler=compiler,
            sanitizers=("address", "undefined"),
            optimize="size",
        )
        result = run_samples(HostEngine(program), made.layout, made.inputs(), dump=True)
        return differences(made, result)

    with ThreadPoolExecutor(2) as pool:
        return [line for lines in pool.map(half, range(min(2, len(models)))) for line in lines]


def board_images(made: Bundle, work: Path, board: Board) -> Images:
    """Compile a bundle for a board."""
    made.write(work)
    return compile_images(
        work, board, [made.c_file], stack_of=functools.partial(stack_bound, core=board.core)
    )


def board_differences(models: Sequence[Model], work: Path, name: str) -> list[str]:
    """Build `models` for the emulated board `name`, run them there and compare.

    The stack that the harness saw must stay below its bound, too.
    """
    board = get_board(name)
    pieces = (
        list(in_pieces(models, SMALL_ARENA_BYTES, board.core))
        if name == SMALL_BOARD
        else [
            list(models[start : start + IMAGE_MODELS])
            for start in range(0, len(models), IMAGE_MODELS)
        ]
    )
    lines: list[str] = []
    for number, piece in enumerate(pieces):
        lines += _piece_differences(piece, work / str(number), board)
    return lines


def _piece_differences(models: Sequence[Model], work: Path, board: Board) -> list[str]:
    """Run one image with all `models`, or two with half of them where they do not fit."""
    made = bundle(models, board.core)
    try:
        images = board_images(made, work, board)
    except DoesNotFitError:
        if len(models) == 1:
            raise
        half = len(models) // 2
        return [
            line
            for number, part in enumerate((models[:half], models[half:]))
            for line in _piece_differences(part, work / f"part{number}", board)
        ]
    assert images.check is not None, images.check_problems
    result = run_samples(QemuEngine(board, images.check), made.layout, made.inputs(), dump=True)
    lines = differences(made, result)
    if result.stack_high_water_bytes > images.check_stack.total_bytes:
        lines.append(
            f"stack: {result.stack_high_water_bytes} bytes used, "
            f"bound {images.check_stack.total_bytes}"
        )
    return lines
