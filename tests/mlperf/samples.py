"""Samples as MLPerf Tiny's runner sends them, and what a model of ours must answer."""

from dataclasses import dataclass

import numpy as np

from edgecomp.artifact import BuiltModel
from edgecomp.codegen.mlperf import MlperfTask
from edgecomp.interp import outputs_in_chunks
from edgecomp.quant.input_codes import input_quantizer


@dataclass(frozen=True)
class Expected:
    """What the host computes for samples: results as the runner gets them, and codes."""

    results: list[tuple[float, ...]]
    codes: np.ndarray


def random_samples(task: MlperfTask, count: int) -> list[bytes]:
    """Bytes of the task's kind that look random."""
    rng = np.random.default_rng(7)
    if task.kind == "floats":
        values = rng.normal(-20, 8, (count, task.elements)).astype("<f4")
        return [row.tobytes() for row in values]
    if task.kind == "codes":
        return [rng.integers(0, 256, task.elements, dtype=np.uint8).tobytes() for _ in range(count)]
    side = int((task.elements // 3) ** 0.5)
    ramp = np.linspace(-100, 100, side)
    down, across, level = rng.uniform(-1, 1, (3, count, 1, 1, 3))
    pictures = 128 + down * ramp[:, None, None] + across * ramp[:, None] + 60 * level
    noise = rng.normal(0, 20, pictures.shape)
    return [p.tobytes() for p in (pictures + noise).clip(0, 255).astype(np.uint8)]


def real_values(task: MlperfTask, samples: list[bytes]) -> np.ndarray:
    """The numbers that the bytes stand for: float64 [samples, elements]."""
    if task.kind == "floats":
        return np.array([np.frombuffer(s, "<f4") for s in samples]).astype(np.float64)
    if task.kind == "pixels":
        return np.array([np.frombuffer(s, np.uint8) for s in samples]).astype(np.float64)
    codes = np.array([np.frombuffer(s, np.int8) for s in samples]).astype(np.float64)
    return task.scale * (codes - task.zero_point)


def expected(built: BuiltModel, task: MlperfTask, samples: list[bytes]) -> Expected:
    """Compute on the host, in integers, what the device must answer."""
    graph = built.graph
    (name,) = graph.inputs
    tensor = graph.tensors[name]
    assert tensor.qparams is not None
    values = real_values(task, samples)
    if task.kind == "codes":  # the benchmark's features are the model's own numbers
        quantizer = input_quantizer(tensor.qparams)
    else:
        used = built.preprocessing
        quantizer = input_quantizer(tensor.qparams, used.scale, used.mean, used.std)
    codes = quantizer.codes(values.reshape(len(samples), *tensor.shape[1:]))
    (output,) = graph.outputs
    found = outputs_in_chunks(graph, {name: codes}, integer=True)[output].reshape(len(samples), -1)
    qparams = graph.tensors[output].qparams
    assert qparams is not None
    scale = np.float32(qparams.scalar)
    reals = scale * (found.astype(np.int32) - qparams.zero_point).astype(np.float32)
    if task.result_is_error:
        errors = ((reals - values.astype(np.float32)) ** 2).mean(axis=1, dtype=np.float64)
        return Expected([(float(error),) for error in errors], found)
    return Expected([tuple(float(v) for v in row) for row in reals], found)


def agree(got: list[tuple[float, ...]], wanted: Expected, tolerance: float = 0.0) -> None:
    """Compare results: equal but for the three digits that go over the line.

    `tolerance` is relative: a mean of 640 squares is summed in float32 on the device.
    """
    assert len(got) == len(wanted.results)
    for one, other in zip(got, wanted.results, strict=True):
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=0.0005 + 1e-6)
