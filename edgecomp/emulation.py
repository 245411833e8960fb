"""Which image a virtual board starts with."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgecomp.artifact import open_artifact
from edgecomp.build.loader import loader_elf
from edgecomp.errors import UserError
from edgecomp.lines import FIRMWARE
from edgecomp.targets.boards import Board


@contextmanager
def image_for(
    board: Board, folder: Path | None, *, loader: bool, boards_file: Path | None = None
) -> Iterator[Path]:
    """Offer the image: the firmware of a built folder, or the resident loader.

    Raises:
        UserError: neither or both are asked for, or the folder is for another board.
    """
    if loader == (folder is not None):
        raise UserError("give either --firmware DIR or --loader: what the board starts with")
    if folder is None:
        with tempfile.TemporaryDirectory(prefix="edgecomp-") as name:
            yield loader_elf(board, Path(name))
        return
    built = open_artifact(folder, boards_file)
    if built.board.id != board.id:
        raise UserError(
            f"{folder} was built for {built.board.id}, not for {board.id}\n"
            f"  edgecomp emulate {built.board.id} --firmware {folder}"
        )
    if built.manifest["options"]["loader"]:
        raise UserError(
            f"{folder} was built to lie behind the resident loader, which has to be there first\n"
            f"  edgecomp emulate {board.id} --loader, then: edgecomp flash {folder} --port PORT"
        )
    if not (folder / FIRMWARE).exists():
        raise UserError(f"{folder} has lost its {FIRMWARE}; build the model again")
    yield folder / FIRMWARE
