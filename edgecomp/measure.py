"""Measuring a built model: accuracy on the host and on the device, bits, noise per layer."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from edgecomp.artifact import BuiltModel, obstacle, open_engine
from edgecomp.data import Dataset
from edgecomp.data.one_hot import class_numbers
from edgecomp.device.bench import SerialBench
from edgecomp.errors import UserError
from edgecomp.interp import outputs_in_chunks, run_float, run_int
from edgecomp.ir import Array, Graph
from edgecomp.plan.planner import macs_of
from edgecomp.quant.hidden import score_tensors, visible
from edgecomp.report.metrics import METRICS, Answers, find_metric
from edgecomp.samples import RANDOM_SAMPLES, Samples, input_codes, random_codes, real_outputs
from edgecomp.verification import Outcome, compare

TENSOR_SAMPLES = 20
"""Samples of which a build compares every stored tensor; of the others it compares outputs."""
SQNR_SAMPLES = 32
START_PATIENCE_S = 60.0
LEAST_MACS = 100_000
"""What a sample costs even where nothing is multiplied."""


@dataclass(frozen=True)
class Measured:
    """Accuracies and the comparison of device and host.

    Attributes:
        metric: name of the metric, or None where there is nothing to measure it on.
        float32: of the float network, on the host.
        int8: of the quantized network, on the host.
        device: of the device's answers.
        samples: number of samples behind `float32` and `int8`.
        device_samples: number of samples behind `device`.
        outcomes: comparisons made; each compares its own samples.
        sqnr_db: signal to quantization noise by stored tensor.
    """

    metric: str | None = None
    float32: float | None = None
    int8: float | None = None
    device: float | None = None
    samples: int = 0
    device_samples: int = 0
    outcomes: tuple[Outcome, ...] = ()
    sqnr_db: Mapping[str, float] = field(default_factory=dict)

    @property
    def accuracy(self) -> dict[str, Any]:
        """The report's `accuracy`."""
        return {
            "metric": self.metric,
            "float": self.float32,
            "int8": self.int8,
            "device": self.device,
            "samples": self.samples,
            "device_samples": self.device_samples,
        }

    @property
    def bit_exact(self) -> dict[str, Any]:
        """The report's `bit_exact`; null where nothing ran on a device."""
        if not self.outcomes:
            return {"tensors": None, "samples": None, "mismatches": None}
        return {
            "tensors": max(outcome.tensors for outcome in self.outcomes),
            "samples": max(outcome.samples for outcome in self.outcomes),
            "mismatches": sum(outcome.mismatches for outcome in self.outcomes),
        }

    @property
    def observed(self) -> dict[str, Any]:
        """The report's `observed`: what the check image saw of its own memory."""
        if not self.outcomes:
            return {"stack_bytes": None, "arena_bytes": None, "guard_ok": None}
        return {
            "stack_bytes": max(outcome.stack_high_water_bytes for outcome in self.outcomes),
            "arena_bytes": max(outcome.arena_high_water_bytes for outcome in self.outcomes),
            "guard_ok": all(outcome.guard_ok for outcome in self.outcomes),
        }


def default_metric(dataset: Dataset | None, graph: Graph) -> str | None:
    """The metric that a data set calls for.

    Accuracy for labels and one-hot rows, AUC for labels of a single output, `mse` for values and
    reconstructions.
    """
    if dataset is None:
        return None
    if not dataset.targets:
        sizes = [[graph.tensors[n].size for n in names] for names in (graph.inputs, graph.outputs)]
        rebuilds = sizes[0] == sizes[1] and len(sizes[0]) == 1
        return "mse" if rebuilds and not dataset.codes else None
    target = next(iter(dataset.targets.values()))
    per_sample = target.reshape(len(target), -1).shape[1]
    if per_sample != 1 or target.dtype.kind not in "iu":
        is_output = per_sample == graph.tensors[graph.outputs[0]].size
        return "accuracy" if is_output and class_numbers(target) is not None else "mse"
    if graph.tensors[graph.outputs[0]].size > 1:
        return "accuracy"
    return "auc" if set(np.unique(target)) == {0, 1} else "mse"


def check_metric(metric: str | None, samples: Samples, graph: Graph) -> None:
    """Refuse a metric that the data cannot give, before anything is computed.

    Raises:
        UserError: there is no such metric, there are no samples, or their targets do not fit it.
    """
    dataset = samples.accuracy_set
    name = metric or default_metric(dataset, graph)
    if name is None:
        return
    judge = find_metric(name)
    if dataset is None:
        raise UserError(f"the metric {name!r} needs samples: give a data set with --data")
    if name in METRICS:
        zeros = {
            output: np.broadcast_to(np.float32(0), (len(dataset), *graph.tensors[output].shape))
            for output in graph.outputs
        }
        judge(Answers(zeros, dataset.targets, {**dataset.raw, **dataset.codes}))


def measure_model(
    built: BuiltModel,
    samples: Samples,
    float_graph: Graph | None,
    *,
    metric: str | None,
    limit: int,
    all_tensors: bool = False,
    engine: str | SerialBench = "qemu",
) -> Measured:
    """Measure accuracy on the host, then run samples on the device and compare.

    Args:
        built: an opened folder.
        samples: the data; without any, random codes are compared.
        float_graph: the float network, where its accuracy is wanted.
        metric: a metric's name; chosen from the data where None.
        limit: how many samples run on the device; 0 for all.
        all_tensors: compare every stored tensor of every sample.
        engine: `qemu`, `host`, or boards on serial lines.

    Raises:
        UserError: a metric is asked for and there is nothing to measure it on.
        DeviceError: the device failed.
    """
    dataset = samples.accuracy_set
    if metric and dataset is None:
        raise UserError(f"the metric {metric!r} needs samples: give a data set with --data")
    name = metric or default_metric(dataset, built.graph)
    if dataset is None:
        codes, expected = random_codes(built.graph, _random_runs(built)), None
    else:
        codes = input_codes(built.whole, dataset)
        expected = outputs_in_chunks(built.whole, codes, integer=True)
    values: dict[str, Any] = {"metric": name and Path(name).name}
    if name and dataset is not None and expected is not None:
        score = _Score(name, dataset, built.whole)
        values["samples"] = len(dataset)
        values["int8"] = score(real_outputs(built.whole, expected))
        if float_graph is not None and not dataset.codes:
            values["float32"] = score(outputs_in_chunks(float_graph, dataset.real(), integer=False))
    outcomes: list[Outcome] = []
    if engine != "qemu" or obstacle(built) is None:
        outcomes = _compare(
            built,
            built.runs(codes) if dataset is not None else codes,
            None if built.is_stream else expected,
            limit,
            all_tensors,
            engine,
        )
        if name and dataset is not None and not built.is_stream:
            count = outcomes[-1].samples
            values["device_samples"] = count
            values["device"] = _Score(name, dataset.take(slice(count)), built.graph)(
                real_outputs(built.graph, outcomes[-1].outputs)
            )
    return Measured(outcomes=tuple(outcomes), **values)


def _random_runs(built: BuiltModel) -> int:
    """How many runs with random codes: of a stream beyond the first tick that counts."""
    first_tick = built.manifest["stream"]["first_tick"] if built.is_stream else 0
    return int(first_tick) + RANDOM_SAMPLES


class _Score:
    """A metric over one data set."""

    def __init__(self, metric: str, dataset: Dataset, graph: Graph) -> None:
        self.metric = find_metric(metric)
        self.targets = dict(dataset.targets)
        self.inputs: Mapping[str, Array] = {} if dataset.codes else dataset.real()
        self.names = graph.outputs

    def __call__(self, outputs: Mapping[str, Array]) -> float:
        ordered = {name: outputs[name] for name in self.names}
        return self.metric(Answers(ordered, self.targets, self.inputs))


def _compare(
    built: BuiltModel,
    codes: Mapping[str, Array],
    expected: Mapping[str, Array] | None,
    limit: int,
    all_tensors: bool,
    engine_name: str | SerialBench,
) -> list[Outcome]:
    """Compare stored tensors of some samples and outputs of all; the last outcome has all."""
    total = len(next(iter(codes.values())))
    total = min(total, limit) if limit else total
    runs = [(total, True)] if all_tensors else [(min(TENSOR_SAMPLES, total), True)]
    if not all_tensors and total > TENSOR_SAMPLES:
        runs.append((total, False))
    with open_engine(built, engine_name) as engine:
        return [
            compare(
                built.graph,
                built.stored,
                engine,
                built.layout,
                {name: array[:count] for name, array in codes.items()},
                tensors=tensors,
                expected=expected and {name: array[:count] for name, array in expected.items()},
                timeout_s=patience_s(built.graph, count),
            )
            for count, tensors in runs
        ]


def patience_s(graph: Graph, samples: int) -> float:
    """How long to wait for an emulator before its firmware counts as hanging.

    Emulated cores need about 0.05 µs per multiply-accumulate; ten times that, on a busy host.
    """
    return START_PATIENCE_S + samples * max(macs_of(graph), LEAST_MACS) * 0.5e-6


def layer_sqnr(float_graph: Graph, graph: Graph, dataset: Dataset | None) -> dict[str, float]:
    """Signal to quantization noise (dB) of each tensor that both graphs have, worst first.

    Measured against the float network on at most 32 samples of `dataset`.
    """
    if dataset is None or dataset.codes:
        return {}
    few = dataset.take(slice(SQNR_SAMPLES))
    real = run_float(float_graph, few.real(), keep=True)
    real.update((name, visible(real[name])) for name in score_tensors(float_graph) & real.keys())
    quantized = run_int(graph, input_codes(graph, few), keep=True)
    found = {}
    for node in graph.nodes:
        name = node.output
        qparams = graph.tensors[name].qparams
        if name not in real or qparams is None or real[name].shape != quantized[name].shape:
            continue
        noise = np.mean((qparams.dequantize(quantized[name]) - real[name]) ** 2)
        signal = np.mean(real[name].astype(np.float64) ** 2)
        if noise > 0 and signal > 0:
            found[name] = round(float(10 * np.log10(signal / noise)), 2)
    return dict(sorted(found.items(), key=lambda item: item[1]))
