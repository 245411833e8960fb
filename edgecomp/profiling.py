"""Taking a built folder up again to see what one inference costs on its core."""

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgecomp.artifact import HARNESS_FOLDER, SOURCE_FOLDER, BuiltModel, open_artifact
from edgecomp.build import compile_images
from edgecomp.data import load_dataset
from edgecomp.device import QemuEngine
from edgecomp.errors import UserError
from edgecomp.plan.stack import stack_bound
from edgecomp.profile import Layer, profile_image
from edgecomp.samples import input_codes, random_codes
from edgecomp.targets.boards import Board, load_boards
from edgecomp.verification import flat_inputs


def profile_folder(
    folder: Path, data: str | None = None, *, boards_file: Path | None = None
) -> dict[str, Any]:
    """Count one inference of a built model and model its cycles.

    Where the board is not emulated, or its check image did not fit, the same sources are linked
    for an emulated board that executes the core's instructions; that changes addresses only.

    Args:
        folder: what `build` made.
        data: the data set whose first sample runs, the build's own unless given; where there is
            none, or it is not where it was, one sample of random codes.
        boards_file: the table that has the board, if not our own.

    Returns:
        What `edgecomp profile --json` prints; docs/cycles.md explains it.

    Raises:
        UserError: the folder, or a data set that was given, cannot be read.
        DeviceError: the image failed.
    """
    built = open_artifact(folder, boards_file)
    sample, origin = _sample(built, data)
    with _engine(built) as engine:
        profile = profile_image(
            engine, built.layout, sample, model=built.graph.name, layers=_layers(built)
        )
    return {
        "board": built.board.id,
        "core": built.board.core.name,
        "emulated_board": engine.board.id,
        "model": built.graph.name,
        "sample": origin,
        **profile.to_json(built.board.clock_hz),
    }


@contextmanager
def _engine(built: BuiltModel) -> Iterator[QemuEngine]:
    """Offer an emulated board with a check image of the built model."""
    elf = built.folder / "check.elf"
    if built.board.emulator is not None and elf.exists():
        yield QemuEngine(built.board, elf)
        return
    board = stand_in(built.board)
    with tempfile.TemporaryDirectory(prefix="edgecomp-") as temporary:
        work = Path(temporary)
        shutil.copytree(built.folder / SOURCE_FOLDER, work / SOURCE_FOLDER)
        for header in (built.folder / HARNESS_FOLDER).iterdir():
            shutil.copy(header, work / SOURCE_FOLDER)
        images = compile_images(
            work,
            board,
            [f"{SOURCE_FOLDER}/{built.graph.name}.c"],
            stack_of=lambda elf: stack_bound(elf, board.core),
            optimize=built.manifest["options"]["optimize"],
        )
        if images.check is None:
            raise UserError(
                "the model is too large even for the largest emulated board with its core: "
                + "; ".join(images.check_problems)
            )
        yield QemuEngine(board, images.check)


def stand_in(board: Board) -> Board:
    """Return the emulated board that executes what is compiled for the core of `board`.

    It has that very core, so that the compiler's flags stay, and the most RAM there is.

    Raises:
        UserError: none does.
    """
    core = board.core
    fitting = [
        other
        for other in load_boards().values()
        if other.emulator is not None
        and other.core.architecture == core.architecture
        and core.fpu in {"", other.core.fpu, "single" if other.core.fpu else ""}
    ]
    if not fitting:
        raise UserError(f"nothing that QEMU emulates executes code for the {core.title}")
    largest = {other: max(region.size for region in other.arenas) for other in fitting}
    best = max(fitting, key=lambda other: (other.core.name == core.name, largest[other]))
    return replace(best, core=core)


def _sample(built: BuiltModel, data: str | None) -> tuple[npt.NDArray[np.int8], str]:
    """Codes of one sample, and where they come from."""
    source = data or built.data
    if source is not None:
        try:
            dataset = load_dataset(source, built.whole, built.preprocessing)
        except (UserError, ImportError):
            if data is not None:
                raise
        else:
            codes = built.runs(input_codes(built.whole, dataset.take(np.array([0]))))
            first = {name: array[:1] for name, array in codes.items()}
            return flat_inputs(built.graph, first), "the first of the data set"
    return flat_inputs(built.graph, random_codes(built.graph, 1)), "random codes"


def _layers(built: BuiltModel) -> list[Layer]:
    """The stages, as the report of the build has them."""
    report = json.loads((built.folder / "report.json").read_text())
    return [
        Layer(entry["name"], tuple(entry["ops"]), entry["kernel"], entry["storage"], entry["macs"])
        for entry in report["layers"]
    ]
