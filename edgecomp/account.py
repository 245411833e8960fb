"""What a build writes about itself: the manifest, the report, the plan as text."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edgecomp import __version__
from edgecomp.artifact import layout_of, stored_tensors
from edgecomp.build.compile import Images
from edgecomp.build.link import Stack
from edgecomp.build.placement import Placement
from edgecomp.build.toolchain import find_tool
from edgecomp.compressing import model_taken
from edgecomp.compression_account import compression_report
from edgecomp.measure import Measured, layer_sqnr
from edgecomp.paths import sha256_of
from edgecomp.plan.planner import macs_of
from edgecomp.plan.stack import StackBound
from edgecomp.plan.types import Plan
from edgecomp.request import QuantizedModel, Request
from edgecomp.saving import Saving
from edgecomp.storage_account import storage_report
from edgecomp.targets.boards import Board


def _relative_source(source: str | None, out: Path) -> str | None:
    """The name of a data set or metric as it is valid from the output folder."""
    if source is None or not Path(source).suffix:
        return source
    path, colon, function = source.rpartition(":")
    file, suffix = (path, f":{function}") if colon and path.endswith(".py") else (source, "")
    return Path(os.path.relpath(Path(file).resolve(), out.resolve())).as_posix() + suffix


def manifest(
    request: Request,
    model: QuantizedModel,
    plan: Plan,
    board: Board,
    images: Images,
    build_id: int,
    folder: Path,
) -> str:
    """The text of `manifest.json`: hashes, versions, exact commands, plan."""
    graph = model.graph
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    document = {
        "edgecomp": __version__,
        "model": Path(request.model).name,
        "board": board.id,
        "core": board.core.name,
        "options": {
            "calibration": request.calibration or model.recipe.quantize.calibration,
            "calibration_samples": model.samples.calibration_count,
            "numerics": "tflite"
            if any(n.numerics == "tflite" for n in graph.nodes)
            else "edgecomp",
            "activations": "int16" if graph.has_int16 else "int8",
            "float_layers": list(model.calibration.float_layers),
            "optimize": request.optimize,
            "keep_input": request.keep_input,
            "stream_input": request.stream_input,
            "stream": asdict(request.stream) if request.stream else None,
            "loader": request.loader,
            "weights_slot": request.weights_slot,
            "protocol": request.protocol,
            "metric": _relative_source(request.metric, request.out),
            "recipe": model.recipe.model_dump(),
        },
        "tools": {"arm-none-eabi-gcc": find_tool("arm-none-eabi-gcc").version},
        "commands": [" ".join(command) for command in images.commands],
        "sha256": {path.relative_to(folder).as_posix(): sha256_of(path) for path in files},
        "data": {
            "source": _relative_source(request.data, request.out),
            "calibration_source": _relative_source(request.calibration_data, request.out),
            "calibration_samples": request.calibration_samples,
            "split": "calibration = numpy default_rng(0).permutation(n)[:k]; accuracy = the rest",
            "preprocessing": asdict(model.samples.preprocessing),
        },
        "build_id": build_id,
        "stack": {
            "firmware": _stack(images.firmware_stack),
            "check": _stack(images.check_stack),
        },
        "stream": _stream(model),
        "layout": asdict(layout_of(plan, build_id)),
        "stored": [asdict(entry) for entry in stored_tensors(plan)],
        "plan": {
            "arena_bytes": plan.arena_bytes,
            "state_bytes": plan.state_bytes,
            "lower_bound_bytes": plan.lower_bound_bytes,
            "keep_input": plan.keep_input,
            "buffers": [asdict(buffer) for buffer in plan.buffers.values()],
        },
    }
    return json.dumps(document, indent=2) + "\n"


def _stream(model: QuantizedModel) -> dict[str, Any] | None:
    """What a tick is, where the network is streamed; `delays` as the outputs lie in the graph."""
    if model.stream is None:
        return None
    return {
        "axis": model.stream.axis,
        "frames": model.stream.frames,
        "first_tick": model.stream.first_tick,
        "outputs": [
            {"axis": model.stream.axes.get(name), "delay": model.stream.delays.get(name)}
            for name in model.stream.graph.outputs
        ],
    }


def _stack(bound: Stack) -> dict[str, Any]:
    """The worst case of one image and the chain of calls that leads there."""
    assert isinstance(bound, StackBound)
    return asdict(bound) | {"total_bytes": bound.total_bytes}


@dataclass(frozen=True)
class Report:
    """The report's values; `report/report.schema.json` says what they are."""

    values: dict[str, Any]

    def to_json(self) -> str:
        """The text of `report.json`."""
        return json.dumps(self.values, indent=2) + "\n"


def build_report(
    request: Request,
    model: QuantizedModel,
    plan: Plan,
    board: Board,
    images: Images,
    measured: Measured,
    saving: Saving | None = None,
) -> Report:
    """Collect the report of a build."""
    file = Path(request.model.rpartition(":")[0] or request.model)
    file = file if file.is_file() else Path(request.model)
    dataset = model.samples.accuracy_set or model.samples.calibration_set
    sqnr = layer_sqnr(model.calibration.reference, model.full_graph, dataset)
    sizes, stack = images.sizes, images.firmware_stack.total_bytes
    return Report(
        {
            "edgecomp": __version__,
            "board": board.id,
            "core": board.core.name,
            "model": {
                "file": Path(request.model).name,
                "sha256": sha256_of(file) if file.is_file() else "",
            },
            "macs": macs_of(plan.graph),
            "macs_model": macs_of(model.float_graph),
            "flash": {
                "code_bytes": sizes.code_bytes,
                "application_bytes": sizes.application_bytes,
                "weights_bytes": sizes.weights_bytes,
                "total_bytes": sizes.flash_bytes,
            },
            "ram": {
                "arena_bytes": sizes.arena_bytes,
                "static_bytes": sizes.static_bytes,
                "stack_bytes": stack,
                "total_bytes": sizes.arena_bytes + sizes.static_bytes + stack,
                "second_arena_bytes": sizes.second_bytes,
                "memories": _memories(board, images.placement),
            },
            "activations": "int16" if model.graph.has_int16 else "int8",
            "float_layers": [
                {"layer": layer, "asked": pattern}
                for layer, pattern in model.calibration.float_layers.items()
            ],
            "left_in_integers": [
                {"layer": layer, "reason": reason}
                for layer, reason in model.calibration.left_in_integers.items()
            ],
            "stream": saving and asdict(saving),
            "fits": True,
            "accuracy": measured.accuracy,
            "bit_exact": measured.bit_exact,
            "observed": measured.observed,
            "storage": (storage := storage_report(plan, sizes)),
            "compression": compression_report(
                model_taken(request.model, request.out, model.recipe),
                model.float_graph,
                plan,
                storage,
            ),
            "layers": [
                {
                    "name": stage.name,
                    "ops": list(stage.ops),
                    "kernel": stage.kernel,
                    "storage": stage.storage or None,
                    "macs": plan.macs(stage),
                    "weights_bytes": plan.weights_bytes(stage),
                    "decode_ram_bytes": plan.decode_bytes(stage),
                    "arena_offset": plan.buffer(stage.output).arena_offset,
                    "sqnr_db": sqnr.get(stage.output),
                }
                for stage in plan.stages
            ],
        }
    )


def _memories(board: Board, placement: Placement) -> dict[str, str | None]:
    """Which memory holds what."""
    return {
        "stack_and_data": board.data.name,
        "arena": placement.arena.name,
        "second_arena": placement.second.name if placement.second else None,
    }


def plan_text(plan: Plan) -> str:
    """The plan for people: what lies where, and when."""
    bound = f"{plan.arena_bytes} bytes, bound {plan.lower_bound_bytes}"
    lines = [f"arena: {bound}"]
    if plan.state_bytes:
        lines.append(f"behind it {plan.state_bytes} bytes that are kept between runs")
    if plan.second_bytes:
        lines.append(f"of these {plan.second_bytes} in a second arena, from {plan.second_at} on")
    lines += ["", "first  last   offset    bytes  tensor"]
    lines += [
        f"{b.first_use:5d} {b.last_use:5d} {b.arena_offset:8d} {b.size_bytes:8d}  {b.name}"
        for b in sorted(plan.buffers.values(), key=lambda b: (b.first_use, b.arena_offset))
    ]
    return "\n".join(lines) + "\n"
