"""From a histogram to the range that 256 codes should cover: four methods, and `auto`.

Sources: percentile and KL divergence as in S. Migacz, "8-bit Inference with TensorRT" (GTC 2017);
least squared error as in R. Banner et al., "Post training 4-bit quantization" (NeurIPS 2019),
searched instead of modelled.
"""

from collections.abc import Callable, Sequence

import numpy as np

from edgecomp.errors import UserError
from edgecomp.ir import Array, QParams
from edgecomp.quant.observe import Histogram

PERCENTILE = 99.99
"""Share of the values that `percentile` keeps inside the range."""
_STEPS = np.linspace(1.0, 0.05, 96)
_LEVELS = 256

Range = tuple[float, float]


def range_qparams(low: float, high: float, *, symmetric: bool = False) -> QParams:
    """Parameters whose codes cover `[low, high]`, 0 exactly among them.

    Args:
        low: smallest real value; raised to 0 if above it.
        high: largest real value; lowered to 0 if below it.
        symmetric: give zero point 0.

    Returns:
        Per-tensor int8 parameters; a range of no width gets the scale 1/128.

    >>> range_qparams(0.0, 2.55).zero_point
    -128
    """
    low, high = min(low, 0.0), max(high, 0.0)
    scale = np.float32(max(-low, high) / 127 if symmetric else (high - low) / 255)
    if not scale >= np.finfo(np.float32).tiny:
        return QParams.per_tensor(1 / 128, 0 if symmetric or low < 0 else -128)
    if symmetric:
        return QParams.per_tensor(float(scale))
    zero_point = round(-128 - low * 255 / (high - low))
    return QParams.per_tensor(float(scale), min(max(zero_point, -128), 127))


def squared_error(histogram: Histogram, qparams: QParams) -> float:
    """Mean squared error that quantization makes, rounding and clipping together."""
    centers = histogram.centers
    error = qparams.dequantize(qparams.quantize(centers)) - centers
    return float(histogram.counts @ np.square(error)) / max(histogram.total, 1)


def minmax(histogram: Histogram, symmetric: bool) -> Range:
    """Range of all that was seen."""
    return histogram.low, histogram.high


def percentile(histogram: Histogram, symmetric: bool) -> Range:
    """Range that leaves out the outermost values, `100 - PERCENTILE` per cent of them."""
    outside = histogram.total * (1 - PERCENTILE / 100)
    if histogram.low < 0 < histogram.high:
        outside /= 2
    edges = np.linspace(histogram.low, histogram.high, len(histogram.counts) + 1)
    below = np.cumsum(histogram.counts)
    above = np.cumsum(histogram.counts[::-1])[::-1]
    low = edges[:-1][int(np.argmax(below > outside))] if histogram.low < 0 else 0.0
    last = len(above) - 1 - int(np.argmax(above[::-1] > outside))
    high = edges[1:][last] if histogram.high > 0 else 0.0
    return min(float(low), 0.0), max(float(high), 0.0)


def least_squares(histogram: Histogram, symmetric: bool) -> Range:
    """Range with the least squared error."""
    return _search(
        histogram,
        symmetric,
        lambda low, high: squared_error(histogram, range_qparams(low, high, symmetric=symmetric)),
    )


def entropy(histogram: Histogram, symmetric: bool) -> Range:
    """Range with the least Kullback-Leibler divergence between values and codes."""
    return _search(histogram, symmetric, lambda low, high: _divergence(histogram, low, high))


def _search(histogram: Histogram, symmetric: bool, cost: Callable[[float, float], float]) -> Range:
    """Range with the least cost: both ends are moved together, then each alone, twice."""
    lows, highs = histogram.low * _STEPS, histogram.high * _STEPS
    low, high = min(zip(lows, highs, strict=True), key=lambda r: cost(*r))
    if symmetric:
        # Both ends have the same distance from 0, so they only move together.
        return float(low), float(high)
    for _ in range(2):
        high = min(highs, key=lambda end: cost(low, end)) if histogram.high else high
        low = min(lows, key=lambda end: cost(end, high)) if histogram.low else low
    return float(low), float(high)


def _divergence(histogram: Histogram, low: float, high: float) -> float:
    """Divergence of the distribution that 256 levels over `[low, high]` can express."""
    centers, counts = histogram.centers, histogram.counts
    inside = (centers >= low) & (centers <= high)
    kept = counts[inside].astype(np.float64)
    if not kept.any():
        return np.inf
    reference = kept.copy()
    reference[0] += counts[centers < low].sum()
    reference[-1] += counts[centers > high].sum()
    level = np.minimum(
        ((centers[inside] - low) * (_LEVELS / (high - low))).astype(np.int64), _LEVELS - 1
    )
    used = (kept > 0).astype(np.float64)
    sums = np.bincount(level, kept, _LEVELS)
    slots = np.bincount(level, used, _LEVELS)
    expressed = np.where(used > 0, (sums / np.maximum(slots, 1))[level], 0.0)
    p, q = reference / reference.sum(), expressed / expressed.sum()
    # A clipped tail may fall into a bin that had nothing: a small share keeps the sum finite.
    q = np.where(q > 0, q, 1e-9)
    positive = p > 0
    return float(np.sum(p[positive] * np.log(p[positive] / q[positive])))


_SEARCHES: dict[str, Callable[[Histogram, bool], Range]] = {
    "minmax": minmax,
    "percentile": percentile,
    "mse": least_squares,
    "entropy": entropy,
}

METHODS = ("auto", *_SEARCHES)
"""Names of the calibration methods."""


def choose_range(histogram: Histogram, method: str, *, symmetric: bool) -> tuple[str, Range]:
    """Return the method used and its range; `auto` takes the method with the least error.

    Raises:
        UserError: `method` is not one of `METHODS`.
    """
    if method not in METHODS:
        raise UserError(f"unknown calibration method {method!r}; choose from {', '.join(METHODS)}")
    if method != "auto":
        return method, _SEARCHES[method](histogram, symmetric)
    found = {name: search(histogram, symmetric) for name, search in _SEARCHES.items()}
    errors: dict[str, float] = {
        name: squared_error(histogram, range_qparams(*r, symmetric=symmetric))
        for name, r in found.items()
    }
    least = min(errors, key=lambda name: errors[name])
    return least, found[least]


def merge(histograms: Sequence[Histogram]) -> Histogram:
    """Sum histograms that have the same range."""
    counts: Array = np.sum([h.counts for h in histograms], axis=0)
    first = histograms[0]
    return Histogram(first.low, first.high, counts, sum(h.zeros for h in histograms))
