"""What a network of the zoo would cost on a board, before it is trained.

Its weights are random, but its shapes, kernels and memory plan are those that it will have.
"""

import fnmatch
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from edgecomp.build.flags import Optimize
from edgecomp.config import Recipe
from edgecomp.errors import DoesNotFitError
from edgecomp.frontend import read_model
from edgecomp.ir import Graph
from edgecomp.pipeline import build
from edgecomp.profiling import profile_folder
from edgecomp.request import Request
from edgecomp.targets.boards import get_board

SAMPLES = 24


def zoo_source(architecture: str, parameters: Mapping[str, Any]) -> str:
    """The name under which every command takes a network: `zoo:NAME?width=0.5&classes=4`.

    >>> zoo_source("resnet8", {"width": 0.5, "input": None})
    'zoo:resnet8?width=0.5'
    """
    given = "&".join(f"{key}={value}" for key, value in parameters.items() if value is not None)
    name = architecture if architecture.startswith("zoo:") else f"zoo:{architecture}"
    return name + (("&" if "?" in name else "?") + given if given else "")


def draft(
    source: str,
    board: str,
    *,
    optimize: Optimize = "balanced",
    boards_file: Path | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Build a network with random weights for a board, count one inference, and keep nothing.

    Returns:
        `model`, `board`, `core`, `macs`, `parameters`, `flash` and `ram` as in `report.json`,
        `instructions`, `modelled_cycles` and `modelled_ms`.

    Raises:
        UserError: there is no such network or board.
        DoesNotFitError: it does not fit; the message says what is too large.
    """
    graph = read_model(source)
    request = Request(
        source,
        board,
        Path("out"),
        optimize=optimize,
        boards_file=boards_file,
        keep_dead_channels=True,  # which are dead is for training to decide
    )
    try:
        found = linked(graph, request, say)
    except DoesNotFitError as error:
        raise DoesNotFitError(
            f"{source} does not fit {board}\n{error}\n"
            "  try a smaller --width, --depth or --input, or --optimize ram"
        ) from error
    parameters = sum(t.size for t in graph.tensors.values() if t.is_const)
    return {"model": source, "parameters": parameters, **found}


def linked(
    graph: Graph, request: Request, say: Callable[[str], None] = lambda text: None
) -> dict[str, Any]:
    """Build as `request` says, but in a temporary folder, and count one inference.

    Without a data set random samples calibrate: good for sizes and cycles, not for answers.

    Args:
        graph: the network of `request.model`.
        request: what to build.
        say: told of progress.
    """
    with tempfile.TemporaryDirectory(prefix="edgecomp-") as temporary:
        out = Path(temporary) / "out"
        changes: dict[str, Any] = {"out": out, "calibration": "minmax", "limit": 1}
        if request.data is None:
            changes["data"] = str(_random_samples(graph, Path(temporary) / "random.npz"))
        report = build(replace(request, **changes), say)
        say("counting one inference in the emulator")
        profile = profile_folder(out, boards_file=request.boards_file)
    return {
        **{key: report[key] for key in ("board", "core", "macs", "flash", "ram")},
        **{key: profile[key] for key in ("instructions", "modelled_cycles", "modelled_ms")},
    }


def measure_for(board: str | None, recipe: Recipe) -> Callable[..., dict[str, Any]] | None:
    """What builds a graph for a board and counts an inference; None without a board.

    Args:
        board: its name.
        recipe: names samples that calibrate, random ones do where it names none; and layers and
            activations that are wider than int8.

    Raises:
        UserError: there is no such board.
    """
    if board is None:
        return None
    get_board(board)
    data, wide = recipe.data, recipe.quantize

    def measure(graph: Graph, file: Path) -> dict[str, Any]:
        request = Request(
            model=str(file),
            board=board,
            out=Path("out"),
            data=data.train,
            preprocessing=data.model_dump() if data.train else None,
            activations=wide.activations,
            # Those of a layer that a later step makes are not there yet.
            float_layers=tuple(
                pattern
                for pattern in wide.float_layers
                if fnmatch.filter((node.name for node in graph.nodes), pattern)
            ),
        )
        try:
            return linked(graph, request)
        except DoesNotFitError as error:
            return {"board": board, "problem": str(error)}

    return measure


def _random_samples(graph: Graph, path: Path) -> Path:
    """Write samples that a network could be given."""
    rng = np.random.default_rng(0)
    shapes = [_model_shape(graph.views, n, graph.tensors[n].shape) for n in graph.inputs]
    names = ["x"] if len(shapes) == 1 else [graph.io_names.get(n, n) for n in graph.inputs]
    np.savez(
        path,
        allow_pickle=False,
        **{
            name: rng.normal(0, 1, (SAMPLES, *shape)).astype(np.float32)
            for name, shape in zip(names, shapes, strict=True)
        },
    )
    return path


def _model_shape(views: Mapping[str, Any], name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Shape of one sample, as the model wants it."""
    return tuple(views[name].shape[1:] if name in views else shape[1:])
