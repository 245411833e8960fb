"""Activations of 16 bits: which networks can have them, and their scales."""

from collections.abc import Sequence
from dataclasses import replace

from edgecomp.errors import UserError
from edgecomp.ir import Graph, QParams
from edgecomp.quant.calibrate import Calibration

INT8_TO_INT16 = 127 / 32767


def as_int16(qparams: QParams) -> QParams:
    """Symmetric parameters whose int16 codes cover what symmetric int8 codes would."""
    return QParams.per_tensor(qparams.scalar * INT8_TO_INT16)


def in_16_bits(found: Calibration) -> Calibration:
    """The same range in int16 codes; of functions between -1 and 1 in steps of 2^-15."""
    fixed = found.method == "fixed"
    qparams = QParams.per_tensor(2.0**-15) if fixed else as_int16(found.qparams)
    return replace(found, mse=None, qparams=qparams)


def refuse_int8_options(
    graph: Graph, *, bias_correction: bool, float_layers: Sequence[str]
) -> None:
    """Refuse what is for int8 activations only.

    Raises:
        UserError: naming the option, or the file that is quantized already.
    """
    if any(t.qparams is not None for t in graph.tensors.values() if not t.is_const):
        raise UserError(
            f"{graph.name} is quantized already: its activations keep their int8 codes\n"
            "  int16 activations need the float model"
        )
    for option, asked in (("bias_correction", bias_correction), ("--float", bool(float_layers))):
        if asked:
            raise UserError(f"{option} is for int8 activations; leave it out")
