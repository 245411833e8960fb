"""One TFLite file for every reason to refuse an LSTM."""

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from edgecomp.frontend.tflite_file import TfliteFile, load_tflite
from tests.support.tflite_lstm_files import LstmSpec, NetSpec, lstm_file

PLAIN = "plain LSTM"


@dataclass(frozen=True)
class TfliteLstm:
    """A file, what is said of it, and what is suggested."""

    reason: str
    net: NetSpec
    instead: str = ""
    op = "UNIDIRECTIONAL_SEQUENCE_LSTM"

    def file(self) -> TfliteFile:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "net.tflite"
            path.write_bytes(lstm_file(self.net))
            return load_tflite(path)


def one(reason, instead="", *, batch=1, dtype="int8", options=None, **layer):
    net = NetSpec(batch, 2, 3, (LstmSpec(4, **layer),), dtype=dtype, options=options or {})
    return TfliteLstm(reason, net, instead)


def wide(reason, instead="", **layer):
    """Refused with int16 activations."""
    spec = LstmSpec(4, **{"hidden": (1 / 32768, 0), **layer})
    return TfliteLstm(reason, NetSpec(1, 2, 3, (spec,), x=(1 / 4096, 0), dtype="int16"), instead)


CASES = (
    one("peepholes", PLAIN, more=(10,)),
    one("a projection", PLAIN, more=(16,)),
    one("layer normalization", PLAIN, more=(21,)),
    one("follows from the forget gate", PLAIN, without=(1, 5)),
    one("another activation", PLAIN, activation=1),
    one("diagonal", PLAIN, options={"DiagonalRecurrentTensors": True}),
    one("clip below 0", PLAIN, cell_clip=-1.0),
    one("3 sequences at once", PLAIN, batch=3),
    one("3 sequences at once", PLAIN, batch=3, time_major=True),
    one("no states", without=(18, 19)),
    one("states of int8 and float32", "quantize to int8", cell="float32"),
    one("scale 0.7", "power of two", cell_bits=0.5),
    one("scale 2", "power of two", cell_bits=-1),
    one("zero points", weight_zero=3),
    one("operands of the shapes", more_units=1),
    one("weights must be a constant", without=(2,)),
    replace(one("2 axes", PLAIN), net=NetSpec(1, 2, 3, (LstmSpec(4),), flat=True)),
    one("could leave 32 bits", magnitude=3e5),
    one("below 2^-29", hidden=(1e-10, 0)),
    one("biases of int64: TFLite has int8 codes, of int32", bias_type="int64"),
    wide("biases of int32: TFLite has int16 codes with biases of int64", bias_type="int32"),
    wide("a hidden state of int16 with the zero point 5", hidden=(1 / 32768, 5)),
    wide("below 2^-29", hidden=(1e-10, 0)),
    wide("its sums can leave 38 bits", "quantize again", magnitude=3e4),
)
