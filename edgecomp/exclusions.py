"""Options of a build that exclude each other, or what a model file brings."""

from edgecomp.errors import UserError
from edgecomp.ir import Graph
from edgecomp.passes.keep_states import keeps_states
from edgecomp.request import Request


def check_options(request: Request) -> None:
    """Refuse options that exclude each other."""
    if request.stream is None:
        return
    for name, is_given in (
        ("--stream-input", request.stream_input),
        ("--weights-slot", request.weights_slot),
        ("--protocol mlperf", request.protocol == "mlperf"),
    ):
        if is_given:
            raise UserError(f"--stream does not go with {name}: leave one of them out")


def check_file(request: Request, graph: Graph) -> None:
    """Refuse what does not go with variables or int16 activations of the model file."""
    if not graph.states and not graph.has_int16:
        return
    what = "variables" if graph.states else "int16 activations"
    for option, asked in (
        ("a recurrent layer that keeps its state", keeps_states(graph) and graph.states),
        ("--stream", request.stream is not None and graph.states),
        ("--stream-input", request.stream_input),
        ("--weights-slot", request.weights_slot and graph.states),
        ("--protocol mlperf", request.protocol == "mlperf"),
    ):
        if asked:
            raise UserError(f"the model has {what}, with which {option} does not go")


def asked_numerics(request: Request, activations: str) -> str | None:
    """The arithmetic that is asked for.

    Raises:
        UserError: int16 activations together with what knows int8 codes only.
    """
    if (request.activations or activations) == "int8":
        return request.numerics
    asked = {
        "--numerics edgecomp": request.numerics == "edgecomp",
        "--stream": request.stream,
        "--stream-input": request.stream_input,
        "--protocol mlperf": request.protocol == "mlperf",
    }
    for option, value in asked.items():
        if value:
            raise UserError(f"{option} is for int8 activations; leave it out, or --activations")
    return "tflite16" if request.numerics == "tflite" else "int16"
