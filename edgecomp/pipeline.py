"""The phases of a build, in order, and nothing else."""

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from edgecomp import __version__
from edgecomp.account import build_report, manifest, plan_text
from edgecomp.artifact import (
    GRAPH_FILE,
    HARNESS_FOLDER,
    SECOND_IMAGE,
    SOURCE_FOLDER,
    WHOLE_FILE,
    open_artifact,
)
from edgecomp.budget import check_floor, check_target
from edgecomp.build import verify_isa
from edgecomp.build.compile import Images, compile_images
from edgecomp.build.loader import behind_loader, in_slots, loader_elf
from edgecomp.build.placement import arena_rooms, data_room
from edgecomp.build.seal import seal_files
from edgecomp.build.toolchain import find_library, find_tool, find_toolchain
from edgecomp.codegen.context import Provenance, Tick, build_id, model_context
from edgecomp.codegen.emit import application_headers, model_sources
from edgecomp.codegen.mlperf import MLPERF_HEADER, mlperf_header
from edgecomp.compressing import CompressRequest, compressed_graph
from edgecomp.config import Quantize, Recipe, recipe_file
from edgecomp.data import Preprocessing
from edgecomp.device_form import device_form, takes_what_it_finds
from edgecomp.errors import ToolError, UserError
from edgecomp.exclusions import asked_numerics, asked_ticks, check_file, check_options
from edgecomp.exporting import EXPORTERS, exporter_for, onnx_refusal
from edgecomp.ir import Graph
from edgecomp.ir.serialize import save_graph
from edgecomp.ir.text import constant_outputs
from edgecomp.measure import check_metric, default_metric, layer_sqnr, measure_model
from edgecomp.paths import MANIFEST, sha256_of, staged_directory, write_atomically
from edgecomp.plan.costs import PLAIN
from edgecomp.plan.planner import macs_of, plan_graph
from edgecomp.plan.stack import stack_bound
from edgecomp.plan.types import Plan
from edgecomp.quant import QuantizeOptions, quantize_model
from edgecomp.quant.calibrate import needs_samples
from edgecomp.quant.float_layers import float_layers
from edgecomp.quant.input_codes import input_quantizer
from edgecomp.quant.sharing import insert_rescales
from edgecomp.request import QuantizedModel, Request, recipe_of, with_samples
from edgecomp.samples import Samples, load_samples
from edgecomp.saving import saving_of
from edgecomp.targets.boards import Board, get_board
from edgecomp.tuning import tune_model

Say = Callable[[str], None]


def quantize_phase(request: Request, say: Say) -> QuantizedModel:
    """Read the model, optimize it, calibrate, quantize, remove dead channels."""
    recipe = recipe_of(request)
    say("reading the model")
    float_graph = compressed_graph(
        CompressRequest(request.model, request.out, recipe, request.input_shapes),
        say,
        check=partial(_check_before_steps, request, recipe),
    )
    for line in constant_outputs(float_graph):
        say(line)
    samples = _samples(request, recipe, float_graph)
    say(f"calibrating with {samples.calibration_count} samples and quantizing")
    section = recipe.quantize
    options = QuantizeOptions(
        calibration=request.calibration or section.calibration,
        equalize=section.equalize,
        bias_correction=section.bias_correction,
        symmetric=section.symmetric,
        numerics=asked_numerics(request, section.activations),
        float_layers=(*section.float_layers, *request.float_layers),
    )
    full_graph, report = quantize_model(float_graph, samples.calibration(), options)
    for layer, reason in report.left_in_integers.items():
        say(f"--float leaves {layer} in integers: {reason}")
    check_file(request, full_graph)
    # Other weights may follow in a slot or of training; steps of a recipe say how theirs lie.
    keeps_channels = request.keep_dead_channels or request.weights_slot
    decided = bool(recipe.steps) or keeps_channels
    graph, streamed = device_form(
        full_graph,
        takes_found=not decided and takes_what_it_finds(request.model, request.optimize),
        keeps_channels=keeps_channels,
        asked=asked_ticks(request, full_graph, say),
        say=say,
    )
    return QuantizedModel(float_graph, full_graph, graph, report, samples, recipe, streamed)


def _samples(request: Request, recipe: Recipe, graph: Graph) -> Samples:
    """Load the samples and refuse what they cannot measure."""
    preprocessing = Preprocessing(**{**recipe.data.model_dump(), **(request.preprocessing or {})})
    samples = load_samples(
        graph,
        request.data,
        request.calibration_data,
        request.calibration_samples,
        preprocessing,
    )
    check_metric(request.metric, samples, graph)
    # Who only quantizes names no board, and nothing is measured.
    if request.board:
        check_floor(recipe.target, request.metric or default_metric(samples.accuracy_set, graph))
    return samples


def _check_before_steps(request: Request, recipe: Recipe, graph: Graph) -> None:
    """Refuse before a recipe's steps train what could not be built after them."""
    samples = _samples(request, recipe, graph)
    asked_numerics(request, recipe.quantize.activations)
    pinned = any(isinstance(step, Quantize) and step.how == "qat" for step in recipe.steps)
    if samples.calibration() is None and not pinned and needs_samples(insert_rescales(graph)):
        raise UserError(
            f"{graph.name} needs calibration samples after the recipe's steps: give the recipe "
            "data: {train: FILE.npz}, or a data set of real values with --data"
        )
    patterns = (*recipe.quantize.float_layers, *request.float_layers)
    if not any(step.verb == "factorize" for step in recipe.steps):
        float_layers(graph, patterns)


def build(request: Request, say: Say = lambda text: None) -> dict[str, Any]:
    """Make everything that the output folder holds; see `edgecomp build --help`.

    Args:
        request: the options.
        say: called with a line of progress as each phase begins.

    Returns:
        The report, as written to `report.json`.

    Raises:
        EdgecompError: something is wrong; the output folder is as it was before.
    """
    check_options(request)
    request = with_samples(request)
    plain_board = get_board(request.board, request.boards_file)
    board = behind_loader(plain_board) if request.loader else plain_board
    if request.weights_slot:
        board, second_board = in_slots(plain_board)
    _require_tools(board)
    with staged_directory(request.out) as folder:
        model = quantize_phase(request, say)
        table = tune_model(model.run_graph, board, say) if request.tune else None
        say("choosing kernels and planning memory")
        planned = partial(
            plan_graph,
            model.run_graph,
            board.core,
            goal=request.optimize,
            table=table,
            flash_bytes=board.image.size,
            stream_input=request.stream_input,
            rooms=arena_rooms(board),
            data_room=data_room(board),
        )
        # MLPerf's runner loads a sample once and asks for many inferences of it.
        keep_input = request.keep_input or request.protocol == "mlperf"
        plan = planned(keep_input=keep_input)
        for choice in plan.storage_choices:
            if choice.was_refused or choice.storage != PLAIN:
                say(choice.text)
        if keep_input:
            without = planned().arena_bytes
            say(f"keeping the input costs {plan.arena_bytes - without:,} bytes of the arena")
        if plan.second_bytes:
            say(f"no memory holds the arena: {plan.second_bytes:,} bytes of it go to another")
        say("generating C")
        build_id = _write_sources(folder, request, model, plan)
        if onnx_refusal(model.graph) is None:
            (folder / "model_int8.onnx").write_bytes(EXPORTERS["qdq"](model.graph))
        save_graph(model.run_graph, folder / GRAPH_FILE)
        saving = None
        if model.stream:
            save_graph(model.graph, folder / WHOLE_FILE)
        if request.stream and model.stream:
            saving = saving_of(model.graph, model.stream, plan, board.core, request.optimize)
            say(saving.text)
        say(f"compiling for {board.name}")
        images = _compile(folder, board, plan.graph.name, request)
        if request.weights_slot:
            _add_second(folder, second_board, plan.graph.name, request)
        if request.loader:
            _add_loader(folder, plain_board, version=1 if request.weights_slot else 0)
        (folder / "plan.txt").write_text(plan_text(plan))
        write_atomically(
            folder / MANIFEST, manifest(request, model, plan, board, images, build_id, folder)
        )
        if images.check is None:
            say("the test harness does not fit beside the model: nothing runs in the emulator")
        runs = board.emulator is not None and images.check is not None
        say("measuring accuracy" + (" and checking in the emulator" if runs else ""))
        measured = measure_model(
            open_artifact(folder, request.boards_file),
            model.samples,
            model.float_graph,
            metric=request.metric,
            limit=request.limit,
        )
        report = build_report(request, model, plan, board, images, measured, saving)
        check_target(model.recipe.target, report.values)
        write_atomically(folder / "report.json", report.to_json())
    return report.values


def _require_tools(board: Board) -> None:
    """Refuse before anything is computed what would fail after minutes."""
    find_toolchain()
    problem = find_library()
    if problem:
        raise ToolError(problem)
    if board.emulator is not None:
        find_tool("qemu-system-arm")


def _write_sources(folder: Path, request: Request, model: QuantizedModel, plan: Plan) -> int:
    """Write `src/` and the harness's headers; return the build id."""
    preprocessing = model.samples.preprocessing
    quantizers = {}
    for name in model.graph.inputs:
        tensor = model.graph.tensors[name]
        assert tensor.qparams is not None
        quantizers[name] = input_quantizer(
            tensor.qparams,
            preprocessing.scale,
            preprocessing.mean,
            preprocessing.std,
            tensor.dtype,
        )
    file = Path(request.model.rpartition(":")[0] or request.model)
    provenance = Provenance(
        model_file=Path(request.model).name,
        model_sha256=sha256_of(file) if file.is_file() else "",
        recipe_sha256=sha256_of(recipe_file(request.recipe)) if request.recipe else "",
    )
    tick = None
    if request.stream and model.stream:
        tick = Tick(model.stream.frames, model.stream.first_tick)
    context = model_context(plan, provenance, quantizers, tick)
    sources = model_sources(context)
    headers = application_headers(context, sources)
    if request.protocol == "mlperf":
        headers[MLPERF_HEADER] = mlperf_header(context)
    for part, files in ((SOURCE_FOLDER, sources), (HARNESS_FOLDER, headers)):
        (folder / part).mkdir()
        for name, text in files.items():
            (folder / part / name).write_text(text, encoding="utf-8", newline="\n")
    return build_id(sources)


def _compile(folder: Path, board: Board, name: str, request: Request) -> Images:
    """Compile both images in a folder of their own and keep what a user wants to have."""
    work = folder / "work"
    shutil.copytree(folder / SOURCE_FOLDER, work / SOURCE_FOLDER)
    for header in (folder / HARNESS_FOLDER).iterdir():
        shutil.copy(header, work / SOURCE_FOLDER)
    images = compile_images(
        work,
        board,
        [f"{SOURCE_FOLDER}/{name}.c"],
        stack_of=lambda elf: stack_bound(elf, board.core),
        optimize=request.optimize,
        protocol=request.protocol,
    )
    for elf in (images.firmware, images.check):
        if elf is not None:
            verify_isa(elf, board.core)
    for image in ("firmware", "check"):
        for suffix in ("elf", "bin", "hex", "map"):
            made = work / f"{image}.{suffix}"
            if made.exists():
                made.rename(folder / made.name)
    shutil.rmtree(work)
    return images


def _add_second(folder: Path, board: Board, name: str, request: Request) -> None:
    """Compile the firmware for the second slot behind the loader as well."""
    work = folder / "second"
    for part in (SOURCE_FOLDER, HARNESS_FOLDER):
        shutil.copytree(folder / part, work / part)
    _compile(work, board, name, request)
    for suffix in ("elf", "bin", "hex"):
        (work / f"firmware.{suffix}").rename(folder / f"{SECOND_IMAGE}.{suffix}")
    shutil.rmtree(work)


def _add_loader(folder: Path, board: Board, version: int) -> None:
    """Put the resident loader beside the images, and on these the seal that it looks for."""
    shutil.rmtree(loader_elf(board, folder).parent / "loader")
    for image in ("firmware", SECOND_IMAGE, "check"):
        if (folder / f"{image}.elf").exists():
            seal_files(folder, image, version)


def quantize_only(request: Request, say: Say = lambda text: None) -> dict[str, Any]:
    """Quantize and write QDQ ONNX or TFLite to `request.out`, without generating anything.

    Returns:
        `macs`, `macs_model`, `calibration_samples`, the output's name, and `layers`: each layer's
        signal to quantization noise, the worst first.
    """
    exporter = exporter_for(request.out)
    request = with_samples(request)
    model = quantize_phase(request, say)
    write_atomically(request.out, exporter(model.full_graph))
    dataset = model.samples.accuracy_set or model.samples.calibration_set
    layer_of = {node.output: node.name for node in model.full_graph.nodes}
    noise = layer_sqnr(model.calibration.reference, model.full_graph, dataset)
    return {
        "output": request.out.name,
        "edgecomp": __version__,
        "macs": macs_of(model.graph),
        "macs_model": macs_of(model.float_graph),
        "calibration_samples": model.samples.calibration_count,
        "layers": [{"name": layer_of[name], "sqnr_db": value} for name, value in noise.items()],
    }
