"""Which samples calibrate, which measure accuracy, and which run on the device."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from edgecomp.data import Dataset, Preprocessing, load_dataset, split_calibration
from edgecomp.data.sources import read_arrays
from edgecomp.errors import UserError
from edgecomp.ir import Array, Graph
from edgecomp.quant.input_codes import input_quantizer

RANDOM_SAMPLES = 20
"""Samples that a bit comparison makes itself where there is no data set."""


@dataclass(frozen=True)
class Samples:
    """A data set, split; the calibration samples never measure accuracy.

    Attributes:
        source: the data set as the user named it, or None.
        preprocessing: how raw values become real ones.
        calibration_set: samples that calibrate; None where there is no data set.
        accuracy_set: the others.
    """

    source: str | None
    preprocessing: Preprocessing
    calibration_set: Dataset | None
    accuracy_set: Dataset | None

    @property
    def calibration_count(self) -> int:
        """Number of calibration samples."""
        return 0 if self.calibration_set is None else len(self.calibration_set)

    def calibration(self) -> dict[str, Array] | None:
        """Real values that calibrate; None where there are none or the data set holds codes."""
        if self.calibration_set is None or self.calibration_set.codes:
            return None
        return self.calibration_set.real()


def load_samples(
    graph: Graph,
    source: str | None,
    calibration_source: str | None,
    calibration_samples: int,
    preprocessing: Preprocessing,
) -> Samples:
    """Load and split a data set.

    Args:
        graph: the network.
        source: the data set, or None.
        calibration_source: another data set that calibrates; then all of `source` measures.
        calibration_samples: how many samples calibrate, at most half of a shared data set.
        preprocessing: how raw values become real ones.

    Raises:
        UserError: a data set does not fit the network, or has too few samples.
    """
    full = load_dataset(source, graph, preprocessing) if source else None
    if calibration_source is not None:
        other = load_dataset(calibration_source, graph, preprocessing)
        chosen, _ = split_calibration(len(other), min(calibration_samples, len(other)))
        return Samples(source, preprocessing, other.take(chosen), full)
    if full is None:
        return Samples(None, preprocessing, None, None)
    if len(full) < 2:
        raise UserError(
            f"{source} has one sample; at least two are needed, one to calibrate and one to "
            "measure, or another data set with --calibration-data"
        )
    chosen, rest = split_calibration(len(full), min(calibration_samples, max(1, len(full) // 2)))
    return Samples(source, preprocessing, full.take(chosen), full.take(rest))


def sample_shape(source: str, layout: str | None) -> tuple[int, ...] | None:
    """The shape of one sample as a model wants it, channels first; None for several inputs.

    Args:
        source: the data set.
        layout: how one sample lies; None: as the model wants it.

    Raises:
        UserError: the data set cannot be read.
    """
    arrays = read_arrays(source)
    inputs = [array for name, array in arrays.items() if name != "y"]
    if len(inputs) != 1 or inputs[0].ndim == 1:
        return None
    shape = inputs[0].shape[1:]
    is_last = layout in {"hwc", "wc"} and len(shape) == len(layout or "")
    return (shape[-1], *shape[:-1]) if is_last else shape


def input_codes(graph: Graph, dataset: Dataset) -> dict[str, Array]:
    """Codes of a data set's samples by input tensor, as the device is given them."""
    preprocessing = dataset.preprocessing
    codes: dict[str, Array] = dict(dataset.codes)
    for name, raw in dataset.raw.items():
        tensor = graph.tensors[name]
        assert tensor.qparams is not None
        codes[name] = input_quantizer(
            tensor.qparams,
            preprocessing.scale,
            preprocessing.mean,
            preprocessing.std,
            tensor.dtype,
        ).codes(raw)
    return codes


def cut_into_ticks(codes: Mapping[str, Array], axis: int, frames: int) -> dict[str, Array]:
    """Cut whole sequences into ticks, one sequence behind the other.

    Args:
        codes: `(sequences, *shape)` by input.
        axis: of time in `shape`.
        frames: of a tick; what is left over at a sequence's end is dropped.

    Returns:
        `(ticks, *shape with frames along the axis)` by input.
    """
    found = {}
    for name, array in codes.items():
        count = array.shape[axis + 1] // frames
        used = array.take(range(count * frames), axis=axis + 1)
        shape = array.shape[1:]
        parts = used.reshape(len(used), *shape[:axis], count, frames, *shape[axis + 1 :])
        parts = np.moveaxis(parts, axis + 1, 1)
        found[name] = np.ascontiguousarray(parts).reshape(-1, *parts.shape[2:])
    return found


def random_codes(graph: Graph, count: int = RANDOM_SAMPLES) -> dict[str, Array]:
    """Uniformly random codes, the same every time."""
    generator = np.random.default_rng(0)
    codes = {}
    for name in graph.inputs:
        tensor = graph.tensors[name]
        low, high = tensor.dtype.limits
        drawn = generator.integers(low, high + 1, (count, *tensor.shape))
        codes[name] = drawn.astype(tensor.dtype.numpy)
    return codes


def real_outputs(graph: Graph, codes: Mapping[str, Array]) -> dict[str, Array]:
    """Real values (float32) of output codes."""
    values = {}
    for name, array in codes.items():
        qparams = graph.tensors[name].qparams
        assert qparams is not None
        values[name] = qparams.dequantize(array).astype(np.float32)
    return values
