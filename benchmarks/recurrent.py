"""Recurrent classifiers of six activities: trained, quantized, built, compared, counted.

    EDGECOMP_DATA=... python -m benchmarks.recurrent [--layers LSTM GRU] [--boards B ...]

Windows of 128 x 6 samples of an accelerometer and a gyroscope (HAPT), one layer of 32 units, a
dense layer; eight epochs of Adam, seed 0, one thread: a minute for each.  Prints the lines of the
table in `recurrent.md`: accuracy on all 2,996 windows of the test subjects in float32 and in
integers; on each board every tensor of 20 windows is compared before anything is counted.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from edgecomp.pipeline import build
from edgecomp.profiling import profile_folder
from edgecomp.request import Request

BOARDS = ("mps2-an386", "mps2-an500", "mps2-an385", "mps2-an385-v6m", "mps3-an547")
EPOCHS, BATCH, RATE, UNITS = 8, 64, 6e-3, 32
SCALE = 4096
SOURCE = """
import torch


class Classifier(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = torch.nn.{kind}(6, {units}, batch_first=True)
        self.head = torch.nn.Linear({units}, 6)

    def forward(self, x):
        return self.head(self.layers(x)[0][:, -1])


def network():
    module = Classifier()
    module.load_state_dict(torch.load({weights!r}))
    return module.eval(), (torch.zeros(1, 128, 6),)
"""


def trained(kind: str, data: Path, work: Path) -> str:
    """Train a classifier and return what `edgecomp build` is given."""
    weights, source = work / f"{kind}.pt", work / f"{kind.lower()}.py"
    source.write_text(SOURCE.format(kind=kind, units=UNITS, weights=str(weights)))
    scope: dict[str, type[torch.nn.Module]] = {}
    exec(compile(source.read_text(), str(source), "exec"), scope)
    torch.manual_seed(0)
    torch.set_num_threads(1)
    network = scope["Classifier"]()
    with np.load(data / "har_hapt_train.npz") as file:
        x = torch.tensor(file["x"].astype(np.float32) / SCALE)
        y = torch.tensor(file["y"].astype(np.int64))
    optimizer = torch.optim.Adam(network.parameters())
    steps = -(-len(x) // BATCH)
    rates = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, RATE, epochs=EPOCHS, steps_per_epoch=steps
    )
    for _ in range(EPOCHS):
        for part in torch.randperm(len(x)).split(BATCH):
            loss = torch.nn.functional.cross_entropy(network(x[part]), y[part])
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            rates.step()
    torch.save(network.state_dict(), weights)
    return f"{source}:network"


def line(kind: str, model: str, board: str, data: Path, work: Path) -> str:
    """Build for one board, compare, count; a row of the table.

    Raises:
        RuntimeError: device and host differ.
    """
    out = work / f"{kind}-{board}"
    request = Request(
        model,
        board,
        out,
        data=str(data / "har_hapt_test.npz"),
        calibration_data=str(data / "har_hapt_train.npz"),
        preprocessing={"scale": 1 / SCALE, "layout": "wc"},
        optimize="speed",
        limit=20,
    )
    report = build(request)
    if report["bit_exact"]["mismatches"] != 0:
        raise RuntimeError(f"{kind} on {board}: {report['bit_exact']}")
    counted = profile_folder(out)
    accuracy = report["accuracy"]
    flash = report["flash"]
    return (
        f"| {kind} | {board} | {accuracy['float']:.2%} | {accuracy['int8']:.2%} "
        f"| {counted['instructions']:,} | {counted['modelled_cycles']:,} "
        f"| {report['ram']['arena_bytes']:,} | {flash['weights_bytes']:,} "
        f"| {flash['code_bytes'] - flash['application_bytes']:,} |"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, build and print what the arguments ask for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--layers", nargs="+", default=["LSTM", "GRU"], choices=["LSTM", "GRU"])
    parser.add_argument("--boards", nargs="+", default=list(BOARDS))
    asked = parser.parse_args(arguments)
    if "EDGECOMP_DATA" not in os.environ:
        sys.exit("set EDGECOMP_DATA to the folder with the benchmark data")
    data = Path(os.environ["EDGECOMP_DATA"]) / "datasets"
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        for kind in asked.layers:
            model = trained(kind, data, work)
            for board in asked.boards:
                print(line(kind, model, board, data, work), flush=True)


if __name__ == "__main__":
    main()
