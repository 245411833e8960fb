"""TFLite's roundings in pieces: what is proved is equal, accumulator by accumulator."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgecomp.fixedpoint import saturate
from edgecomp.requant.tflite import TfliteConstants, multiply_by_quantized_multiplier
from edgecomp.requant.tflite_pieces import shortened


def constants(multipliers, shifts, ranges, zero_point, low, high):
    """Constants of a layer with one channel per multiplier."""
    count = len(multipliers)
    return TfliteConstants(
        bias=np.zeros(count, np.int64),
        multiplier=np.array(multipliers, np.int64),
        shift=-np.array(shifts, np.int64),
        zero_point=zero_point,
        low=low,
        high=high,
        acc_min=np.array([first for first, _ in ranges], np.int64),
        acc_max=np.array([last for _, last in ranges], np.int64),
    )


def compare(k, found, channel, acc):
    """Codes of TFLite and of the device for accumulators of a channel."""
    scaled = multiply_by_quantized_multiplier(acc, k.multiplier[channel], k.shift[channel])
    wanted = saturate(scaled + k.zero_point, k.low, k.high)
    got = np.clip(found.codes(acc, channel), 0, k.high - k.low) + k.low
    np.testing.assert_array_equal(got, wanted)


@st.composite
def layers(draw):
    count = draw(st.integers(1, 4))
    multipliers = draw(
        st.lists(
            st.one_of(st.just(0), st.just(1 << 30), st.integers(1 << 30, (1 << 31) - 1)),
            min_size=count,
            max_size=count,
        )
    )
    middle = draw(st.integers(2, 12))
    shifts = [max(1, middle + draw(st.integers(-2, 2))) for _ in range(count)]
    ranges = []
    for _ in range(count):
        first = draw(st.integers(-(1 << 19), 1 << 18))
        ranges.append((first, first + draw(st.integers(0, 4000))))
    zero_point = draw(st.integers(-128, 127))
    relu = draw(st.booleans())
    low = draw(st.integers(zero_point, 127)) if relu else draw(st.integers(-128, zero_point))
    return constants(multipliers, shifts, ranges, zero_point, low, draw(st.integers(low, 127)))


@settings(deadline=None, max_examples=40)
@given(layers())
def test_every_accumulator_gives_the_code_of_tflite(k):
    found = shortened(k)
    if found is None:
        return
    for channel in range(len(k.multiplier)):
        compare(k, found, channel, np.arange(k.acc_min[channel], k.acc_max[channel] + 1))


@pytest.mark.parametrize("zero_point", [-128, 5])
def test_a_layer_of_real_size_is_proved(zero_point):
    rng = np.random.default_rng(0)
    count = 64
    shifts = rng.integers(6, 9, count)
    ranges = [(-(1 << 19), 1 << 19)] * count
    multipliers = rng.integers(1 << 30, 1 << 31, count)
    k = constants(multipliers, shifts, ranges, zero_point, -128, 127)
    found = shortened(k)
    assert found is not None
    for channel in range(count):
        compare(k, found, channel, rng.integers(-40_000, 40_000, 20_000))
        compare(k, found, channel, np.array([-(1 << 19), -1, 0, 1, 1 << 19]))


def test_shifts_to_the_left_are_refused():
    assert shortened(constants([1 << 30], [0], [(-5, 5)], 0, -128, 127)) is None
