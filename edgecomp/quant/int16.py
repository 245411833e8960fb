"""Activations of 16 bits: which networks can have them, and their scales."""

from collections.abc import Sequence
from dataclasses import replace

from edgecomp.errors import UserError
from edgecomp.ir import Graph, QParams
from edgecomp.quant.calibrate import Calibration
from edgecomp.quant.sharing import share_groups

INT8_TO_INT16 = 127 / 32767


def as_int16(qparams: QParams) -> QParams:
    """Symmetric parameters whose int16 codes cover what symmetric int8 codes would."""
    return QParams.per_tensor(qparams.scalar * INT8_TO_INT16)


def in_16_bits(found: Calibration, *, is_wide: bool = False) -> Calibration:
    """The same range in int16 codes; of functions between -1 and 1 in steps of 2^-15, of indices 1.

    Args:
        found: as for int8 codes.
        is_wide: whether the parameters say so themselves, as those of files do.
    """
    fixed = {"fixed": QParams.per_tensor(2.0**-15), "index": QParams.per_tensor(1.0)}
    qparams = fixed.get(found.method) or as_int16(found.qparams)
    return replace(found, mse=None, qparams=replace(qparams, is_wide=is_wide))


def refuse_int8_options(
    graph: Graph, *, bias_correction: bool, float_layers: Sequence[str]
) -> None:
    """Refuse what is for int8 activations only.

    Raises:
        UserError: naming the option, or the file that is quantized already.
    """
    if any(t.qparams is not None for t in graph.tensors.values() if not t.is_const):
        raise UserError(
            f"{graph.name} is quantized already: its activations keep their codes\n"
            "  int16 activations need the float model"
        )
    for option, asked in (("bias_correction", bias_correction), ("--float", bool(float_layers))):
        if asked:
            raise UserError(f"{option} is for int8 activations; leave it out")


def refuse_besides_tflite16(graph: Graph, numerics: str | None, *, wants_more: bool) -> None:
    """Refuse what a file with int16 codes cannot have.

    Raises:
        UserError: naming the option, or a tensor without a scale.
    """
    if numerics != "tflite" or wants_more:
        raise UserError(
            f"{graph.name} has int16 activations: it keeps TFLite's arithmetic and its weights\n"
            "  leave out --numerics, --float and steps that change weights"
        )
    ends = {graph.tensors[name].qparams for name in (*graph.inputs, *graph.outputs)}
    if len({q.is_wide for q in ends if q is not None}) > 1:
        raise UserError(
            f"{graph.name} has both int8 and int16 codes among its inputs and outputs\n"
            "  convert the model again, with one type for all of them"
        )
    for group in share_groups(graph):
        if group.preset is None:
            raise UserError(
                f"{graph.name} has int16 activations, but {group.members[0]!r} has no scale\n"
                "  convert the model again, with integers only"
            )
