"""`edgecomp quantize`: a quantized model as QDQ ONNX or TFLite."""

from pathlib import Path
from typing import Annotated

import typer

from edgecomp.cli import options

NAME = "quantize"


def command(
    model: options.Model,
    out: Annotated[Path, typer.Option("-o", "--out", help="Output file, .onnx or .tflite.")],
    data: options.Data = None,
    calibration_data: options.CalibrationData = None,
    recipe: options.RecipeFile = None,
    input_shape: options.InputShape = None,
    calibration: options.Calibration = None,
    calibration_samples: options.CalibrationSamples = 200,
    numerics: options.Numerics = None,
    activations: options.Activations = None,
    float_layers: options.FloatLayers = None,
    layout: options.Layout = None,
    scale: options.Scale = None,
    mean: options.Mean = None,
    std: options.Std = None,
    json: options.Json = False,
) -> None:
    """Quantize MODEL and write it as QDQ ONNX or TFLite.

    onnxruntime and others run the one, TensorFlow Lite for Microcontrollers the other: with
    --numerics tflite it gives the same bits as the firmware.
    """
    from edgecomp.pipeline import quantize_only
    from edgecomp.request import Request

    request = Request(
        model=model,
        board="",
        out=out,
        data=data,
        calibration_data=calibration_data,
        recipe=recipe,
        input_shapes=options.input_shapes(input_shape),
        preprocessing=options.preprocessing(scale, mean, std, layout),
        calibration=calibration,
        calibration_samples=calibration_samples,
        numerics=numerics and options.choice("--numerics", numerics, ("edgecomp", "tflite")),
        activations=activations and options.choice("--activations", activations, ("int8", "int16")),
        float_layers=tuple(float_layers or ()),
    )
    result = quantize_only(request, options.progress(quiet=json))
    if json:
        options.print_json(result)
    else:
        print(f"wrote {out}, calibrated with {result['calibration_samples']} samples")
        if result["layers"]:
            print("signal to quantization noise, the worst layers first:")
        for layer in result["layers"]:
            print(f"  {layer['sqnr_db']:6.1f} dB  {layer['name']}")
