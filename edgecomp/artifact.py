"""A built folder: what `build` wrote there, and how `run` and `check` take it up again."""

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgecomp.build.host import compile_host_check
from edgecomp.build.loader import behind_loader, in_slots
from edgecomp.data import Preprocessing
from edgecomp.device.bench import SerialBench
from edgecomp.device.host import HostEngine
from edgecomp.device.qemu import QemuEngine
from edgecomp.device.records import ModelLayout
from edgecomp.device.session import Place
from edgecomp.errors import UserError
from edgecomp.ir import Array, Graph
from edgecomp.ir.serialize import load_graph
from edgecomp.ops import PARAMS
from edgecomp.paths import MANIFEST, sha256_of
from edgecomp.plan.types import Plan
from edgecomp.samples import cut_into_ticks
from edgecomp.targets.boards import Board, get_board

GRAPH_FILE = "graph.npz"
WHOLE_FILE = "whole.npz"
HARNESS_FOLDER = "harness"
SOURCE_FOLDER = "src"
CHECK_IMAGE = "check.elf"
SECOND_IMAGE = "firmware_second"
REPORT = "report.json"


@dataclass(frozen=True)
class StoredTensor:
    """A tensor that a stage stores, as the check image reports it."""

    stage: int
    layer: str
    tensor: str


@dataclass(frozen=True)
class BuiltModel:
    """A built folder, opened.

    Attributes:
        folder: where it lies.
        manifest: its `manifest.json`.
        graph: the quantized graph that it computes in a run.
        whole: the network that samples of a data set fit: where `graph` is a tick, that over a
            whole sequence.
        board: what it was built for.
        layout: how to talk to its check image.
        stored: the tensors that its stages store, in order.
    """

    folder: Path
    manifest: Mapping[str, Any]
    graph: Graph
    whole: Graph
    board: Board
    layout: ModelLayout
    stored: tuple[StoredTensor, ...]

    @property
    def is_stream(self) -> bool:
        """Whether it is run tick by tick."""
        return self.manifest["stream"] is not None

    def runs(self, codes: Mapping[str, Array]) -> dict[str, Array]:
        """Codes of whole samples as codes of runs: cut into ticks where the model has them."""
        stream = self.manifest["stream"]
        if stream is None:
            return dict(codes)
        return cut_into_ticks(codes, stream["axis"], stream["frames"])

    @property
    def preprocessing(self) -> Preprocessing:
        """The preprocessing that was folded into the input's quantization."""
        given = dict(self.manifest["data"]["preprocessing"])
        for key in ("mean", "std"):
            if isinstance(given[key], list):
                given[key] = tuple(given[key])
        return Preprocessing(**given)

    @property
    def data(self) -> str | None:
        """The data set that was built with, as a path that is valid from here."""
        return self.resolve(self.manifest["data"]["source"])

    @property
    def metric(self) -> str | None:
        """The metric that was built with, valid from here; None for the data's own."""
        return self.resolve(self.manifest["options"]["metric"])

    def resolve(self, source: str | None) -> str | None:
        """A data set or metric that the manifest names relative to the folder, if it is a file."""
        if source is None or not Path(source).suffix:
            return source
        path, colon, function = source.rpartition(":")
        file, suffix = (path, f":{function}") if colon and path.endswith(".py") else (source, "")
        return f"{(self.folder / file).resolve()}{suffix}"


def layout_of(plan: Plan, number: int) -> ModelLayout:
    """Return how to talk to the check image of `plan`; `number` is its build id."""
    size = {name: tensor.size_bytes for name, tensor in plan.graph.tensors.items()}
    return ModelLayout(
        build_id=number,
        arena_bytes=plan.first_bytes,
        input_bytes=tuple(size[name] for name in plan.graph.inputs),
        output_bytes=tuple(size[name] for name in plan.graph.outputs),
        stage_output_bytes=tuple(size[stage.output] for stage in plan.stages),
        state_bytes=plan.state_bytes,
    )


def stored_tensors(plan: Plan) -> tuple[StoredTensor, ...]:
    """Return the tensors that the stages of `plan` store."""
    return tuple(StoredTensor(s.index, s.name, s.output) for s in plan.stages)


def open_artifact(folder: Path, boards_file: Path | None = None) -> BuiltModel:
    """Open a built folder; `boards_file` is the table that has its board, if not our own.

    Raises:
        UserError: it is not one, or was made by another version.
    """
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
        layout = manifest["layout"]
        stored = tuple(StoredTensor(**entry) for entry in manifest["stored"])
        board_id = manifest["board"]
        is_behind_loader = manifest["options"]["loader"]
        has_slots = manifest["options"]["weights_slot"]
        is_stream = manifest["stream"] is not None
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = error.strerror if isinstance(error, OSError) else f"{type(error).__name__} {error}"
        raise UserError(
            f"{folder} is not a folder that `edgecomp build` made ({MANIFEST}: {reason})\n"
            "  build first: edgecomp build --board NAME model.onnx -o DIR"
        ) from error
    board = get_board(board_id, boards_file)
    if has_slots:
        board = in_slots(board)[0]
    elif is_behind_loader:
        board = behind_loader(board)
    graph = load_graph(folder / GRAPH_FILE, PARAMS)
    return BuiltModel(
        folder,
        manifest,
        graph,
        load_graph(folder / WHOLE_FILE, PARAMS) if is_stream else graph,
        board,
        ModelLayout(
            build_id=layout["build_id"],
            arena_bytes=layout["arena_bytes"],
            input_bytes=tuple(layout["input_bytes"]),
            output_bytes=tuple(layout["output_bytes"]),
            stage_output_bytes=tuple(layout["stage_output_bytes"]),
            state_bytes=layout["state_bytes"],
        ),
        stored,
    )


def obstacle(built: BuiltModel) -> str | None:
    """Why the check image cannot run in QEMU, with what to do instead; None where it can."""
    if built.board.emulator is None:
        return f"{built.board.name} is not emulated: use --engine host, or flash the check image"
    if not (built.folder / CHECK_IMAGE).exists():
        return (
            f"the check image of {built.folder} did not fit {built.board.name}; "
            "use --engine host, or build for a larger board with the same core"
        )
    return None


def _verify(built: BuiltModel, name: str) -> None:
    """Refuse a file that is not the one that was built: an emulator could hang on it."""
    if sha256_of(built.folder / name) != built.manifest["sha256"].get(name):
        raise UserError(
            f"{built.folder / name} is damaged or of another build; build the model again"
        )


def read_report(folder: Path) -> dict[str, Any]:
    """The report of a built folder.

    Raises:
        UserError: it is missing or damaged.
    """
    path = folder / REPORT
    try:
        return dict(json.loads(path.read_text()))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read ({error}); build the model again") from error


@contextmanager
def open_engine(
    built: BuiltModel, name: str | SerialBench, sanitizers: tuple[str, ...] = ()
) -> Iterator[Place]:
    """Offer the place where samples run.

    Args:
        built: an opened folder.
        name: `qemu`, or `host`, for which the same C is compiled with the host's compiler; boards
            on serial lines are taken as they are.
        sanitizers: for the host: `address`, `undefined`.

    Raises:
        UserError: the board is not emulated, its check image did not fit, or files are damaged.
    """
    if isinstance(name, SerialBench):
        yield name
        return
    if name == "qemu":
        problem = obstacle(built)
        if problem:
            raise UserError(problem)
        _verify(built, CHECK_IMAGE)
        yield QemuEngine(built.board, built.folder / CHECK_IMAGE)
        return
    for part in (SOURCE_FOLDER, HARNESS_FOLDER):
        if not (built.folder / part).is_dir():
            raise UserError(f"{built.folder} has lost its folder {part}; build the model again")
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        shutil.copytree(built.folder / SOURCE_FOLDER, work / SOURCE_FOLDER)
        for header in (built.folder / HARNESS_FOLDER).iterdir():
            shutil.copy(header, work / SOURCE_FOLDER)
        source = f"{SOURCE_FOLDER}/{built.graph.name}.c"
        yield HostEngine(compile_host_check(work, [source], sanitizers=sanitizers))
