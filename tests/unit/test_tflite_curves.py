"""The table of TFLite's sigmoid of int16 codes, and the curves that are made of it."""

import zlib

import numpy as np
import pytest

from edgecomp.requant.tflite16_functions import sigmoid_table
from edgecomp.requant.tflite_lstm import sigmoid_int16, tanh_int16

ALL = np.arange(-(2**15), 2**15)
CHECKSUM = 0xB84F6AB4


def test_the_table_is_tflites():
    table = np.array(sigmoid_table())
    assert table[:8].tolist() == [32768, 33451, 34133, 34813, 35493, 36169, 36843, 37513]
    assert table[-4:].tolist() == [65534, 65534, 65534, 65535]
    assert zlib.crc32(table.astype("<u2").tobytes()) == CHECKSUM


def test_the_sigmoid():
    error = np.abs(sigmoid_int16(ALL) / 2**15 - 1 / (1 + np.exp(-ALL / 2**12)))
    assert error.max() < 2e-5 + 2.0**-15
    assert sigmoid_int16(ALL).min() >= 0
    assert sigmoid_int16(ALL).max() <= 2**15 - 1


@pytest.mark.parametrize("bits", range(16))
def test_tanh(bits):
    error = np.abs(tanh_int16(ALL, bits) / 2**15 - np.tanh(ALL * 2.0**-bits))
    assert error.max() < 4e-5 + 2.0**-15 + (2.0**-14 if bits > 12 else 0.0)
    assert np.abs(tanh_int16(ALL, bits)).max() <= 2**15
