"""Taking a built folder up again to see what one inference costs on its core."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgecomp.artifact import BuiltModel, open_artifact, open_engine
from edgecomp.data import load_dataset
from edgecomp.device import QemuEngine
from edgecomp.device.qemu import emulator_of
from edgecomp.errors import UserError
from edgecomp.profile import Layer, profile_image
from edgecomp.samples import input_codes, random_codes
from edgecomp.verification import flat_inputs


def profile_folder(
    folder: Path, data: str | None = None, *, boards_file: Path | None = None
) -> dict[str, Any]:
    """Count one inference of a built model and model its cycles.

    Args:
        folder: what `build` made.
        data: the data set whose first sample runs, the build's own unless given; where there is
            none, or it is not where it was, one sample of random codes.
        boards_file: the table that has the board, if not our own.

    Returns:
        `edgecomp profile --json`: see `docs/cycles.md`.

    Raises:
        UserError: the board is not emulated, or its check image did not fit.
        DeviceError: the image failed.
    """
    built = open_artifact(folder, boards_file)
    emulator_of(built.board)
    sample, origin = _sample(built, data)
    with open_engine(built, "qemu") as engine:
        assert isinstance(engine, QemuEngine)
        profile = profile_image(
            engine, built.layout, sample, model=built.graph.name, layers=_layers(built)
        )
    return {
        "board": built.board.id,
        "core": built.board.core.name,
        "model": built.graph.name,
        "sample": origin,
        **profile.to_json(built.board.clock_hz),
    }


def _sample(built: BuiltModel, data: str | None) -> tuple[npt.NDArray[np.int8], str]:
    """Codes of one sample, and where they come from."""
    source = data or built.data
    if source is not None:
        try:
            dataset = load_dataset(source, built.graph, built.preprocessing)
        except (UserError, ImportError):
            if data is not None:
                raise
        else:
            codes = input_codes(built.graph, dataset.take(np.array([0])))
            return flat_inputs(built.graph, codes), "the first of the data set"
    return flat_inputs(built.graph, random_codes(built.graph, 1)), "random codes"


def _layers(built: BuiltModel) -> list[Layer]:
    """The stages, as the report of the build has them."""
    report = json.loads((built.folder / "report.json").read_text())
    return [
        Layer(entry["name"], tuple(entry["ops"]), entry["kernel"], entry["storage"], entry["macs"])
        for entry in report["layers"]
    ]
