"""Can this model run on that board?  Asked before there is any data.

Everything that a build does is done with random samples in place of calibration data: what passes
here has been planned, generated, compiled and linked.  Of a float network only those channels are
removed that are dead with any samples, so that a build, which knows more, needs no more memory.
"""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from edgecomp.build.compile import Images, compile_images
from edgecomp.build.flags import Optimize
from edgecomp.build.placement import arena_rooms, data_room
from edgecomp.codegen.context import Provenance, model_context
from edgecomp.codegen.emit import application_headers, model_sources
from edgecomp.device_form import device_form, takes_what_it_finds
from edgecomp.errors import DoesNotFitError, InternalError, UnsupportedError, UserError
from edgecomp.frontend.survey import Refusal, survey
from edgecomp.ir import Graph
from edgecomp.ir.text import constant_outputs
from edgecomp.kernels import Layer
from edgecomp.made_up import made_up_samples
from edgecomp.ops import OPS
from edgecomp.ops.base import broken_limit
from edgecomp.passes import DEFAULT_PASSES
from edgecomp.passes.certain_channels import certain_channels
from edgecomp.plan.costs import cost_table
from edgecomp.plan.planner import macs_of, plan_graph
from edgecomp.plan.stack import stack_bound
from edgecomp.plan.types import Plan
from edgecomp.quant import CalibrationReport, QuantizeOptions, quantize_model
from edgecomp.quant.calibrate import needs_samples
from edgecomp.quant.input_codes import input_quantizer
from edgecomp.targets.boards import Board, get_board

CYCLES_PER_MAC = 8
CYCLES_PER_ELEMENT = 40
"""What kernels that were never measured on a core are taken to cost."""

Say = Callable[[str], None]


def check_model(
    model: str,
    board_name: str,
    *,
    input_shapes: Mapping[str, Sequence[int]] | None = None,
    optimize: Optimize = "balanced",
    boards_file: Path | None = None,
    say: Say = lambda text: None,
) -> dict[str, Any]:
    """Look for everything that keeps a model from a board.

    Args:
        model: a model file, or whatever else `read_model` takes.
        board_name: the board.
        input_shapes: shapes by input name, where the file leaves them open.
        optimize: what a build would be optimized for.
        boards_file: a table of boards beside the own one.
        say: called with a line of progress as each step begins.

    Returns:
        `verdict` (`ok`, `refused` or `does not fit`), `model`, `board`, `core`, `layers` of the
        file, `refused` (op, layer, reason, suggestion of each; the operator is `model` where the
        reason is none of a layer), and, unless refused, `does_not_fit`, the reason or the empty
        string, and, where there is a plan, `macs`, `flash`, `ram`, `modelled_cycles` by the kept
        cost tables and `unmeasured_layers` whose cycles are a guess.

    Raises:
        UserError: the model cannot be read at all, or there is no such board.
        ToolError: the compiler is missing.
    """
    board = get_board(board_name, boards_file)
    say("reading the model")
    found = survey(model, input_shapes)
    refusals = list(found.refusals)
    for line in constant_outputs(found.graph) if found.graph else ():
        say(line)
    graph = found.graph and _passed(found.graph, refusals)
    report: dict[str, Any] = {
        "model": Path(model).name,
        "board": board.name,
        "core": board.core.title,
        "layers": found.layers,
        "refused": [vars(refusal) for refusal in refusals],
        "verdict": "refused",
    }
    if refusals or graph is None:
        return report
    say("quantizing with random samples and planning")
    try:
        plan = plan_graph(
            _as_built(model, graph, optimize),
            board.core,
            goal=optimize,
            flash_bytes=board.image.size,
            rooms=arena_rooms(board),
            data_room=data_room(board),
        )
    except UserError as error:
        return {**report, "refused": [vars(Refusal.of(error))]}
    except DoesNotFitError as error:
        return {**report, "verdict": "does not fit", "does_not_fit": str(error)}
    report |= _estimate(plan, board)
    say(f"compiling for {board.name}")
    try:
        images = _compiled(plan, board, optimize)
    except DoesNotFitError as error:
        return {**report, "verdict": "does not fit", "does_not_fit": str(error)}
    sizes = images.sizes
    stack = images.firmware_stack.total_bytes
    report["flash"] |= {"bytes": sizes.flash_bytes, "weights_bytes": sizes.weights_bytes}
    report["ram"] |= {"bytes": sizes.arena_bytes + sizes.static_bytes + stack}
    return {**report, "verdict": "ok", "does_not_fit": ""}


def _passed(graph: Graph, refusals: list[Refusal]) -> Graph:
    """Apply the passes, and add the layers that break a limit to `refusals`."""
    # With stand-ins for refused layers it is a graph that no file could hold: it stays as it is.
    for apply in () if refusals else DEFAULT_PASSES:
        try:
            graph = apply(graph)
        except UserError as error:
            refusals.append(Refusal.of(error))
    for node in graph.nodes:
        broken = broken_limit(OPS[node.op], node.params, graph.node_inputs(node), node.name)
        if broken is not None:
            refusals.append(Refusal.of(broken))
    return graph


def _as_built(model: str, graph: Graph, optimize: Optimize) -> Graph:
    """Quantize with made-up samples; the form that a build would plan."""
    quantized, found = _quantized(graph)
    # Scales that the file gives are those of a build, too.
    certain = None
    if needs_samples(found.reference) and not quantized.has_int16:
        certain = certain_channels(found.reference, quantized)
    takes_found = takes_what_it_finds(model, optimize)
    whole, streamed = device_form(quantized, takes_found=takes_found, certain=certain)
    return streamed.graph if streamed else whole


def _quantized(graph: Graph) -> tuple[Graph, CalibrationReport]:
    """Quantize with the first samples that every layer can compute with.

    Raises:
        UserError: there is a reason that does not lie in the samples.
    """
    *suiting, last = made_up_samples(graph)
    for samples in suiting:
        try:
            return quantize_model(graph, samples, QuantizeOptions(calibration="minmax"))
        except UnsupportedError:
            raise
        except (UserError, InternalError):
            # Roots, logarithms and quotients have values for some numbers only.
            continue
    options = QuantizeOptions(calibration="minmax", skips_infinite=True)
    return quantize_model(graph, last, options)


def _estimate(plan: Plan, board: Board) -> dict[str, Any]:
    """What the plan and the kept measurements say."""
    table = cost_table(board.core)
    cycles, unmeasured = 0, 0
    for stage in plan.stages:
        for node in stage.nodes:
            layer = Layer(plan.graph, node)
            cost = table.cost(stage.kernel, layer) if len(stage.nodes) == 1 else None
            if cost is None:
                unmeasured += 1
                guess = CYCLES_PER_MAC * layer.macs + CYCLES_PER_ELEMENT * layer.output.size
            cycles += cost.cycles if cost is not None else guess
    return {
        "macs": macs_of(plan.graph),
        "modelled_cycles": cycles,
        "unmeasured_layers": unmeasured,
        "stages": len(plan.stages),
        "flash": {"board_bytes": board.image.size},
        "ram": {"arena_bytes": plan.arena_bytes},
    }


def _compiled(plan: Plan, board: Board, optimize: Optimize) -> Images:
    """Compile and link what a build would, in a folder that is thrown away."""
    quantizers = {}
    for name in plan.graph.inputs:
        qparams = plan.graph.tensors[name].qparams
        assert qparams is not None
        quantizers[name] = input_quantizer(qparams)
    context = model_context(plan, Provenance(plan.graph.name, ""), quantizers)
    sources = model_sources(context)
    with tempfile.TemporaryDirectory(prefix="edgecomp-") as temporary:
        work = Path(temporary)
        (work / "src").mkdir()
        for name, text in {**sources, **application_headers(context, sources)}.items():
            (work / "src" / name).write_text(text, encoding="utf-8", newline="\n")
        return compile_images(
            work,
            board,
            [f"src/{plan.graph.name}.c"],
            stack_of=partial(stack_bound, core=board.core),
            optimize=optimize,
        )
