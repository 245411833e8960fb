"""What the activations of a float graph look like on real samples: ranges and histograms.

Samples are run in chunks, twice: once for the ranges, once to count into bins.  Memory stays
bounded by `CHUNK_BYTES` of activations, however many samples there are.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from edgecomp.errors import UserError
from edgecomp.interp import DEFAULT_CHUNK, in_chunks, run_float
from edgecomp.ir import Array, Graph
from edgecomp.quant.hidden import score_tensors, visible

BINS = 2048
LARGEST_REAL = 1e15
"""Of activations: beyond it products of scales leave float32."""
CHUNK_BYTES = 64 * 2**20


@dataclass(frozen=True)
class Histogram:
    """How often values fell into equal bins between `low` and `high`.

    Attributes:
        low: lower edge of the first bin, at most 0.
        high: upper edge of the last bin, at least 0.
        counts: per bin; exact zeros are left out, they have a code of their own.
        zeros: number of exact zeros.
    """

    low: float
    high: float
    counts: Array
    zeros: int = 0

    @property
    def centers(self) -> Array:
        """Middle of each bin."""
        bins = len(self.counts)
        return self.low + (np.arange(bins) + 0.5) * ((self.high - self.low) / bins)

    @property
    def total(self) -> int:
        """Number of values, zeros included."""
        return int(self.counts.sum()) + self.zeros


def observe_ranges(
    graph: Graph,
    inputs: Mapping[str, Array],
    names: Iterable[str],
    *,
    skips_infinite: bool = False,
) -> dict[str, tuple[float, float]]:
    """Smallest and largest value of each tensor in `names`, 0 included.

    Args:
        graph: a float graph.
        inputs: for each graph input the samples, `(samples, *shape)` float32.
        names: tensors to look at.
        skips_infinite: leave out what is not finite, or huge, instead of refusing it.

    Raises:
        UserError: a value is not finite.
    """
    ranges = dict.fromkeys(names, (0.0, 0.0))
    for values in _runs(graph, inputs):
        for name, (low, high) in ranges.items():
            array = values[name]
            if skips_infinite:
                array = np.where(np.abs(array) <= LARGEST_REAL, array, 0.0)
            smallest, largest = float(array.min()), float(array.max())
            if not (smallest >= -LARGEST_REAL and largest <= LARGEST_REAL):
                raise UserError(
                    f"calibration: tensor {name!r} has values that are not finite, or huge; "
                    "check the samples and their preprocessing"
                )
            ranges[name] = (min(low, smallest), max(high, largest))
    return ranges


def observe_histograms(
    graph: Graph, inputs: Mapping[str, Array], ranges: Mapping[str, tuple[float, float]]
) -> dict[str, Histogram]:
    """Count the values of each tensor in `ranges` into `BINS` bins over its range."""
    counts = {name: np.zeros(BINS, np.int64) for name in ranges}
    zeros = dict.fromkeys(ranges, 0)
    for values in _runs(graph, inputs):
        for name, (low, high) in ranges.items():
            array = values[name].reshape(-1)
            zeros[name] += array.size - int(np.count_nonzero(array))
            if high > low:
                index = ((array - np.float32(low)) * np.float32(BINS / (high - low))).astype(
                    np.int32
                )
                np.clip(index, 0, BINS - 1, out=index)
                counts[name] += np.bincount(index[array != 0], minlength=BINS)
    return {
        name: Histogram(low, high, counts[name], zeros[name])
        for name, (low, high) in ranges.items()
    }


def observe_channels(
    graph: Graph, inputs: Mapping[str, Array], names: Iterable[str]
) -> dict[str, Array]:
    """Largest absolute value of each channel (last axis) of the tensors in `names`."""
    largest = {name: np.zeros(graph.tensors[name].shape[-1], np.float32) for name in names}
    for values in _runs(graph, inputs):
        for name, seen in largest.items():
            array = np.abs(values[name])
            np.maximum(seen, array.reshape(-1, len(seen)).max(axis=0), out=seen)
    return dict(largest)


def _runs(graph: Graph, inputs: Mapping[str, Array]) -> Iterator[dict[str, Array]]:
    """Compute every tensor, some samples at a time; hidden scores are moved to where they count."""
    sample_bytes = sum(t.size_bytes for t in graph.tensors.values() if not t.is_const)
    chunk = min(max(CHUNK_BYTES // max(sample_bytes, 1), 1), DEFAULT_CHUNK)
    scores = score_tensors(graph)
    for part in in_chunks(inputs, chunk):
        values = run_float(graph, part, keep=True)
        values.update((name, visible(values[name])) for name in scores & values.keys())
        yield values
