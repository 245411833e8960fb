"""Taking a built folder up again: `check` compares and measures, `run` answers."""

import io
import json
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from edgecomp.artifact import (
    REPORT,
    BuiltModel,
    obstacle,
    open_artifact,
    open_engine,
    read_report,
)
from edgecomp.data import Dataset, Preprocessing, load_dataset
from edgecomp.data.dataset import from_arrays
from edgecomp.data.indices import index_limits
from edgecomp.data.layout import device_to_model
from edgecomp.data.sources import read_arrays
from edgecomp.device.bench import SerialBench
from edgecomp.device.session import run_samples
from edgecomp.errors import AccuracyError, UserError
from edgecomp.interp import outputs_in_chunks, run_int
from edgecomp.ir import Array
from edgecomp.lines import Lines, open_bench
from edgecomp.measure import Measured, measure_model
from edgecomp.paths import write_atomically
from edgecomp.samples import Samples, input_codes, load_samples, real_outputs
from edgecomp.verification import flat_inputs


def check(
    folder: Path,
    data: str | None = None,
    *,
    limit: int = 100,
    all_tensors: bool = False,
    engine: str = "qemu",
    lines: Lines | None = None,
    layout: str | None = None,
    boards_file: Path | None = None,
) -> dict[str, Any]:
    """Run samples on the device, compare with the integer reference, update `report.json`.

    Args:
        folder: what `build` made.
        data: another data set than the build's; then all of its samples measure accuracy.
        limit: how many samples run on the device; 0 for all.
        all_tensors: compare every stored tensor of every sample.
        engine: `qemu` or `host`.
        lines: serial lines to boards that run the firmware image; then `engine` is not used.
        layout: how a sample of `data` lies, where it differs from the build's data.
        boards_file: the table that has the board, if not our own.

    Returns:
        The report's values, with `check` added: what was compared, and for boards their time,
        memory and lines.

    Raises:
        AccuracyError: device and host differ; the first difference is named.
        DeviceError: the device failed.
    """
    built = open_artifact(folder, boards_file)
    report = read_report(folder)
    problem = obstacle(built) if engine == "qemu" and not lines else None
    if problem:
        raise UserError(problem)
    samples = _samples_again(built, data, layout)
    seen: dict[str, Any] = {}
    with ExitStack() as stack:
        place: str | SerialBench = engine
        if lines:
            place = stack.enter_context(open_bench(built, lines))
            engine = "serial"
        measured = measure_model(
            built,
            samples,
            None,
            metric=built.metric if samples.accuracy_set else None,
            limit=limit,
            all_tensors=all_tensors,
            engine=place,
        )
        if isinstance(place, SerialBench):
            place.forget()
            seen = place.summary(is_real_time=built.board.emulator is None)
    accuracy = measured.accuracy
    if accuracy["float"] is None and data is None:
        accuracy["float"] = report["accuracy"]["float"]
    if engine != "host":
        report |= {
            "accuracy": accuracy,
            "bit_exact": measured.bit_exact,
            "observed": measured.observed,
        }
        write_atomically(folder / REPORT, json.dumps(report, indent=2) + "\n")
    _raise_if_different(measured, folder)
    outcome = measured.outcomes[0]
    return report | {
        "accuracy": accuracy,
        "bit_exact": measured.bit_exact,
        "observed": measured.observed,
        "check": {
            "engine": engine,
            "tensors_compared": outcome.tensors,
            "tensor_samples": outcome.samples,
            "few_codes": dict(outcome.few_codes),
            **seen,
        },
    }


def _raise_if_different(measured: Measured, folder: Path) -> None:
    for outcome in measured.outcomes:
        if outcome.mismatches:
            raise AccuracyError(
                f"the firmware in {folder} does not compute what the host does: "
                f"{outcome.mismatches} elements differ in {outcome.samples} samples\n"
                f"  first: {outcome.first}\n"
                "  build again; if it stays, please report it with the model"
            )
        if not outcome.guard_ok:
            raise AccuracyError(f"the firmware in {folder} wrote outside its arena")


def _samples_again(built: BuiltModel, data: str | None, layout: str | None) -> Samples:
    """The samples of the build, split as then, or all of another data set."""
    stored = built.manifest["data"]
    preprocessing = built.preprocessing
    if layout:
        preprocessing = replace(preprocessing, layout=layout)
    if data is not None:
        return Samples(data, preprocessing, None, load_dataset(data, built.whole, preprocessing))
    if built.data is None:
        return Samples(None, preprocessing, None, None)
    calibration = built.resolve(stored["calibration_source"])
    return load_samples(
        built.whole, built.data, calibration, stored["calibration_samples"], preprocessing
    )


def run(
    folder: Path,
    input_file: Path,
    output_file: Path | None = None,
    *,
    engine: str = "qemu",
    lines: Lines | None = None,
    dump_tensors: Path | None = None,
    boards_file: Path | None = None,
) -> dict[str, Any]:
    """Give a built model inputs and take its outputs.

    Args:
        folder: what `build` made.
        input_file: `.npz` with `x` (real values before preprocessing) or `x_q` (codes), or `.npy`.
        output_file: where to write `y_q` and `y` (named after the outputs where there are several),
            in the model's own layout, the samples in place of its batch.
        engine: `qemu`, `host`, or `reference` for the integer reference itself.
        lines: serial lines to boards that run the firmware image; then `engine` is not used.
        dump_tensors: where to write every stored tensor: `NAME_q` codes, `NAME` real values, as
            they lie on the device.
        boards_file: the table that has the board, if not our own.

    Returns:
        Per sample and output the real values, with the index of the largest.
    """
    built = open_artifact(folder, boards_file)
    dataset = _read_input(built, input_file)
    codes = input_codes(built.graph, dataset)
    with ExitStack() as stack:
        place: str | SerialBench = engine
        if lines:
            place = stack.enter_context(open_bench(built, lines))
            engine = "serial"
        outputs, stored = _compute(built, codes, place, dump=dump_tensors is not None)
    arrays = {}
    real = real_outputs(built.graph, outputs)
    for index, name in enumerate(built.graph.outputs):
        single = len(built.graph.outputs) == 1
        key = "y" if single else built.graph.io_names.get(name, name) or f"y{index}"
        view = built.graph.views.get(name)
        arrays[key] = _without_batch(device_to_model(real[name], view))
        arrays[f"{key}_q"] = _without_batch(device_to_model(outputs[name], view))
    if output_file is not None:
        _write_npz(output_file, arrays)
    if dump_tensors is not None:
        _write_npz(dump_tensors, _dumped(built, stored))
    return {
        "engine": engine,
        "samples": len(dataset),
        "outputs": {
            key: {
                "values": array.reshape(len(array), -1).tolist(),
                "argmax": array.reshape(len(array), -1).argmax(axis=1).tolist(),
            }
            for key, array in arrays.items()
            if not key.endswith("_q")
        },
    }


def _read_input(built: BuiltModel, file: Path) -> Dataset:
    if file.suffix == ".npy":
        try:
            arrays = {"x": np.load(file, allow_pickle=False)}
        except (OSError, ValueError, EOFError) as error:
            raise UserError(f"{file} cannot be read as .npy: {error}") from error
        is_codes = arrays["x"].dtype == np.int8 and not index_limits(built.graph)
        key = "x_q" if is_codes else "x"
        arrays = {key: arrays["x"]}
    elif file.suffix == ".npz":
        arrays = read_arrays(str(file))
    else:
        raise UserError(f"{file}: give inputs as .npz or .npy")
    inputs = {name: array for name, array in arrays.items() if name not in {"y", "y_q"}}
    preprocessing: Preprocessing = built.preprocessing
    return from_arrays(str(file), inputs, built.graph, preprocessing)


def _compute(
    built: BuiltModel, codes: Mapping[str, Array], engine_name: str | SerialBench, *, dump: bool
) -> tuple[dict[str, Array], dict[str, Array]]:
    """Outputs by output tensor, and, where asked, the stored tensors."""
    graph = built.graph
    if engine_name == "reference":
        if not dump:
            return outputs_in_chunks(graph, codes, integer=True), {}
        values = run_int(graph, codes, keep=True)
        stored = {entry.tensor: values[entry.tensor] for entry in built.stored}
        return {name: values[name] for name in graph.outputs}, stored
    with open_engine(built, engine_name) as engine:
        result = run_samples(engine, built.layout, flat_inputs(graph, codes), dump=dump)
    outputs = {
        name: array.reshape(len(array), *graph.tensors[name].shape)
        for name, array in zip(graph.outputs, result.outputs, strict=True)
    }
    stored = {
        entry.tensor: array.reshape(len(array), *graph.tensors[entry.tensor].shape)
        for entry, array in zip(built.stored, result.dumps or (), strict=False)
    }
    return outputs, stored


def _without_batch(array: Array) -> Array:
    """Drop the model's own batch of 1: `(samples, 1, ...)` becomes `(samples, ...)`."""
    return array[:, 0] if array.ndim > 2 and array.shape[1] == 1 else array


def _dumped(built: BuiltModel, stored: Mapping[str, Array]) -> dict[str, Array]:
    real = real_outputs(built.graph, stored)
    return {
        key: array
        for name in stored
        for key, array in ((name, real[name]), (f"{name}_q", stored[name]))
    }


def _write_npz(path: Path, arrays: Mapping[str, Array]) -> None:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    write_atomically(path, buffer.getvalue())
