"""Linking one image: once without limits, to learn its sizes, and then for the board's memories."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from edgecomp.build.board_files import render_link_script
from edgecomp.build.placement import Placement, place_arenas
from edgecomp.build.sizes import ImageSizes, fit_problems, measure
from edgecomp.build.toolchain import run_tool
from edgecomp.targets.boards import Board

Command = tuple[str, ...]

_TRIAL_STACK_BYTES = 64


class Stack(Protocol):
    """What the builder must know of a stack bound (`plan.stack.StackBound`)."""

    @property
    def total_bytes(self) -> int:
        """Bytes that the linker script reserves, a multiple of 8."""


class Runner:
    """Runs commands in the working directory and remembers them in a fixed order.

    The directory appears in a command only as "$PWD", which a shell would replace as well.
    """

    def __init__(self, work: Path, jobs: int) -> None:
        """Run in `work`, at most `jobs` side by side."""
        self.work = work
        self.jobs = jobs
        self.commands: list[Command] = []

    def run(self, *commands: Command) -> None:
        """Run `commands` side by side; the first failure in their order is raised."""
        self.commands.extend(commands)
        here = [[part.replace("$PWD", str(self.work)) for part in command] for command in commands]
        with ThreadPoolExecutor(self.jobs) as pool:
            for done in [pool.submit(run_tool, command, self.work) for command in here]:
                done.result()


@dataclass(frozen=True)
class Linked:
    """One image: its sizes, its stack, where its arenas lie, or why there is no room."""

    sizes: ImageSizes
    stack: Stack
    placement: Placement | None
    problems: tuple[str, ...]


def link_image(
    runner: Runner,
    board: Board,
    name: str,
    objects: Sequence[str],
    stack_of: Callable[[Path], Stack],
) -> Linked:
    """Link an image without limits, and where what it needs is there, for good."""
    work, trial = runner.work, f"obj/{name}_trial"
    _write_script(work, f"{trial}.ld", board, _TRIAL_STACK_BYTES, unlimited=True)
    runner.run(_link(board, objects, f"{trial}.ld", trial))
    stack = stack_of(work / f"{trial}.elf")
    sizes = measure(work / f"{trial}.elf")
    problems = fit_problems(sizes, board, stack.total_bytes)
    if problems:
        return Linked(sizes, stack, None, problems)
    placement = place_arenas(
        board,
        sizes.arena_bytes - sizes.second_bytes,
        sizes.second_bytes,
        sizes.static_bytes + stack.total_bytes,
    )
    script = "board/link.ld" if name == "firmware" else "board/link_check.ld"
    _write_script(work, script, board, stack.total_bytes, placement)
    runner.run(_link(board, objects, script, name))
    runner.run(_copy(name, "binary", "bin"), _copy(name, "ihex", "hex"))
    return Linked(measure(work / f"{name}.elf"), stack, placement, ())


def _link(board: Board, objects: Sequence[str], script: str, output: str) -> Command:
    return (
        "arm-none-eabi-gcc",
        *board.core.gcc_flags,
        "-nostdlib",
        f"-T{script}",
        "-Wl,--gc-sections",
        "-Wl,--build-id=none",
        "-Wl,--fatal-warnings",
        f"-Wl,-Map={output}.map",
        *objects,
        "-lc",
        "-lgcc",
        "-o",
        f"{output}.elf",
    )


def _copy(name: str, form: str, suffix: str) -> Command:
    return ("arm-none-eabi-objcopy", "-O", form, f"{name}.elf", f"{name}.{suffix}")


def _write_script(
    work: Path,
    name: str,
    board: Board,
    stack_bytes: int,
    placement: Placement | None = None,
    *,
    unlimited: bool = False,
) -> None:
    text = render_link_script(board, stack_bytes, placement, unlimited=unlimited)
    (work / name).write_text(text, encoding="utf-8", newline="\n")
