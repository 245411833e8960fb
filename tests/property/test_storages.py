"""Every storage gives back the weights that it was given."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgecomp.errors import UserError
from edgecomp.ir import DType, Graph, Node, QParams, Tensor
from edgecomp.ops.dense import DenseParams
from edgecomp.storage import STORAGES, allow_storage
from edgecomp.storage.bits import BitReader, pack_bits
from edgecomp.storage.canonical import PrefixCode, Tables, code_lengths
from edgecomp.storage.codebook import channels_per_table
from edgecomp.storage.huffman import tables_of
from edgecomp.storage.row_starts import row_starts


@st.composite
def weights(draw):
    """Weights of every kind: dense, sparse, of few values, of four bits, all alike."""
    shape = draw(st.tuples(st.integers(1, 9), st.integers(1, 40)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    low, high = draw(st.sampled_from([(-128, 127), (-127, 127), (-8, 7), (0, 0), (127, 127)]))
    values = rng.integers(low, high + 1, shape)
    few = draw(st.sampled_from([0, 1, 2, 3, 15, 64]))
    if few:
        values = rng.choice(rng.integers(low, high + 1, few), shape)
    density = draw(st.sampled_from([1.0, 0.6, 0.1, 0.01, 0.0]))
    return (values * (rng.random(shape) < density)).astype(np.int8)


@pytest.mark.parametrize("name", STORAGES)
@settings(max_examples=120, deadline=None)
@given(values=weights())
def test_nothing_is_lost(name, values):
    storage = STORAGES[name]
    if storage.refusal(values) is not None:
        return
    encoded = storage.encode(values)
    assert np.array_equal(storage.decode(encoded), values)
    assert encoded.bytes == sum(array.values.nbytes for array in encoded.arrays)
    for array in encoded.arrays:
        assert array.values.dtype.name == array.c_type.removesuffix("_t")
    assert {f for f in encoded.fields.values() if isinstance(f, str)} <= {
        array.name for array in encoded.arrays
    }


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("packed4", [[8, 0]]),
        ("packed4", [[-9, 0]]),
        ("codebook", [list(range(65))]),
        ("sparse", [[1, 2, 3]]),
    ],
)
def test_what_does_not_fit_is_refused(name, values):
    assert STORAGES[name].refusal(np.array(values, np.int8))


@given(symbols=st.lists(st.integers(-128, 127), min_size=1, max_size=300))
def test_codes_are_prefix_free_and_the_tables_read_them(symbols):
    array = np.array(symbols, np.int64)
    code = PrefixCode.for_symbols(array)
    assert sum(2.0**-length for length in code.lengths.values()) == 1.0
    reader = BitReader(pack_bits(*code.bits(array)))
    tables = Tables(code.steps, np.array(code.symbols), code.least)
    assert [tables.next(reader) for _ in symbols] == symbols


def test_codes_are_never_longer_than_a_half_word():
    fibonacci = [1, 1]
    while len(fibonacci) < 30:
        fibonacci.append(fibonacci[-1] + fibonacci[-2])
    lengths = code_lengths(dict(enumerate(fibonacci)))
    assert max(lengths.values()) <= 16
    assert sum(2.0**-length for length in lengths.values()) == 1.0


def test_a_huffman_code_is_as_short_as_the_entropy_allows():
    """15 values, 7 % of the weights: within 3 % of the entropy of gaps and values."""
    rng = np.random.default_rng(0)
    values = (rng.integers(1, 16, (100, 400)) * (rng.random((100, 400)) < 0.07)).astype(np.int8)
    share = (values != 0).mean()
    entropy = -share * np.log2(share / 15) - (1 - share) * np.log2(1 - share)
    encoded = STORAGES["huffman"].encode(values)
    assert encoded.decoder == "huffman_gaps"
    assert encoded.bytes < 1.03 * entropy * values.size / 8 + 100


def test_channel_groups_have_tables_of_their_own():
    rng = np.random.default_rng(0)
    values = (rng.integers(0, 16, (32, 500)) + 4 * np.arange(32)[:, None] - 100).astype(np.int8)
    encoded = STORAGES["codebook"].encode(values)
    assert encoded.fields["bits"] < 6
    assert np.array_equal(STORAGES["codebook"].decode(encoded), values)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 70), st.integers(1, 6), st.sampled_from([1, 2, 4]), st.integers(0, 2**32 - 1)
)  # fmt: skip
def test_groups_of_channels_are_found_however_kernels_interleave_them(
    channels, groups, at_once, seed
):
    """Never more bytes than with a table of 16 values for each group."""
    rng = np.random.default_rng(seed)
    size = channels_per_table(channels, groups)
    assert size * groups >= channels
    filled = -(-channels // at_once) * at_once
    tables = rng.integers(-128, 128, (filled // size + 1, 16)).astype(np.int8)
    values = tables[np.arange(filled) // size, rng.integers(0, 16, (24, filled))].T
    ordered = np.ascontiguousarray(values.reshape(-1, at_once, 24).swapaxes(1, 2))
    encoded = STORAGES["codebook"].encode(ordered)
    assert np.array_equal(STORAGES["codebook"].decode(encoded).reshape(ordered.shape), ordered)
    count = -(-filled // size)
    assert encoded.bytes <= ordered.size // 2 + 16 * count + 4


def dense_graph():
    scale = QParams.per_tensor(0.1, 0)
    tensors = {
        "x": Tensor("x", (1, 3), DType.INT8, scale),
        "w": Tensor("w", (2, 3), DType.INT8, scale, np.ones((2, 3), np.int8)),
        "y": Tensor("y", (1, 2), DType.INT8, scale),
    }
    node = Node("layer", "dense", ("x", "w"), "y", DenseParams())
    return Graph("g", ("x",), ("y",), (node,), tensors)


def test_storages_are_allowed_by_name():
    marked = allow_storage(dense_graph(), "w", ["huffman", "codebook"])
    assert marked.tensors["w"].storages == ("huffman", "codebook")


@pytest.mark.parametrize(
    ("tensor", "storages", "part"),
    [
        ("w", ["hufman"], "no storage is called 'hufman'"),
        ("x", ["huffman"], "'x' is not the weights of a layer"),
        ("w", [], "no storage is given"),
    ],
)
def test_wrong_names_are_refused(tensor, storages, part):
    with pytest.raises(UserError, match=part):
        allow_storage(dense_graph(), tensor, storages)


@settings(max_examples=150, deadline=None)
@given(values=weights())
def test_rows_begin_where_it_is_said(values):
    rows, width = values.shape
    for name in ("huffman", "sparse"):
        if STORAGES[name].refusal(values) is not None:
            continue
        encoded = STORAGES[name].encode(values)
        starts = row_starts(encoded, values)
        places = {array.name: array.values.tolist() for array in starts.arrays}
        step = 1 << starts.shift
        assert all(len(several) == -(-rows // step) for several in places.values())
        for kept, row in enumerate(range(0, rows, step)):
            here = {name: several[kept] for name, several in places.items()}
            found = row_at(encoded, here, row, width)
            assert found == values[row].tolist()


def row_at(encoded, place, row, width):
    """A row as the device decodes it."""
    if encoded.decoder.startswith("sparse"):
        return sparse_row_at(encoded, place, row, width)
    reader = BitReader(encoded.array("codes"))
    reader.skip(place["bits"])
    value = tables_of(encoded, "value")
    if encoded.decoder == "huffman":
        return [value.next(reader) for _ in range(width)]
    gap, limit = tables_of(encoded, "gap"), int(encoded.fields["limit"])
    found = [0] * place["zeros"]
    while len(found) < width:
        found.append(value.next(reader))
        symbol = limit
        while symbol == limit:
            symbol = gap.next(reader)
            found += [0] * symbol
    return found[:width]


def sparse_row_at(encoded, place, row, width):
    size = 4 if encoded.decoder == "sparse_blocks" else 1
    count = int(encoded.array("counts")[row])
    packed = encoded.array("gaps")[place["gap_starts"] :].tolist()
    blocks = encoded.array("values").reshape(-1, size)[place["value_starts"] :].tolist()
    found = []
    for i in range(count):
        found += [0] * (size * (packed[i // 2] >> 4 * (i % 2) & 15)) + blocks[i]
    return found + [0] * (width - len(found))
