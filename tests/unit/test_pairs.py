"""The proofs behind two products per multiplication, against plain integers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecomp.fixedpoint import rescale, saturate
from edgecomp.kernels import KERNELS, Layer
from edgecomp.kernels.conv2d_m3 import Conv2dM3
from edgecomp.kernels.dense_m3 import BYTES, LOW
from edgecomp.kernels.gemm_m3 import (
    HEAD,
    LANE_BITS,
    MULTIPLIER_LIMIT,
    WIDE_BITS,
    core_refusal,
    lane_starts,
    pair_stream,
)
from edgecomp.kernels.octets_m3 import RANGE, octet_stream
from edgecomp.kernels.pairs import (
    LANE_BITS as GROUP_LANE_BITS,
)
from edgecomp.kernels.pairs import (
    MAX_GROUP_WEIGHT,
    ROUNDING,
    group_sizes,
    group_starts,
    group_weights,
    padded_taps,
)
from edgecomp.ops.linear import LinearConstants
from edgecomp.targets.cores import CORES, get_core
from tests.ops.tables import ALL_CASES
from tests.support.cases import case_graph

MASK32 = (1 << 32) - 1
MASK64 = (1 << 64) - 1
CODES = st.integers(-128, 127)
EXTREMES = st.sampled_from((-128, -127, -1, 0, 1, 127))


def sum_of(weights):
    """Sum of magnitudes."""
    return sum(abs(w) for w in weights)


def signed(word, bits):
    """Read the lowest `bits` of a number as two's complement."""
    word &= (1 << bits) - 1
    return word - (1 << bits) if word >> (bits - 1) else word


def pack(low, high, bits):
    """A word as the C makes it, as the signed number that SMLAL sees."""
    if bits == WIDE_BITS:
        low += 128
    return signed(low + (high << bits), 32)


@given(st.lists(st.tuples(CODES | EXTREMES, CODES | EXTREMES, CODES | EXTREMES), min_size=1))
def test_groups_part_exactly_whatever_the_activations(taps):
    weights = np.array([[w for w, _, _ in taps]], np.int8)
    (size,) = group_sizes(weights, (1, 2, 3, 4, 8)).tolist()
    filled = taps + [(0, 0, 0)] * (padded_taps(len(taps), size) - len(taps))
    total = int(group_starts(np.array([7]), np.array([len(filled) // size]))[0])
    high = 7
    for start in range(0, len(filled), size):
        lanes = ROUNDING
        for w, a, b in filled[start : start + size]:
            lanes += w * (a + (b << GROUP_LANE_BITS))
        lanes = signed(lanes, 32)
        total = (total + lanes) & MASK32
        high += lanes >> GROUP_LANE_BITS
    assert high == 7 + sum(w * b for w, _, b in taps)
    assert signed(total - (high << GROUP_LANE_BITS), 32) == 7 + sum(w * a for w, a, _ in taps)


def test_the_largest_group_is_taken_and_no_larger_one():
    weights = np.array([[85, -85, 85, 1], [86, 85, -85, 0], [-128, -127, 1, 0], [-128, -128, 1, 1]])
    sizes = group_sizes(weights.astype(np.int8), (1, 2, 3))
    assert sizes.tolist() == [3, 2, 2, 1]
    for row, size in zip(weights, sizes, strict=True):
        assert group_weights(row[None], int(size)).max() <= MAX_GROUP_WEIGHT


def test_sums_of_the_limit_fit_and_of_one_more_do_not():
    assert 128 * MAX_GROUP_WEIGHT < 1 << (GROUP_LANE_BITS - 1)
    assert 128 * (MAX_GROUP_WEIGHT + 1) >= 1 << (GROUP_LANE_BITS - 1)


@pytest.mark.parametrize("bits", [LANE_BITS, WIDE_BITS])
@given(
    taps=st.lists(
        st.tuples(CODES | EXTREMES, CODES | EXTREMES, CODES | EXTREMES), min_size=1, max_size=40
    ),
    bias=st.integers(-(2**20), 2**20),
    multiplier=st.integers(0, MULTIPLIER_LIMIT // 4 - 1).map(lambda n: 4 * n),
    zero_point=CODES,
)
def test_a_stream_gives_the_codes_of_the_formula(bits, taps, bias, multiplier, zero_point):
    """The arithmetic of the assembly, instruction by instruction, on the stream that it reads."""
    weights = np.array([[w for w, _, _ in taps]], np.int8)
    one = np.array([1])
    k = LinearConstants(
        bias * one, multiplier * one, 0 * one, zero_point, -128, 127, 0 * one, 0 * one
    )
    taps_filled, channels, addend, *rest = (int(word) for word in pair_stream(weights, k, bits))
    assert (taps_filled % 4, channels) == (0, HEAD)
    acc = rest[0] | rest[1] << 32
    stored = np.array(rest[2:-1], np.uint32).view(np.int8)
    for weight, (_, low, high) in zip(stored.tolist(), taps, strict=False):
        acc = (acc + weight * pack(low, high, bits)) & MASK64
    assert stored[len(taps) :].tolist() == [0] * (taps_filled - len(taps))
    m, addend = rest[-1], signed(addend, 32)
    top = 32 - bits
    low_word, high_word = acc & MASK32, acc >> 32
    high_sum = (low_word >> bits | high_word << top) & MASK32
    low_scaled = ((low_word << top & MASK32) * m >> 32) + (addend << top) - (m >> 1)
    high_scaled = (signed(high_sum, 32) * m >> 32) + addend
    got = [saturate(low_scaled >> (top + 1), -128, 127), saturate(high_scaled >> 1, -128, 127)]
    sums = np.array([[bias + sum(t[0] * t[i] for t in taps)] for i in (1, 2)])
    wanted = saturate(rescale(sums, multiplier * one, 0 * one) + zero_point, -128, 127)
    assert got == wanted.reshape(-1).tolist()


@pytest.mark.parametrize("bits", [LANE_BITS, WIDE_BITS])
def test_the_ends_of_a_lane_part(bits):
    limit = 1 << (bits - 1)
    for low in (-limit, -1, 0, limit - 1):
        for high in (-limit, -1, 0, limit - 1):
            words = lane_starts(np.array([low]), np.array([high]), bits)[0].tolist()
            both = words[0] | words[1] << 32
            assert (both & ((1 << bits) - 1)) - limit == low
            assert signed(both >> bits, 32) == high


@given(
    weights=st.lists(CODES | EXTREMES, min_size=1, max_size=36),
    codes=st.lists(st.integers(-128, 127) | EXTREMES, min_size=36 * 8, max_size=36 * 8),
    bias=st.integers(-(2**20), 2**20),
    towards=st.sampled_from((None, 1, -1)),
    multiplier=st.integers(0, MULTIPLIER_LIMIT // 4 - 1).map(lambda n: 4 * n),
)
def test_five_words_hold_eight_sums(weights, codes, bias, towards, multiplier):
    """The arithmetic of the assembly; all sums least or largest where `towards` is given."""
    while sum_of(weights) > (RANGE - 1) // 255:
        weights.pop()
    w = np.array(weights, np.int64)
    x = np.array(codes, np.int64).reshape(36, 8)[: len(w)]
    if towards:
        x = np.where(w * towards > 0, 127, -128)[:, None].repeat(8, axis=1)
        x[w == 0] = 5
    least = bias + int(np.where(w > 0, -128 * w, 127 * w).sum())
    most = bias + int(np.where(w > 0, 127 * w, -128 * w).sum())
    assert most - least < RANGE
    one = np.array([1])
    k = LinearConstants(
        bias * one, multiplier * one, 0 * one, 3, -128, 127, least * one, most * one
    )
    taps, _, _, pair, mixture, *rest = (int(n) for n in octet_stream(w[None].astype(np.int8), k))
    stored = np.array(rest[:-2], np.uint32).view(np.int8)
    assert stored[: len(w)].tolist() == weights
    assert len(stored) == taps
    sums = [pair] * 4
    for i in range(len(w)):
        odd = x[i, 1::2]
        for p in range(4):
            sums[p] = (sums[p] + int(w[i]) * int(x[i, 2 * p] - (odd[p] << 16))) & MASK32
        mixture = (mixture + int(w[i]) * sum(int(odd[p]) << 4 * p for p in range(4))) & MASK32
    digits = (mixture + sum((s >> 16) << 4 * p for p, s in enumerate(sums))) & MASK32
    wanted = bias + (w[:, None] * x).sum(axis=0)
    for p, s in enumerate(sums):
        h, high = digits >> 4 * p & 15, digits >> 16 + 4 * p & 15
        even = signed((h << 16 | s & 0xFFFF) - rest[-2], 32)
        odd_sum = signed(h - (s >> 16) + (high << 16) - rest[-2], 32)
        assert [even, odd_sum] == wanted[2 * p : 2 * p + 2].tolist()
    assert rest[-1] == 2 * multiplier


def test_lanes_of_dense_weights_are_the_masked_words():
    """Byte 0 and 3, and 2 and 1 after a rotation, are the low and the high lane of a pair."""
    low, high = BYTES.index(LOW[0]), BYTES.index(LOW[0] + 1)
    assert (low, high) == (0, 3)
    low, high = BYTES.index(LOW[1]), BYTES.index(LOW[1] + 1)
    assert ((low - 2) % 4, (high - 2) % 4) == (0, 3)


def test_only_mainline_cores_without_dsp_execute_them():
    able = {core.name for core in CORES if core_refusal(core) is None}
    assert able == {"cortex-m3"}


def test_refusals_give_the_reason():
    core = get_core("cortex-m3")
    found = {}
    for case in ALL_CASES:
        if case.op == "conv2d":
            graph = case_graph(case)
            found[case.id] = Conv2dM3().applies(Layer(graph, graph.nodes[0]), core)
    assert found["conv2d-one-pixel"] == "a single pixel"
    assert found["conv2d-dilation-2"] == "dilation"
    assert found["conv2d-1x1"] is None
    assert "an accumulator can exceed 24 bits" in found.values()
    assert "a factor of 1/4 or more" in found.values()


def test_every_kernel_here_is_in_the_table():
    names = {
        name
        for name, kernel in KERNELS.items()
        if name.endswith(("_m3", "_m3_octets")) and kernel.storage == "dense8"
    }
    assert names == {
        "add_m3", "conv2d_lean_m3", "conv2d_m3", "conv2d_m3_octets", "dense_m3", "depthwise_m3",
        "depthwise_row_m3", "global_average_m3", "sub_m3", "winograd_m3",
    }  # fmt: skip
