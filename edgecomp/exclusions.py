"""Options of a build that exclude each other, or what a model file brings."""

from collections.abc import Callable

from edgecomp.errors import UserError
from edgecomp.ir import DType, Graph
from edgecomp.passes.keep_states import keeps_states
from edgecomp.request import Request, StreamRequest

Say = Callable[[str], None]


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
    """Refuse what does not go with variables, int16 activations or indices of int16."""
    wide = any(graph.tensors[name].dtype is DType.INT16 for name in graph.inputs)
    if not graph.states and not graph.has_int16 and not wide:
        return
    what = "int16 activations" if graph.has_int16 else "indices of int16"
    what = "variables" if graph.states else what
    for option, asked in (
        ("a recurrent layer that keeps its state", keeps_states(graph) and graph.states),
        ("--stream-input", request.stream_input),
        ("--weights-slot", request.weights_slot and graph.states),
        ("--protocol mlperf", request.protocol == "mlperf"),
    ):
        if asked:
            raise UserError(f"the model has {what}, with which {option} does not go")


def asked_ticks(request: Request, graph: Graph, say: Say) -> StreamRequest | None:
    """How a network is to be run tick by tick; one with variables is so without being asked.

    Raises:
        UserError: ticks are asked for that such a network has not.
    """
    if request.stream is None or not graph.states:
        return request.stream
    if request.stream != StreamRequest():
        raise UserError(
            "the model has variables: each run of it is a tick already\n"
            "  leave out --stream-axis and --stream-frames"
        )
    say("the model has variables: each run of it is a tick already, --stream changes nothing")
    return None


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
