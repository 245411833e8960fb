"""PyTorch modules, exported programs, and what is refused."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecomp.errors import UnsupportedError, UserError
from edgecomp.frontend import read_model
from edgecomp.passes import run_passes
from tests.frontend.onnx_cases import difference, ops, random_inputs, run_graph

torch = pytest.importorskip("torch")

NET = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.SiLU())
        self.depthwise = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(8, 5)
        self.drop = nn.Dropout(0.5)

    def forward(self, x):
        x = self.stem(x)
        x = x + torch.relu(self.depthwise(x))
        return self.head(self.drop(self.pool(x).flatten(1))).softmax(-1)


def model():
    torch.manual_seed(1)
    net = Net()
    net.stem[1].running_mean.uniform_(-1, 1)
    net.stem[1].running_var.uniform_(0.5, 2)
    return net


def with_example():
    return model(), torch.zeros(1, 3, 16, 12)


def fails():
    raise ValueError("weights are missing")


def weights():
    return model().state_dict()


def number():
    return 3


def bad_example():
    return model(), "image"


class Branch(nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else -x


def branch():
    return Branch(), torch.zeros(1, 4)


class Sorted(nn.Module):
    def forward(self, x):
        return torch.sort(x)[1].float()


def sorts():
    return Sorted(), torch.zeros(1, 300)
"""


@pytest.fixture
def net(tmp_path: Path) -> Path:
    path = tmp_path / "my-net.py"
    path.write_text(NET)
    return path


def run_module(module: "torch.nn.Module", x: np.ndarray) -> np.ndarray:
    """Outputs of the module in evaluation mode."""
    with torch.no_grad():
        return np.stack([module.eval()(torch.from_numpy(sample)).numpy() for sample in x])


def test_module_equals_torch(net: Path) -> None:
    graph = read_model(f"{net}:with_example")
    after = run_passes(graph)
    assert after.name == "with_example"
    assert sorted(ops(after)) == sorted(
        ["conv2d", "unary", "conv2d", "add", "reduce_mean", "reshape", "dense", "softmax"]
    )
    namespace: dict[str, Any] = {}
    exec(NET, namespace)
    inputs = random_inputs(graph)
    (x,), (y,) = inputs.values(), run_graph(after, inputs).values()
    assert difference(y, run_module(namespace["model"](), x)) < 1e-5


def test_layers_bear_the_names_of_their_modules(net: Path) -> None:
    names = [made.name for made in run_passes(read_model(f"{net}:with_example")).nodes]
    assert {"stem.0", "depthwise", "head"} <= set(names)


def test_shape_instead_of_an_example(net: Path) -> None:
    graph = read_model(f"{net}:model", input_shapes={"": (1, 3, 8, 8)})
    assert graph.name == "my_net"
    assert run_passes(graph).tensor(graph.inputs[0]).shape == (1, 8, 8, 3)
    without_batch = read_model(f"{net}:model", input_shapes={"": (3, 8, 8)})
    assert without_batch.tensor(graph.inputs[0]).shape == (1, 3, 8, 8)
    with pytest.raises(UserError, match="--input-shape"):
        read_model(f"{net}:model")


def test_exported_program_equals_the_module(net: Path, tmp_path: Path) -> None:
    namespace: dict[str, Any] = {}
    exec(NET, namespace)
    module, example = namespace["with_example"]()
    module.eval()
    path = tmp_path / "net.pt2"
    torch.export.save(torch.export.export(module, (example,)), path)
    graph = read_model(path)
    after = run_passes(graph)
    inputs = random_inputs(graph)
    (x,), (y,) = inputs.values(), run_graph(after, inputs).values()
    assert difference(y, run_module(module, x)) < 1e-5
    assert "transpose" not in ops(after)
    assert "unary" in ops(after)


@pytest.mark.parametrize(
    ("factory", "message"),
    [
        ("absent", "has no function 'absent'"),
        ("fails", "ValueError: weights are missing"),
        ("weights", "returned weights, not the network"),
        ("number", "returned int, not an nn.Module"),
        ("bad_example", "must be a tensor"),
        ("branch", "cannot be exported with an input of 1x4"),
    ],
)
def test_factories_that_do_not_work(factory: str, message: str, net: Path) -> None:
    with pytest.raises(UserError, match=message):
        read_model(f"{net}:{factory}")


def test_unsupported_layer_of_a_module(net: Path) -> None:
    with pytest.raises(UnsupportedError, match="TopK"):
        read_model(f"{net}:sorts")


def test_wrong_input_shape(net: Path) -> None:
    with pytest.raises(UserError, match="input of 1x4x8x8"):
        read_model(f"{net}:model", input_shapes={"": (1, 4, 8, 8)})


def test_files_that_are_no_networks(tmp_path: Path, net: Path) -> None:
    weights = tmp_path / "net.pt"
    torch.save({"w": torch.zeros(1)}, weights)
    with pytest.raises(UserError, match=r"holds weights(.|\n)*FILE\.py:FUNCTION"):
        read_model(weights)
    with pytest.raises(UserError, match="say which function"):
        read_model(net)
    with pytest.raises(UserError, match="no such file"):
        read_model(f"{tmp_path / 'absent.py'}:model")
    with pytest.raises(UserError, match="no such file"):
        read_model(tmp_path / "absent.pt2")
    broken = tmp_path / "broken.pt2"
    broken.write_bytes(b"nothing")
    with pytest.raises(UserError, match=r"torch\.export\.save"):
        read_model(broken)
    script = tmp_path / "broken.py"
    script.write_text("import a_package_that_is_not_there\n")
    with pytest.raises(UserError, match="a_package_that_is_not_there"):
        read_model(f"{script}:model")


def test_without_torch(net: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(UserError, match=r"edgecomp\[torch\]"):
        read_model(f"{net}:model")


def test_nothing_is_printed(net: Path, capfd: pytest.CaptureFixture[str]) -> None:
    read_model(f"{net}:with_example")
    assert capfd.readouterr() == ("", "")
