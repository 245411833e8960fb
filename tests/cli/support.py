"""Small models made here, and the command line called as a user calls it."""

import contextlib
import io
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edgecomp.cli.app import main

FAST = ("--calibration", "minmax", "--calibration-samples", "8", "--limit", "4")
"""Options of a build that measures next to nothing."""
SIDE = 8
CLASSES = 4


@dataclass(frozen=True)
class Answer:
    """What a call of the program left: exit code, standard output, standard error."""

    code: int
    out: str
    err: str


def call(*arguments: str | Path) -> Answer:
    """Call the program in this process."""
    out, err = io.StringIO(), io.StringIO()
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    saved, sys.argv = sys.argv, ["edgecomp", *(str(argument) for argument in arguments)]
    code = 0
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    finally:
        sys.argv = saved
        for number, handler in handlers.items():
            signal.signal(number, handler)
    return Answer(code, out.getvalue(), err.getvalue())


def command(*arguments: str | Path) -> list[str]:
    """Return the command line that calls the program in a process of its own."""
    return [sys.executable, "-m", "edgecomp.cli.app", *(str(argument) for argument in arguments)]


def start(*arguments: str | Path, cwd: Path) -> subprocess.Popen[str]:
    """Start the program as a shell would start it: in a process group of its own."""
    return subprocess.Popen(
        command(*arguments),
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def press_ctrl_c(process: subprocess.Popen[str]) -> None:
    """Send SIGINT to the whole group of `process`, as a terminal does."""
    os.killpg(process.pid, signal.SIGINT)


def refused(answer: Answer, *fragments: str, code: int = 2) -> None:
    """Assert that a call failed with `code` and a message that has all `fragments`."""
    assert answer.code == code, answer
    assert answer.out == "", answer
    assert "Traceback" not in answer.err
    for fragment in fragments:
        assert fragment in answer.err, f"{fragment!r} is not in:\n{answer.err}"


def node(op: str, inputs: str, output: str, **attributes: object) -> onnx.NodeProto:
    """Return a node; `inputs` are words."""
    return helper.make_node(op, inputs.split(), [output], name=f"{output}_layer", **attributes)


def write_model(
    path: Path,
    nodes: list[onnx.NodeProto],
    shape: list[int | str],
    constants: dict[str, np.ndarray],
    outputs: int = 2,
) -> Path:
    """Write a model with input `image` and output `score`, of rank `outputs`."""
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("score", TensorProto.FLOAT, [None] * outputs)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


def tiny_constants(seed: int = 0) -> dict[str, np.ndarray]:
    """Return the weights of `tiny_model`."""
    rng = np.random.default_rng(seed)
    return {
        "w": rng.normal(0, 0.4, (6, 1, 3, 3)).astype(np.float32),
        "b": rng.normal(0, 0.2, 6).astype(np.float32),
        "fc": rng.normal(0, 0.3, (CLASSES, 96)).astype(np.float32),
        "fc_b": np.zeros(CLASSES, np.float32),
    }


def tiny_model(
    path: Path,
    constants: dict[str, np.ndarray] | None = None,
    shape: list[int | str] | None = None,
) -> Path:
    """Write a convolution, a pool and a dense layer: (1, 1, 8, 8) to 4 classes."""
    nodes = [
        node("Conv", "image w b", "conv", pads=[1, 1, 1, 1]),
        node("Relu", "conv", "relu"),
        node("MaxPool", "relu", "pool", kernel_shape=[2, 2], strides=[2, 2]),
        node("Flatten", "pool", "flat"),
        node("Gemm", "flat fc fc_b", "score", transB=1),
    ]
    return write_model(path, nodes, shape or [1, 1, SIDE, SIDE], constants or tiny_constants())


def tiny_samples(path: Path, count: int = 40, **arrays: np.ndarray) -> Path:
    """Write `count` labelled samples; `arrays` replace or add some."""
    rng = np.random.default_rng(1)
    content: dict[str, np.ndarray] = {
        "x": rng.normal(0, 1, (count, 1, SIDE, SIDE)).astype(np.float32),
        "y": rng.integers(0, CLASSES, count),
    }
    content |= arrays
    np.savez(path, **content)
    return path


def fingerprint(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Return content and time of change of every file below `folder`."""
    return {
        path.relative_to(folder).as_posix(): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
