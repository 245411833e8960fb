"""A model written by hand, what it computes, and how to build it."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecomp.build import Images, compile_images
from edgecomp.device import ModelLayout
from edgecomp.plan.stack import stack_bound
from edgecomp.targets.boards import Board

FAKE_MODEL = Path(__file__).parent / "fake_model"
LAYOUT = ModelLayout(
    build_id=0x1234ABCD,
    arena_bytes=272,
    input_bytes=(64,),
    output_bytes=(4,),
    stage_output_bytes=(64, 144, 4),
)
EMULATED = (
    "microbit",
    "mps2-an385",
    "mps2-an386",
    "mps2-an500",
    "mps2-an505",
    "mps3-an547",
    "mps2-an385-v6m",
    "netduinoplus2",
    "netduino2",
    "stm32vldiscovery",
    "lm3s6965evb",
)
INPUTS = np.random.default_rng(0).integers(-128, 128, (11, 64)).astype(np.int8)

# The faults that fake.c can be told to have.
UNMAPPED, ENDLESS, UNALIGNED, OVERRUN, UNDEFINED = 1, 2, 3, 4, 5


@dataclass(frozen=True)
class FixedStack:
    """A stack that is given instead of computed."""

    total_bytes: int


def write_model(work: Path, fault: int = 0) -> Path:
    """Write the hand-made model, with one of its faults, into `work`."""
    shutil.copytree(FAKE_MODEL, work / "src")
    source = work / "src" / "fake.c"
    source.write_text(f"#define FAKE_FAULT {fault}\n" + source.read_text())
    return work


def build(
    work: Path, board: Board, fault: int = 0, stack_bytes: int | None = None, **options: Any
) -> Images:
    """Build the hand-made model for `board`."""
    work.mkdir(parents=True)
    write_model(work, fault)

    def stack_of(elf: Path):
        return FixedStack(stack_bytes) if stack_bytes else stack_bound(elf, board.core)

    return compile_images(work, board, ["src/fake.c"], stack_of=stack_of, **options)


def reference(inputs: NDArray[np.int8]) -> list[NDArray[np.int8]]:
    """Compute the stages of the hand-made model in numpy: int8 [S, bytes] each."""
    table = np.array([-8, -7, -6, -5, -4, -3, -2, -1, 0, 2, 4, 6, 8, 10, 12, 14])
    weights = np.array(
        [
            [[1, 0, -1], [2, 0, -2], [1, 0, -1]],
            [[1, 2, 1], [0, 0, 0], [-1, -2, -1]],
            [[1, 1, 1], [1, 1, 1], [1, 1, 1]],
            [[0, -1, 0], [-1, 4, -1], [0, -1, 0]],
        ]
    )
    first = table[inputs.view(np.uint8) >> 4].reshape(-1, 8, 8)
    windows = np.lib.stride_tricks.sliding_window_view(first, (3, 3), axis=(1, 2))
    second = np.clip(np.einsum("nyxkl,ckl->nyxc", windows, weights), -128, 127)
    third = np.clip(np.trunc(second.sum(axis=(1, 2)) / 3), -128, 127)
    return [stage.reshape(len(inputs), -1).astype(np.int8) for stage in (first, second, third)]
