"""Multipliers in pieces, eight outputs in five words, four channels in three sums: always exact."""

from fractions import Fraction
from math import floor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgecomp.fixedpoint import quantize_multiplier
from edgecomp.kernels.dense_m0 import ALL, LIMIT, SWAPPED, UPPER
from edgecomp.kernels.octets_m0 import (
    CENTRE,
    RANGE,
    SINGLE,
    WIDE_HIGH,
    WIDE_LOW,
    cut_taps,
    octets,
    sum_range,
)
from edgecomp.ops.linear import LinearConstants
from edgecomp.requant.pieces import SIGNED_PIECES, Pieces, signed_pieces

MASK = (1 << 32) - 1
half = Fraction(1, 2)
codes = st.integers(-128, 127)


def array(*numbers):
    return np.array(numbers, np.int64)


@given(
    st.sampled_from([*SIGNED_PIECES, SINGLE, Pieces(3, 8)]),
    st.floats(2.0**-26, 0.49),
    st.integers(-(2**24), 2**24),
    codes,
    codes,
    st.data(),
)
@settings(max_examples=500)
def test_pieces_that_are_proved_are_exact(pieces, scale, bound, zero_point, lowest, data):
    low, high = sorted((0, bound))
    multiplier, shift = quantize_multiplier(scale)
    assert shift == 0
    addend = pieces.addend(zero_point, lowest)
    if not pieces.holds(array(low), array(high), array(multiplier), array(addend)):
        return
    acc = data.draw(st.integers(low, high))
    for value in (acc, low, high):
        exact = floor(Fraction(value * multiplier, 2**32) + half) + zero_point - lowest
        assert int(pieces.rescale(array(value), array(multiplier), array(addend))[0]) == exact


def test_a_sum_that_leaves_32_bits_is_not_proved():
    multiplier, _ = quantize_multiplier(0.01)
    ends = array(-(2**19)), array(2**19)
    assert Pieces(2, 12).holds(array(-(2**19) + 1), array(2**19 - 1), array(multiplier), array(0))
    assert not Pieces(2, 12).holds(*ends, array(multiplier), array(0))
    assert not SINGLE.holds(array(-1), array(5), array(multiplier), array(0))
    assert not Pieces(2, 10).holds(
        array(0), array(2**20), array(quantize_multiplier(0.4)[0]), array(0)
    )
    assert signed_pieces(array(-(2**30)), array(2**30), array(multiplier), 0, -128) is None


@given(st.floats(2.0**-15, 0.05), st.integers(1, 2**23), codes)
def test_the_cut_that_is_chosen_is_proved(scale, size, zero_point):
    multiplier, _ = quantize_multiplier(scale)
    found = signed_pieces(array(-size), array(size), array(multiplier), zero_point, -128)
    if found is not None:
        addend = array(found.addend(zero_point, -128))
        assert found.holds(array(-size), array(size), array(multiplier), addend)


def part_octets(sums, *, wide):
    """Pack eight sums as the device does and part them again."""
    lower = (1 << 16) if wide else 0
    odd = [s - lower for s in sums[1::2]]
    pairs = [(e - (o << 16)) & MASK for e, o in zip(sums[0::2], odd, strict=True)]
    mix = sum(o << (4 * i) for i, o in enumerate(odd))
    mix = (mix + sum((pair >> 16) << (4 * i) for i, pair in enumerate(pairs))) & MASK
    found = []
    for i, pair in enumerate(pairs):
        second = (mix >> (4 * i) & 0x000F000F) - (pair >> 16) + lower
        found += [(pair + (second << 16)) & MASK, second]
    return found


@given(st.lists(st.integers(0, RANGE) | st.sampled_from([0, RANGE]), min_size=8, max_size=8))
@settings(max_examples=500)
def test_eight_sums_are_parted(sums):
    assert part_octets(sums, wide=False) == sums


@given(
    st.lists(
        st.integers(WIDE_LOW, WIDE_HIGH) | st.sampled_from([WIDE_LOW, WIDE_HIGH]),
        min_size=8,
        max_size=8,
    )
)
@settings(max_examples=500)
def test_eight_sums_of_the_wide_range_are_parted(sums):
    assert part_octets(sums, wide=True) == sums


def test_sums_beyond_the_range_are_not_parted():
    assert part_octets([0, RANGE + 17] * 4, wide=False) != [0, RANGE + 17] * 4


@given(st.lists(st.integers(-LIMIT, LIMIT), min_size=4, max_size=4))
@settings(max_examples=500)
def test_four_sums_are_parted(sums):
    whole, upper, swapped = (
        int(np.dot(np.array(sums, object), weights.tolist())) & MASK
        for weights in (ALL, UPPER, SWAPPED)
    )

    def signed(value, bits=32):
        value &= (1 << bits) - 1
        return value - (1 << bits) if value >> (bits - 1) else value

    p, q = signed(whole - (upper << 16)), signed(upper)
    p0, p1, q0, q1 = p & 255, p >> 8, q & 255, q >> 8
    both = p1 + (p0 << 8) + ((q1 + (q0 << 8)) << 16) - swapped
    both += both << 16
    x = signed(both, 16)
    y = signed(both - x) >> 16
    assert [p0 + (x << 8), p1 - x, q0 + (y << 8), q1 - y] == sums


def constants(weights, bias, scale):
    """The constants of a layer."""
    low, high = sum_range(weights)
    multiplier = np.full(len(weights), quantize_multiplier(scale)[0], np.int64)
    return LinearConstants(
        bias, multiplier, np.zeros(len(weights), np.int64), -128, -128, 127, bias + low, bias + high
    )


@pytest.mark.parametrize("taps", [1, 8, 27, 64, 288, 576])
@pytest.mark.parametrize("size", [3, 40, 127])
def test_chunks_hold_whatever_the_activations_are(taps, size):
    weights = np.random.default_rng(taps).integers(-size, size + 1, (6, taps))
    weights[0], weights[1] = size, -size
    found = octets(weights.astype(np.int8), constants(weights, array(*range(6)) * 1000, 1e-3))
    assert found is not None
    chunks = found.chunks
    assert chunks.taps == -(-taps // 4) * 4
    assert chunks.first % 4 == 0
    assert chunks.length % 8 == 0
    if chunks.count == 1:
        return
    padded = np.pad(weights, ((0, 0), (0, chunks.taps - taps)))
    starts = [0, *range(chunks.first, chunks.taps, chunks.length)]
    assert len(starts) == chunks.count
    for part in np.split(padded, starts[1:], axis=1):
        low, high = sum_range(part)
        assert low.min() + CENTRE >= 0
        assert high.max() + CENTRE <= RANGE
    assert cut_taps(padded) == chunks


def test_weights_of_minus_128_are_taken():
    weights = np.full((4, 100), -128, np.int64)
    found = octets(weights.astype(np.int8), constants(weights, array(0, 0, 0, 0), 1e-3))
    assert found is not None
    assert found.chunks.count > 1
