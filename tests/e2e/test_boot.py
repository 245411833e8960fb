"""Weights that are decoded once, before the first inference: from a recipe to the firmware."""

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tests.cli.support import FAST, call, node, refused, write_model

STEPS = {"huffman": "huffman={decode: boot}", "sparse": "store={storages: sparse, decode: boot}"}


def sparse_model(path: Path) -> Path:
    """A convolution, a depthwise one and a dense layer: few weights, of few values."""
    rng = np.random.default_rng(0)

    def weights(*shape: int) -> np.ndarray:
        kept = rng.random(shape) < 0.06
        return (kept * rng.integers(-7, 8, shape) / 64).astype(np.float32)

    constants = {
        "w": weights(32, 16, 3, 3),
        "d": weights(32, 1, 3, 3) + np.float32(0.125),
        "fc": weights(24, 32 * 64),
        "b": rng.normal(0, 0.1, 24).astype(np.float32),
    }
    return write_model(
        path,
        [
            node("Conv", "image w", "wide", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
            node("Relu", "wide", "on"),
            node("Conv", "on d", "deep", kernel_shape=[3, 3], pads=[1, 1, 1, 1], group=32),
            node("Flatten", "deep", "flat"),
            node("Gemm", "flat fc b", "score", transB=1),
        ],
        [1, 16, 8, 8],
        constants,
    )


@pytest.fixture(scope="module", params=STEPS)
def packed(request, tmp_path_factory):
    """The model after the step of a recipe."""
    folder = tmp_path_factory.mktemp(request.param)
    model = sparse_model(folder / "tiny.onnx")
    answer = call("compress", model, "-s", STEPS[request.param], "-o", folder / "packed")
    assert answer.code == 0, answer.err
    samples = np.random.default_rng(1).normal(0, 1, (12, 16, 8, 8)).astype(np.float32)
    np.savez(folder / "packed" / "data.npz", x=samples)
    return folder / "packed" / "model.npz"


def given(packed, board, out):
    """The arguments of a build."""
    data = packed.parent / "data.npz"
    return ("build", packed, "--board", board, "--data", data, *FAST, "-o", out)


def built(packed, board, out, *more):
    answer = call(*given(packed, board, out), "--json", *more)
    assert answer.code == 0, answer.err
    return json.loads(answer.out)


@pytest.mark.device
@pytest.mark.parametrize(
    "board", ["mps2-an386", "mps3-an547", pytest.param("mps2-an385", marks=pytest.mark.slow)]
)
def test_the_firmware_decodes_at_boot(packed, board, tmp_path):
    out = tmp_path / "out"
    report = built(packed, board, out)
    assert report["bit_exact"]["mismatches"] == 0
    storage = report["storage"]
    decoded = [choice for choice in storage["choices"] if choice["decode"] == "boot"]
    assert len(decoded) >= 2
    assert storage["boot_ram_bytes"] == sum(choice["boot_bytes"] for choice in decoded)
    assert storage["boot_ram_bytes"] > 32 * 16 * 9 + 24 * 2048
    assert report["ram"]["static_bytes"] > storage["boot_ram_bytes"]
    assert report["compression"]["weights_bytes"] < storage["boot_ram_bytes"] / 3
    assert storage["decoder_bytes"] > 0

    profile = json.loads(call("profile", out, "--json").out)
    assert profile["boot"]["instructions"] > 0
    assert not any("decode" in f["name"] for f in profile["functions"])
    assert "boot " in call("profile", out).out
    answer = call("check", out, "--limit", "3")
    assert answer.code == 0, answer.err


@pytest.mark.parametrize("packed", ["huffman"], indirect=True)
@pytest.mark.device
@pytest.mark.parametrize("options", [("--activations", "int16"), ("--numerics", "tflite")])
def test_kernels_of_other_arithmetic_run_on_decoded_weights(packed, options, tmp_path):
    report = built(packed, "mps2-an386", tmp_path / "out", *options)
    assert report["bit_exact"]["mismatches"] == 0
    assert report["storage"]["boot_ram_bytes"] > 0
    assert {"boot"} == {c["decode"] for c in report["storage"]["choices"]} - {""}


@pytest.mark.parametrize("packed", ["huffman"], indirect=True)
def test_running_without_decoding_is_refused(packed, tmp_path):
    """On the host: -1 before the function was called, the example calls it."""
    out = tmp_path / "out"
    built(packed, "mps2-an386", out)
    source = out / "src"
    main = (
        '#include "tiny.h"\n'
        "static union { int64_t align; int8_t bytes[TINY_ARENA_BYTES]; } arena;\n"
        "int main(void)\n{\n"
        "    const int before = tiny_run(arena.bytes);\n"
        "    tiny_init();\n"
        "    return before == -1 && tiny_run(arena.bytes) == 0 ? 0 : 1;\n}\n"
    )
    (tmp_path / "main.c").write_text(main)
    for file in (tmp_path / "main.c", source / "main.c"):
        program = tmp_path / "program"
        subprocess.run(
            ["gcc", "-std=c99", "-I", source, source / "tiny.c", file, "-o", program], check=True
        )
        assert subprocess.run([program], input=bytes(16 * 64), check=False).returncode == 0


@pytest.mark.parametrize("packed", ["huffman"], indirect=True)
@pytest.mark.device
def test_weights_in_a_slot_are_decoded_at_boot(packed, tmp_path):
    """New ones come with a reset, which decodes them."""
    arguments = given(packed, "mps2-an386", tmp_path / "out")
    answer = call(*arguments, "--loader", "--weights-slot", "--json")
    assert answer.code == 0, answer.err
    report = json.loads(answer.out)
    assert report["storage"]["boot_ram_bytes"] > 0
    assert report["bit_exact"]["mismatches"] == 0


@pytest.mark.parametrize("packed", ["huffman"], indirect=True)
def test_what_has_no_room_is_refused_with_what_it_needs(packed, tmp_path):
    answer = call(*given(packed, "microbit", tmp_path / "out"))
    refused(answer, "decoded at boot need", "largest layers: score_layer", code=3)
