"""Quantize real networks, export them as TFLite, and compare them with TensorFlow Lite Micro.

    EDGECOMP_DATA=... python -m benchmarks.tflite_export [--models M ...] [--keep]

Every network is calibrated with 200 samples of its own data set and exported twice: with TFLite's
numerics, whose output codes must be those of PyPI's `tflite-micro` on every input, and with
edgecomp's, whose layers are each at most one code apart. `--keep` writes TFLITE-EXPORT.md.
"""

import argparse
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgecomp.data import load_dataset
from edgecomp.export.tflite import export_tflite
from edgecomp.frontend import read_model
from edgecomp.interp import run_int
from edgecomp.passes import run_passes
from edgecomp.pipeline import quantize_phase
from edgecomp.quant import quantize_model
from edgecomp.samples import input_codes
from tests.e2e.real_models import MODELS, data_file, request
from tests.support.tflm import Tflm

NETWORKS = ("kws", "ic", "vww", "ad")
INPUTS = 300
PAGE = Path(__file__).parent / "TFLITE-EXPORT.md"
HEAD = f"""\
# Exported TFLite in TensorFlow Lite for Microcontrollers

Made by `python -m benchmarks.tflite_export --keep`: float networks, calibrated with 200 samples,
written by `edgecomp quantize -o X.tflite` ([docs/tflite.md](../docs/tflite.md)), run by PyPI's
`tflite-micro` on {INPUTS} inputs: test samples of kws and ic (CIFAR-10 pictures), enlarged CIFAR-10
pictures for vww, made spectra for ad. *Equal*: share of output codes equal to those of the integer
reference, which are the firmware's. Under edgecomp's own numerics each layer is at most one code
apart; what that makes at the end of a network is the distance here. *Comes back*: read and exported
again, the file has the same bytes.

| network | numerics | inputs | equal | largest distance | same class | different codes \
| file (bytes) | comes back |
|---|---|--:|--:|--:|--:|--:|--:|---|
"""


@dataclass(frozen=True)
class Row:
    """What was found for one file."""

    network: str
    numerics: str
    inputs: int
    equal: float
    distance: int
    same_class: float
    spread: int
    size: int
    comes_back: bool

    @property
    def text(self) -> str:
        """A line of the table."""
        cells = (
            self.network, self.numerics, self.inputs, f"{100 * self.equal:.2f} %", self.distance,
            "" if self.network == "ad" else f"{100 * self.same_class:.1f} %", self.spread,
            f"{self.size:,}", "yes" if self.comes_back else "no",
        )  # fmt: skip
        return "| " + " | ".join(str(cell) for cell in cells) + " |"


def compare(name: str, numerics: str, data_dir: Path, work: Path) -> Row:
    """Quantize, export, run and read back one network."""
    asked = request(name, "", data_dir, work, numerics=numerics)
    model = quantize_phase(asked, lambda text: None)
    graph = model.full_graph
    source = str(data_file(MODELS[name], data_dir, work))
    everything = load_dataset(source, graph, model.samples.preprocessing)
    codes = input_codes(graph, everything.take(slice(-INPUTS, None)))
    content = export_tflite(graph)
    (output,) = graph.outputs
    got = run_int(graph, codes)[output].reshape(INPUTS, -1).astype(int)
    wanted = Tflm(graph, content)(codes)[output].reshape(INPUTS, -1)
    path = work / f"{graph.name}.tflite"
    path.write_bytes(content)
    again, _ = quantize_model(run_passes(read_model(path)), None)
    return Row(
        name,
        numerics,
        len(got),
        float((got == wanted).mean()),
        int(np.abs(got - wanted).max()),
        float((got.argmax(axis=1) == wanted.argmax(axis=1)).mean()),
        len(np.unique(wanted)),
        len(content),
        export_tflite(again) == content,
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table, and keep it if asked to."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tflite_export", description=__doc__)
    parser.add_argument("--models", nargs="+", choices=NETWORKS, default=NETWORKS)
    parser.add_argument("--keep", action="store_true", help="write TFLITE-EXPORT.md")
    options = parser.parse_args(arguments)
    data_dir = Path(os.environ["EDGECOMP_DATA"])
    rows = []
    with tempfile.TemporaryDirectory() as work:
        for name in options.models:
            for numerics in ("tflite", "edgecomp"):
                rows.append(compare(name, numerics, data_dir, Path(work)).text)
                print(rows[-1], flush=True)
    if options.keep:
        PAGE.write_text(HEAD + "\n".join(rows) + "\n")


if __name__ == "__main__":
    main()
