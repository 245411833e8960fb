"""One network, three files: the torch module, ONNX with BatchNorm folded, ONNX as torch left it.

With the parameters that were calibrated on one of them, all three become the same integers.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgecomp.data import Preprocessing, load_dataset
from edgecomp.frontend import read_model
from edgecomp.interp import run_int
from edgecomp.ir import Graph, QParams
from edgecomp.passes import run_passes
from edgecomp.quant import calibrate, insert_rescales, quantize

FACTORY = """
import sys
sys.path.insert(0, {folder!r})
import models_torch
import torch

def network():
    net = models_torch.{network}(softmax=True)
    net.load_state_dict(torch.load({weights!r}))
    return net, torch.zeros({shape})
"""
NETWORKS = {
    "kws": (
        "kws_dscnn", "kws_dscnn", "DSCNN", (1, 1, 49, 10),
        "kws_gsc_v2_test_mfcc.npz", Preprocessing(scale=1 / 128, layout="hw"),
    ),
    "ic": (
        "ic_resnet8", "ic_resnet8", "ResNet8", (1, 3, 32, 32),
        "cifar10_ic01_lossless200.npz", Preprocessing(layout="hwc"),
    ),
}  # fmt: skip
SAMPLES = 100
MOST_DIFFERENT = 1e-4
"""Share of weights that may round to the neighbouring code."""


def three_shapes(name: str, data_dir: Path, work: Path) -> list[Graph]:
    folder, stem, network, shape, _, _ = NETWORKS[name]
    models = data_dir / "models"
    module = work / "network.py"
    module.write_text(
        FACTORY.format(
            folder=str(models),
            network=network,
            weights=str(models / folder / f"{stem}_bn.pt"),
            shape=shape,
        )
    )
    sources = [
        f"{module}:network",
        str(models / folder / f"{stem}.onnx"),
        str(models / folder / f"{stem}_bn.onnx"),
    ]
    return [insert_rescales(run_passes(read_model(source))) for source in sources]


def shared(graph: Graph, like: Graph, integers: Graph) -> Graph:
    """Quantize `graph` with the parameters of `integers`, which was made of `like`."""
    activations: dict[str, QParams] = {}
    tensors = dict(graph.tensors)
    names = zip((*graph.inputs, *_outputs(graph)), (*like.inputs, *_outputs(like)), strict=True)
    for own, theirs in names:
        qparams = integers.tensors[theirs].qparams
        assert qparams is not None
        activations[own] = qparams
    for node, twin in zip(graph.nodes, integers.nodes, strict=True):
        if node.op in {"conv2d", "dense"}:
            weights = node.inputs[1]
            assert tensors[weights].shape == integers.tensors[twin.inputs[1]].shape
            qparams = integers.tensors[twin.inputs[1]].qparams
            tensors[weights] = replace(tensors[weights], qparams=qparams)
    return quantize(graph.replace(tensors=tensors), activations)


def _outputs(graph: Graph) -> list[str]:
    return [node.output for node in graph.nodes]


def codes_of(graph: Graph, position: int) -> list[np.ndarray]:
    """Weights (position 1) or biases (2) of every linear layer."""
    return [
        graph.tensors[node.inputs[position]].value.astype(np.int64)
        for node in graph.nodes
        if node.op in {"conv2d", "dense"}
    ]


@pytest.mark.parametrize("name", NETWORKS)
def test_shared_parameters_give_the_same_integers(
    name: str, data_dir: Path, tmp_path: Path
) -> None:
    pytest.importorskip("torch")
    graphs = three_shapes(name, data_dir, tmp_path)
    _, _, _, _, data, preprocessing = NETWORKS[name]
    dataset = load_dataset(str(data_dir / "datasets" / data), graphs[0], preprocessing)
    few = dataset.take(slice(SAMPLES))
    (real,) = few.real().values()
    first = quantize(graphs[0], calibrate(graphs[0], {graphs[0].inputs[0]: real}))
    q_in = first.tensors[first.inputs[0]].qparams
    assert q_in is not None
    x = q_in.quantize(real).astype(np.int8)
    answers = run_int(first, {first.inputs[0]: x})[first.outputs[0]]
    for graph in graphs[1:]:
        other = shared(graph, graphs[0], first)
        differing = total = 0
        for a, b in zip(codes_of(first, 1), codes_of(other, 1), strict=True):
            assert np.abs(a - b).max() <= 1
            differing += int((a != b).sum())
            total += a.size
        assert differing <= MOST_DIFFERENT * total, f"{differing} of {total}"
        y = run_int(other, {other.inputs[0]: x})[other.outputs[0]]
        assert np.mean(y.argmax(-1) == answers.argmax(-1)) > 1 - 2 / SAMPLES
        assert len(np.unique(y)) >= 10
