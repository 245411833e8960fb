"""A real network with int16 activations, from file to emulated core."""

import pytest

from edgecomp.artifact import open_artifact
from edgecomp.errors import UserError
from edgecomp.exporting import EXPORTERS
from edgecomp.ir import DType
from edgecomp.pipeline import build
from edgecomp.request import Request, StreamRequest

HAR = {"scale": 1 / 4096, "layout": "wc"}


def request(data_dir, out, **options):
    return Request(
        model=str(data_dir / "models/har_cnn1d/har_cnn1d.onnx"),
        board="mps2-an386",
        out=out,
        data=str(data_dir / "datasets/har_hapt_test.npz"),
        preprocessing=HAR,
        activations="int16",
        limit=20,
        **options,
    )


@pytest.fixture(scope="module")
def built(data_dir, tmp_path_factory):
    out = tmp_path_factory.mktemp("int16") / "har"
    return build(request(data_dir, out)), out


@pytest.mark.device
def test_the_device_computes_the_same_bits(built):
    report, out = built
    assert report["bit_exact"]["mismatches"] == 0
    assert report["bit_exact"]["samples"] == 20
    graph = open_artifact(out).graph
    assert {t.dtype for t in graph.tensors.values() if not t.is_const} == {DType.INT16}
    header = next((out / "src").glob("har*.h")).read_text()
    assert "int16_t *har_cnn1d_input(void *arena, int i);" in header


@pytest.mark.device
def test_the_accuracy_is_that_of_real_numbers(built):
    accuracy = built[0]["accuracy"]
    assert abs(accuracy["int8"] - accuracy["float"]) < 0.003


@pytest.mark.device
def test_other_formats_are_refused(built):
    graph = open_artifact(built[1]).graph
    for export in EXPORTERS.values():
        with pytest.raises(UserError, match="int16"):
            export(graph)


@pytest.mark.parametrize(
    "options",
    [
        {"numerics": "edgecomp"},
        {"stream": StreamRequest()},
        {"stream_input": True, "optimize": "ram"},
        {"float_layers": ("/head/head.3/Gemm",)},
    ],
)
def test_what_knows_int8_only_is_refused(options, data_dir, tmp_path):
    with pytest.raises(UserError, match="for int8 activations"):
        build(request(data_dir, tmp_path / "out", **options))
    assert not list(tmp_path.iterdir())
