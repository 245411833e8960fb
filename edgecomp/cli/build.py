"""`edgecomp build`: from a model to verified firmware."""

from pathlib import Path
from typing import Annotated

import typer

from edgecomp.cli import options

NAME = "build"


def command(
    model: options.ModelOrRecipe = None,
    board: Annotated[
        str | None,
        typer.Option(help="Board to build for, the recipe's unless given; see `edgecomp boards`."),
    ] = None,
    out: Annotated[Path, typer.Option("-o", "--out", help="Output folder.")] = Path("out"),
    data: options.Data = None,
    calibration_data: options.CalibrationData = None,
    recipe: options.RecipeFile = None,
    input_shape: options.InputShape = None,
    calibration: options.Calibration = None,
    calibration_samples: options.CalibrationSamples = 200,
    numerics: options.Numerics = None,
    activations: options.Activations = None,
    float_layers: options.FloatLayers = None,
    optimize: Annotated[
        str, typer.Option(help="What matters most: balanced, speed, size or ram.")
    ] = "balanced",
    tune: Annotated[
        bool, typer.Option("--tune", help="Measure the kernels on this model's own layers first.")
    ] = False,
    protocol: Annotated[
        str, typer.Option(help="What the firmware answers: edgecomp's hosts, or mlperf's runner.")
    ] = "edgecomp",
    metric: Annotated[
        str | None, typer.Option(help="accuracy, top5, auc, mse or FILE.py:function")
    ] = None,
    keep_input: Annotated[
        bool, typer.Option("--keep-input", help="Let the input survive the inference.")
    ] = False,
    loader: Annotated[
        bool, typer.Option("--loader", help="Link behind the resident loader (docs/flashing.md).")
    ] = False,
    weights_slot: Annotated[
        bool, typer.Option("--weights-slot", help="With the loader: two slots, for updates.")
    ] = False,
    stream_input: Annotated[
        bool,
        typer.Option("--stream-input", help="Hand over the input row by row (--optimize ram)."),
    ] = False,
    stream: Annotated[
        bool, typer.Option("--stream", help="Run tick by tick, as frames come (docs/streaming.md).")
    ] = False,
    stream_axis: Annotated[
        int | None, typer.Option(min=1, help="Axis of time in the model's input; found if absent.")
    ] = None,
    stream_frames: Annotated[
        int | None, typer.Option(min=1, help="Frames of a tick, as few as possible if absent.")
    ] = None,
    limit: Annotated[
        int, typer.Option(min=0, help="Samples that run on the device; 0 for all.")
    ] = 100,
    layout: options.Layout = None,
    scale: options.Scale = None,
    mean: options.Mean = None,
    std: options.Std = None,
    boards_file: options.BoardsFile = None,
    json: options.Json = False,
) -> None:
    """Turn MODEL into C, firmware and a report for a board.

    On an emulated board the firmware is run and compared with the host, bit for bit.
    """
    from edgecomp.config import Recipe, read_recipe
    from edgecomp.pipeline import build
    from edgecomp.report.render import print_report
    from edgecomp.request import Request

    read = read_recipe(recipe) if recipe else Recipe()
    request = Request(
        model=options.given("MODEL", model, read.model),
        board=options.given("--board", board, read.target.board),
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
        optimize=options.choice("--optimize", optimize, ("balanced", "speed", "size", "ram")),  # type: ignore[arg-type]
        tune=tune,
        metric=metric,
        keep_input=keep_input,
        stream_input=stream_input,
        stream=options.stream(stream, stream_axis, stream_frames),
        loader=loader or weights_slot,
        weights_slot=weights_slot,
        protocol=options.choice("--protocol", protocol, ("edgecomp", "mlperf")),  # type: ignore[arg-type]
        limit=limit,
        boards_file=boards_file,
    )
    if recipe is not None:
        options.interruption.leaves = (
            f"{out} was not changed; finished steps of the recipe are kept beside it"
        )
    report = build(request, options.progress(quiet=json))
    if json:
        options.print_json(report)
    else:
        print_report(report, out)
