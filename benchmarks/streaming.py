"""Train two causal networks, build them whole and tick by tick, and print what a tick saves.

    EDGECOMP_DATA=... python -m benchmarks.streaming [--boards B ...] [--networks N ...]

Every build compares all tensors of 20 ticks (or samples) and the outputs of 100 with the integer
reference, in the emulator. Training is short and on one thread: the figures are about cost.
"""

import argparse
import itertools
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from edgecomp.pipeline import build
from edgecomp.profiling import profile_folder
from edgecomp.request import Request, StreamRequest

BOARDS = ("mps2-an385-v6m", "mps2-an386", "mps3-an547")
BATCH = 64
SEED = 0
COLUMNS = (
    "network", "board", "run", "MACs", "instructions", "modelled cycles", "state bytes",
    "arena bytes", "int8 accuracy",
)  # fmt: skip


class Causal(nn.Module):
    """A convolution over time that sees the past only, normalized."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, dilation: int = 1):
        """Make it."""
        super().__init__()
        self.before = (kernel - 1) * dilation
        self.conv = nn.Conv1d(inputs, outputs, kernel, stride, dilation=dilation, bias=False)
        self.norm = nn.BatchNorm1d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """`(n, channels, time)`."""
        return self.norm(self.conv(functional.pad(x, (self.before, 0))))


class Tcn(nn.Module):
    """Temporal convolutions (S. Bai et al., 2018): dilated by 1, 2, 4, …, with shortcuts."""

    def __init__(self, inputs: int, classes: int, width: int = 24, depth: int = 5):
        """Make it."""
        super().__init__()
        self.first = Causal(inputs, width, 3)
        self.blocks = nn.ModuleList(Causal(width, width, 3, dilation=2**i) for i in range(depth))
        self.last = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        """`(n, channels, time)`."""
        x = functional.relu(self.first(x))
        for block in self.blocks:
            x = x + functional.relu(block(x))
        return self.last(x.mean(2))


class TcResNet(nn.Module):
    """TC-ResNet8 (S. Choi et al., 2019), causal: each block halves the frames."""

    def __init__(self, inputs: int, classes: int, widths: tuple[int, ...] = (16, 24, 32, 48)):
        """Make it."""
        super().__init__()
        self.first = Causal(inputs, widths[0], 3)
        pairs = list(itertools.pairwise(widths))
        self.down = nn.ModuleList(Causal(a, b, 9, stride=2) for a, b in pairs)
        self.same = nn.ModuleList(Causal(b, b, 9) for _, b in pairs)
        self.short = nn.ModuleList(Causal(a, b, 1, stride=2) for a, b in pairs)
        self.last = nn.Linear(widths[-1], classes)

    def forward(self, x: Tensor) -> Tensor:
        """`(n, channels, time)`."""
        x = functional.relu(self.first(x))
        for down, same, short in zip(self.down, self.same, self.short, strict=True):
            x = functional.relu(same(functional.relu(down(x))) + functional.relu(short(x)))
        return self.last(x.mean(2))


@dataclass(frozen=True)
class Network:
    """What is trained, on what.

    Attributes:
        make: gives the module.
        load: real values `(n, channels, time)` and labels, for training and for measuring.
        epochs: of training.
    """

    make: Callable[[], nn.Module]
    load: Callable[[Path], tuple[Any, Any, Any, Any]]
    epochs: int


def har(data: Path) -> tuple[Any, Any, Any, Any]:
    """Motions: 128 frames of 6 sensors; other people for measuring."""
    parts = [np.load(data / f"datasets/har_hapt_{name}.npz") for name in ("train", "test")]
    values = [np.moveaxis(part["x"] / np.float32(4096), 2, 1) for part in parts]
    return values[0], parts[0]["y"], values[1], parts[1]["y"]


def kws(data: Path) -> tuple[Any, Any, Any, Any]:
    """Words: 49 frames of 10 cepstral coefficients; every fifth speaker for measuring."""
    file = np.load(data / "datasets/kws_gsc_v2_test_mfcc.npz")
    x = np.moveaxis(file["x"] / np.float32(128 * 16), 2, 1)
    speakers = [str(name).rpartition("/")[2].partition("_")[0] for name in file["name"]]
    chosen = set(sorted(set(speakers))[::5])
    held = np.array([speaker in chosen for speaker in speakers])
    return x[~held], file["y"][~held], x[held], file["y"][held]


NETWORKS = {
    "har-tcn": Network(lambda: Tcn(6, 6), har, 4),
    "kws-tc-resnet8": Network(lambda: TcResNet(10, 12), kws, 12),
}


def trained(network: Network, data: Path, work: Path) -> tuple[Path, Path]:
    """Train a network and write it and the samples that measure it."""
    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    x, y, test_x, test_y = network.load(data)
    model = network.make()
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3)
    steps = network.epochs * (len(x) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 5e-3, total_steps=steps)
    inputs, labels = torch.from_numpy(np.ascontiguousarray(x)), torch.from_numpy(y.astype(np.int64))
    for _ in range(network.epochs):
        for part in torch.randperm(len(x))[: len(x) // BATCH * BATCH].reshape(-1, BATCH):
            optimizer.zero_grad()
            functional.cross_entropy(model(inputs[part]), labels[part]).backward()
            optimizer.step()
            schedule.step()
    file, samples = work / "model.onnx", work / "test.npz"
    torch.onnx.export(
        model.eval(), (inputs[:1],), str(file), dynamo=False, input_names=["x"], output_names=["y"]
    )
    np.savez(samples, x=np.ascontiguousarray(test_x), y=test_y)
    return file, samples


def measured(file: Path, samples: Path, board: str, out: Path, *, streamed: bool) -> dict[str, Any]:
    """Build a network, whole or tick by tick, and profile it."""
    request = Request(
        str(file), board, out, str(samples), stream=StreamRequest() if streamed else None
    )
    report = build(request)
    if report["bit_exact"]["mismatches"] != 0:
        raise SystemExit(f"{out}: the bits differ")
    profile = profile_folder(out)
    return {**report, **{key: profile[key] for key in ("instructions", "modelled_cycles")}}


def rows(name: str, board: str, whole: dict[str, Any], tick: dict[str, Any]) -> list[list[str]]:
    """Lines of the table: the whole network, and a tick."""
    stream = tick["stream"]
    found = []
    for report, run, state in (
        (whole, f"{stream['whole_frames']} frames", 0),
        (tick, f"tick of {stream['frames']}", stream["state_bytes"]),
    ):
        numbers = (
            report["macs"], report["instructions"], report["modelled_cycles"], state,
            report["ram"]["arena_bytes"],
        )  # fmt: skip
        accuracy = f"{100 * report['accuracy']['int8']:.2f} %"
        found.append([name, board, run, *(f"{number:,}" for number in numbers), accuracy])
    return found


def main() -> None:
    """Print the table as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--boards", nargs="+", default=BOARDS)
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=NETWORKS)
    given = parser.parse_args()
    data = Path(os.environ["EDGECOMP_DATA"])
    print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * 3}{'---:|' * (len(COLUMNS) - 3)}")
    for name in given.networks:
        with tempfile.TemporaryDirectory() as folder:
            work = Path(folder)
            file, samples = trained(NETWORKS[name], data, work)
            for board in given.boards:
                whole, tick = (
                    measured(file, samples, board, work / f"{board}-{streamed}", streamed=streamed)
                    for streamed in (False, True)
                )
                for line in rows(name, board, whole, tick):
                    print(f"| {' | '.join(line)} |", flush=True)


if __name__ == "__main__":
    main()
