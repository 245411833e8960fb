"""Compiling and linking: two images from the same model objects.

Two builds in different directories give the same bytes: every path is relative, sources and
objects come in sorted order, and nothing of time or place enters the image.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgecomp.build.board_files import CheckStream, FirmwareProtocol, write_board_files
from edgecomp.build.flags import FIRMWARE_FLAGS, OPTIMIZE_FLAGS, WARNING_FLAGS, Optimize
from edgecomp.build.link import Command, Linked, Runner, Stack, link_image
from edgecomp.build.placement import Placement
from edgecomp.build.sizes import ImageSizes, fit_problems
from edgecomp.errors import DoesNotFitError
from edgecomp.targets.boards import Board, load_boards


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
    runner = Runner(work, jobs)
    files = write_board_files(work, board, check_stream=check_stream, protocol=protocol)
    (work / "obj").mkdir(exist_ok=True)
    model = _compile(runner, board, sorted(sources), OPTIMIZE_FLAGS[optimize], "model_")
    own = _compile(runner, board, sorted({*files.common, *files.firmware, *files.check}), "-Os")
    objects = {**model, **own}

    linked = {}
    for name, main in (("firmware", files.firmware), ("check", files.check)):
        parts = [objects[source] for source in (*sorted(sources), *files.common, *main)]
        image = linked[name] = link_image(runner, board, name, parts, stack_of)
        if name == "firmware" and image.problems:
            raise DoesNotFitError(_does_not_fit(board, image, optimize))

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


def _compile(
    runner: Runner, board: Board, sources: Sequence[str], level: str, prefix: str = ""
) -> dict[str, str]:
    """Compile `sources` and return the object of each."""
    folders = sorted({f"-I{Path(source).parent.as_posix()}" for source in sources} | {"-Isrc"})
    common = (
        "arm-none-eabi-gcc",
        "-std=c99",
        "-ffp-contract=off",
        *board.core.gcc_flags,
        level,
        *FIRMWARE_FLAGS,
        *WARNING_FLAGS,
        *folders,
    )
    objects = {source: f"obj/{prefix}{Path(source).stem}.o" for source in sources}
    runner.run(*((*common, "-c", source, "-o", target) for source, target in objects.items()))
    return objects


def _does_not_fit(board: Board, image: Linked, optimize: Optimize) -> str:
    """Say what is needed, what is there, what takes the room and where it would fit."""
    largest = ", ".join(f"{s.name} {s.size_bytes:,}" for s in image.sizes.symbols[:5])
    larger = [
        other.id
        for other in load_boards().values()
        if not fit_problems(image.sizes, other, image.stack.total_bytes)
    ]
    lines = [f"the firmware does not fit {board.name}", *image.problems]
    lines.append(f"largest contributors (bytes): {largest}")
    needed: Optimize = "ram" if any(p.startswith("RAM") for p in image.problems) else "size"
    if optimize != needed:
        lines.append(f"what may help: --optimize {needed}")
    if larger:
        lines.append(f"boards that have the room: {', '.join(larger)}")
    return "\n  ".join(lines)
