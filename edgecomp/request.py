"""What a user asks for, and what the first half of a build makes of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edgecomp.build.board_files import FirmwareProtocol
from edgecomp.build.flags import Optimize
from edgecomp.config import Recipe, read_recipe
from edgecomp.ir import Graph
from edgecomp.passes.stream import Stream
from edgecomp.quant import CalibrationReport
from edgecomp.samples import Samples


@dataclass(frozen=True)
class StreamRequest:
    """A network that is to be run tick by tick.

    Attributes:
        axis: of time, in the model's own input; found by trying unless given.
        frames: that a tick takes; as few as possible unless given.
    """

    axis: int | None = None
    frames: int | None = None


@dataclass(frozen=True)
class Request:
    """What the user asked for; the fields are the options of `edgecomp build`."""

    model: str
    board: str
    out: Path
    data: str | None = None
    calibration_data: str | None = None
    recipe: Path | None = None
    input_shapes: Mapping[str, Sequence[int]] | None = None
    preprocessing: Mapping[str, Any] | None = None
    calibration: str | None = None
    calibration_samples: int = 200
    numerics: str | None = None
    activations: str | None = None
    float_layers: tuple[str, ...] = ()
    optimize: Optimize = "balanced"
    metric: str | None = None
    tune: bool = False
    keep_input: bool = False
    stream_input: bool = False
    stream: StreamRequest | None = None
    keep_dead_channels: bool = False
    loader: bool = False
    weights_slot: bool = False
    protocol: FirmwareProtocol = "edgecomp"
    limit: int = 100
    boards_file: Path | None = None


def recipe_of(request: Request) -> Recipe:
    """What the request's recipe says.

    Raises:
        RecipeError: it cannot be read, or is wrong.
    """
    return read_recipe(request.recipe) if request.recipe else Recipe()


def with_samples(request: Request) -> Request:
    """The request with the recipe's samples, where the command names none.

    Without `--data`, `data.test` measures and `data.train` calibrates; `--calibration-data` goes
    before the latter.

    Raises:
        RecipeError: the recipe cannot be read, or is wrong.
    """
    if request.data is not None:
        return request
    given = recipe_of(request).data
    return replace(
        request, data=given.test, calibration_data=request.calibration_data or given.train
    )


@dataclass(frozen=True)
class QuantizedModel:
    """Result of the first half: a graph of integers and how it came about.

    Attributes:
        float_graph: the model in real numbers.
        full_graph: the same in integers.
        graph: the same without dead channels.
        calibration: how the scales were found.
        samples: the data.
        recipe: what was asked for.
        stream: `graph` as it is run tick by tick, where that is asked for.
    """

    float_graph: Graph
    full_graph: Graph
    graph: Graph
    calibration: CalibrationReport
    samples: Samples
    recipe: Recipe
    stream: Stream | None = None

    @property
    def run_graph(self) -> Graph:
        """What one run computes."""
        return self.stream.graph if self.stream else self.graph
