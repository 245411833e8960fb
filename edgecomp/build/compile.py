"""Compiling and linking: two images from the same model objects, and the host's check program.

Two builds in different directories give the same bytes: every path is relative, sources and
objects come in sorted order, and nothing of time or place enters the image.
"""

import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from edgecomp.build.board_files import (
    CheckStream,
    FirmwareProtocol,
    render_link_script,
    write_board_files,
)
from edgecomp.build.placement import Placement, place_arenas
from edgecomp.build.sizes import ImageSizes, fit_problems, measure
from edgecomp.build.toolchain import run_tool
from edgecomp.errors import DoesNotFitError
from edgecomp.paths import firmware_dir
from edgecomp.targets.boards import Board, load_boards

Optimize = Literal["balanced", "speed", "size", "ram"]
Command = tuple[str, ...]

OPTIMIZE_FLAGS: dict[str, str] = {"balanced": "-O2", "speed": "-O3", "size": "-Os", "ram": "-Os"}
WARNING_FLAGS = (
    "-Wall",
    "-Wextra",
    "-Wpedantic",
    "-Wconversion",
    "-Wshadow",
    "-Wundef",
    "-Wdouble-promotion",
    "-Werror",
)
FIRMWARE_FLAGS = (
    "-ffunction-sections",
    "-fdata-sections",
    "-fno-common",
    "-fno-unwind-tables",
    "-fno-asynchronous-unwind-tables",
    "-ffile-prefix-map=$PWD=.",
)
_TRIAL_STACK_BYTES = 64


class Stack(Protocol):
    """What the builder must know of a stack bound (`plan.stack.StackBound`)."""

    @property
    def total_bytes(self) -> int:
        """Bytes that the linker script reserves, a multiple of 8."""


@dataclass(frozen=True)
class Images:
    """What `compile_images` made, with ELF paths below the working directory.

    `sizes` and `placement`, the memories of its arenas, are those of the firmware. `check` is None
    where the harness, which is a little larger than the firmware, does not fit the board;
    `check_problems` then says why.
    """

    firmware: Path
    check: Path | None
    sizes: ImageSizes
    placement: Placement
    firmware_stack: Stack
    check_stack: Stack
    commands: tuple[Command, ...]
    check_problems: tuple[str, ...] = ()


class _Runner:
    """Runs commands in the working directory and remembers them in a fixed order.

    The directory appears in a command only as "$PWD", which a shell would replace as well.
    """

    def __init__(self, work: Path, jobs: int) -> None:
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


def compile_images(
    work: Path,
    board: Board,
    sources: Sequence[str],
    *,
    stack_of: Callable[[Path], Stack],
    optimize: Optimize = "balanced",
    check_stream: CheckStream | None = None,
    protocol: FirmwareProtocol = "edgecomp",
    jobs: int = 2,
) -> Images:
    """Compile the model once and link `firmware` and `check` with it.

    Args:
        work: a directory of the caller's that holds the generated files; filled as the
            package's docstring says.
        board: what to build for.
        sources: the model's C files relative to `work`; headers are looked for beside them.
        stack_of: the worst-case stack of an ELF file, see `plan.stack.stack_bound`.
        optimize: gcc's level for the model's files; all others are compiled for size.
        check_stream: how the check image talks, the board's own way unless given.
        protocol: what the firmware answers.
        jobs: compilers that run side by side.

    Raises:
        ToolError: the toolchain is missing or a command failed.
        DoesNotFitError: the firmware needs more than the board has.
    """
    runner = _Runner(work, jobs)
    files = write_board_files(work, board, check_stream=check_stream, protocol=protocol)
    (work / "obj").mkdir(exist_ok=True)
    model = _compile(runner, board, sorted(sources), OPTIMIZE_FLAGS[optimize], "model_")
    own = _compile(runner, board, sorted({*files.common, *files.firmware, *files.check}), "-Os")
    objects = {**model, **own}

    linked = {}
    for name, main in (("firmware", files.firmware), ("check", files.check)):
        parts = [objects[source] for source in (*sorted(sources), *files.common, *main)]
        image = linked[name] = _link_image(runner, board, name, parts, stack_of)
        if name == "firmware" and image.problems:
            raise DoesNotFitError(
                _does_not_fit(board, image.sizes, image.stack, image.problems, optimize)
            )

    firmware, check = linked["firmware"], linked["check"]
    assert firmware.placement is not None
    return Images(
        firmware=work / "firmware.elf",
        check=None if check.problems else work / "check.elf",
        sizes=firmware.sizes,
        placement=firmware.placement,
        firmware_stack=firmware.stack,
        check_stack=check.stack,
        commands=tuple(runner.commands),
        check_problems=check.problems,
    )


@dataclass(frozen=True)
class _Linked:
    """One image: its sizes, its stack, where its arenas lie, or why there is no room."""

    sizes: ImageSizes
    stack: Stack
    placement: Placement | None
    problems: tuple[str, ...]


def _link_image(
    runner: _Runner,
    board: Board,
    name: str,
    objects: Sequence[str],
    stack_of: Callable[[Path], Stack],
) -> _Linked:
    """Link an image without limits, and where what it needs is there, for good."""
    work, trial = runner.work, f"obj/{name}_trial"
    _write_script(work, f"{trial}.ld", board, _TRIAL_STACK_BYTES, unlimited=True)
    runner.run(_link(board, objects, f"{trial}.ld", trial))
    stack = stack_of(work / f"{trial}.elf")
    sizes = measure(work / f"{trial}.elf")
    problems = fit_problems(sizes, board, stack.total_bytes)
    if problems:
        return _Linked(sizes, stack, None, problems)
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
    return _Linked(measure(work / f"{name}.elf"), stack, placement, ())


def _compile(
    runner: _Runner, board: Board, sources: Sequence[str], level: str, prefix: str = ""
) -> dict[str, str]:
    """Compile `sources` and return the object of each."""
    folders = sorted({f"-I{Path(source).parent.as_posix()}" for source in sources} | {"-Isrc"})
    common = (
        "arm-none-eabi-gcc",
        "-std=c99",
        *board.core.gcc_flags,
        level,
        *FIRMWARE_FLAGS,
        *WARNING_FLAGS,
        *folders,
    )
    objects = {source: f"obj/{prefix}{Path(source).stem}.o" for source in sources}
    runner.run(*((*common, "-c", source, "-o", target) for source, target in objects.items()))
    return objects


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


def _does_not_fit(
    board: Board,
    sizes: ImageSizes,
    stack: Stack,
    problems: Sequence[str],
    optimize: Optimize,
) -> str:
    """Say what is needed, what is there, what takes the room and where it would fit."""
    largest = ", ".join(f"{s.name} {s.size_bytes:,}" for s in sizes.symbols[:5])
    larger = [
        other.id
        for other in load_boards().values()
        if not fit_problems(sizes, other, stack.total_bytes)
    ]
    lines = [f"the firmware does not fit {board.name}", *problems]
    lines.append(f"largest contributors (bytes): {largest}")
    needed: Optimize = "ram" if any(p.startswith("RAM") for p in problems) else "size"
    if optimize != needed:
        lines.append(f"what may help: --optimize {needed}")
    if larger:
        lines.append(f"boards that have the room: {', '.join(larger)}")
    return "\n  ".join(lines)


def compile_host_check(
    work: Path,
    sources: Sequence[str],
    *,
    compiler: Literal["gcc", "clang"] = "gcc",
    sanitizers: Sequence[str] = (),
    optimize: Optimize = "balanced",
    output: str = "check_host",
) -> Path:
    """Compile the check program for this host from the same model sources.

    Args:
        work: the working directory.
        sources: the model's C files relative to `work`.
        compiler: gcc or clang.
        sanitizers: of "address" and "undefined"; any finding then ends the program.
        optimize: as in `compile_images`.
        output: the program's name.

    Returns:
        The path of the program.
    """
    folder = work / "host"
    folder.mkdir(exist_ok=True)
    headers = ("platform.h", "attributes.h", "crc32.h", "paint.h")
    names = ("check.c", "io_host.c", "probe_host.c", *headers)
    for name in names:
        shutil.copyfile(firmware_dir() / "app" / name, folder / name)
    own = [f"host/{name}" for name in names if name.endswith(".c")]
    guards = [f"-fsanitize={','.join(sanitizers)}", "-fno-sanitize-recover=all"]
    run_tool(
        [
            compiler,
            "-std=c99",
            OPTIMIZE_FLAGS[optimize],
            *WARNING_FLAGS,
            *(guards if sanitizers else []),
            "-Isrc",
            "-Ihost",
            *sorted(sources),
            *own,
            "-o",
            output,
        ],
        work,
    )
    return work / output
