"""Post-training quantization: calibration, integer weights, and the model as QDQ ONNX."""

from edgecomp.quant.calibrate import Calibration, calibrate, observe_and_choose
from edgecomp.quant.model import CalibrationReport, QuantizeOptions, quantize_model
from edgecomp.quant.quantize import quantize
from edgecomp.quant.ranges import METHODS
from edgecomp.quant.sharing import insert_rescales

__all__ = [
    "METHODS",
    "Calibration",
    "CalibrationReport",
    "QuantizeOptions",
    "calibrate",
    "insert_rescales",
    "observe_and_choose",
    "quantize",
    "quantize_model",
]
