"""Small ONNX files that ask for too much, or for what is none of their business."""

import os
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

LOCAL = "local"
OPSETS = [helper.make_opsetid("", 17), helper.make_opsetid(LOCAL, 1)]

Constants = dict[str, Any]


def node(op: str, inputs: str, outputs: str = "y", **attributes: Any) -> onnx.NodeProto:
    domain = LOCAL if op.startswith("Local") else ""
    words = ["" if word == "-" else word for word in inputs.split()]
    return helper.make_node(op, words, outputs.split(), domain=domain, **attributes)


def model(
    nodes: list[onnx.NodeProto],
    constants: Constants | None = None,
    shape: tuple[int, ...] = (1, 4),
    output: str = "y",
    functions: tuple[onnx.FunctionProto, ...] = (),
) -> onnx.ModelProto:
    initializers = [
        value
        if isinstance(value, onnx.TensorProto)
        else numpy_helper.from_array(np.asarray(value), name)
        for name, value in (constants or {}).items()
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)],
        initializers,
    )
    made = helper.make_model(graph, opset_imports=OPSETS, functions=list(functions))
    made.ir_version = 10
    return made


def chain(op: str, count: int, inputs: str = "{0}", start: str = "x", **attributes: Any) -> Any:
    """`count` layers, each of what the one before made; the last one is `c{count - 1}`."""
    names = [start, *(f"c{index}" for index in range(count))]
    return [node(op, inputs.format(name), after, **attributes) for name, after in pairwise(names)]


def function(name: str, nodes: list[onnx.NodeProto]) -> onnx.FunctionProto:
    return helper.make_function(LOCAL, name, ["a"], ["b"], nodes, OPSETS)


def functions_that_explode() -> onnx.ModelProto:
    """Each of 25 functions calls the next one twice."""
    made = [
        function(f"Local{n}", [node(f"Local{n + 1}", "a", "t"), node(f"Local{n + 1}", "t", "b")])
        for n in range(25)
    ]
    made.append(function("Local25", [node("Relu", "a", "b")]))
    return model([node("Local0", "x")], functions=tuple(made))


def external(folder: Path, **told: str) -> onnx.TensorProto:
    """Weights said to lie elsewhere; a short file, an endless one and a link are in `folder`."""
    (folder / "short").write_bytes(bytes(8))
    with (folder / "endless").open("wb") as stream:
        stream.truncate(8 << 30)
    if not (folder / "link").is_symlink():
        os.symlink("/etc/passwd", folder / "link")
    tensor = onnx.TensorProto(name="k", data_type=TensorProto.FLOAT, dims=[1, 4])
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in told.items():
        tensor.external_data.add(key=key, value=value)
    return tensor


def outside(folder: Path, **told: str) -> onnx.ModelProto:
    return model([node("Add", "x k")], {"k": external(folder, **told)})


def lying(*dims: int) -> onnx.ModelProto:
    tensor = onnx.TensorProto(name="k", data_type=TensorProto.FLOAT, dims=dims, raw_data=bytes(16))
    return model([node("Add", "x k")], {"k": tensor})


def sparse() -> onnx.ModelProto:
    values = numpy_helper.from_array(np.ones(1, np.float32), "k")
    indices = numpy_helper.from_array(np.array([3], np.int64), "k.indices")
    tensor = helper.make_sparse_tensor(values, indices, [1 << 20, 1 << 12])
    made = model([node("Add", "x k")])
    made.graph.sparse_initializer.append(tensor)
    return made


def sparse_constant() -> onnx.ModelProto:
    tensor = sparse().graph.sparse_initializer[0]
    return model([node("Constant", "", "k", sparse_value=tensor), node("Add", "x k")])


ONES = np.ones((1, 4), np.float32)
COLUMN, ROW = np.ones((40000, 1), np.float32), np.ones((1, 40000), np.float32)
WINDOW = np.ones((1, 1, 3, 3), np.float32)
TEXT = helper.make_tensor("k", TensorProto.STRING, [1], [b"a"])
IMAGE = (1, 1, 4, 4)

REFUSED: dict[str, Callable[[Path], onnx.ModelProto]] = {
    "a constant of terabytes": lambda _: model(
        [node("ConstantOfShape", "s", "c"), node("Gather", "c i", "d"), node("Add", "x d")],
        {"s": [1 << 20, 1 << 20], "i": 0},
    ),
    "a tiled constant": lambda _: model(
        [node("Tile", "k s", "c"), node("Add", "x c")], {"k": ONES, "s": [1 << 28, 1]}
    ),
    "an outer product": lambda _: model(
        [node("MatMul", "a b", "c"), node("ReduceSum", "c", "d"), node("Add", "x d")],
        {"a": COLUMN, "b": ROW},
    ),
    "a broadcast constant": lambda _: model(
        [node("Add", "a b", "c"), node("ReduceSum", "c", "d"), node("Add", "x d")],
        {"a": COLUMN, "b": ROW},
    ),
    "a range without end": lambda _: model(
        [node("Range", "a b d", "c"), node("Gather", "x c", axis=1)],
        {"a": 0, "b": 1 << 40, "d": 1},
    ),
    "a constant that doubles": lambda _: model(
        [*chain("Concat", 30, "{0} {0}", "k", axis=0), node("Add", "x c29")], {"k": ONES}
    ),
    "an activation that doubles": lambda _: model(
        chain("Concat", 40, "{0} {0}", axis=1), output="c39"
    ),
    "an expanded activation": lambda _: model([node("Expand", "x s")], {"s": [1 << 28, 4]}),
    "an endless border": lambda _: model([node("Pad", "x s")], {"s": [0, 0, 0, 1 << 30]}),
    "a huge input": lambda _: model([node("Relu", "x")], shape=(1, 1 << 30)),
    "an input of more than the world": lambda _: model([node("Relu", "x")], shape=(1, 1 << 62)),
    "a huge result of two": lambda _: model(
        [node("Expand", "x s", "c"), node("Transpose", "c", "d"), node("MatMul", "c d")],
        {"s": [4096, 4]},
    ),
    "a huge border": lambda _: model(
        [node("Conv", "x w", pads=[1 << 20] * 4)], {"w": WINDOW}, IMAGE
    ),
    "huge holes": lambda _: model(
        [node("Conv", "x w", dilations=[1 << 30] * 2)], {"w": WINDOW}, IMAGE
    ),
    "huge steps": lambda _: model(
        [node("Resize", "x - s")], {"s": np.float32([1, 1, 1e5, 1e5])}, IMAGE
    ),
    "huge blocks": lambda _: model(
        [node("DepthToSpace", "x", blocksize=1 << 31)], None, (1, 4, 4, 4)
    ),
    "hours of windows": lambda _: model(
        [node("MaxPool", "x", kernel_shape=[255, 255], pads=[127] * 4)], None, (1, 4, 512, 512)
    ),
    "hours of products": lambda _: model(
        [node("Conv", "x w", pads=[31] * 4)],
        {"w": np.ones((4, 4, 63, 63), np.float32)},
        (1, 4, 900, 900),
    ),
    "a function that calls itself": lambda _: model(
        [node("LocalF", "x")], functions=(function("LocalF", [node("LocalF", "a", "b")]),)
    ),
    "functions that explode": lambda _: functions_that_explode(),
    "too many layers": lambda _: model(chain("Sigmoid", 20_000), output="c19999"),
    "too many inputs of one layer": lambda _: model([node("Concat", "x " * 20_000, axis=1)]),
    "a sparse constant": lambda _: sparse(),
    "a sparse constant of a layer": lambda _: sparse_constant(),
    "sizes without elements": lambda _: lying(1 << 31, 1 << 31),
    "negative sizes": lambda _: lying(-1, 4),
    "no elements": lambda _: model([node("Add", "x k")], {"k": np.zeros((0, 4), np.float32)}),
    "texts": lambda _: model([node("Add", "x k")], {"k": TEXT}),
    "an infinite epsilon": lambda _: model(
        [node("LayerNormalization", "x k", epsilon=float("inf"))], {"k": np.ones(4, np.float32)}
    ),
    "weights that overflow": lambda _: model(
        [node("MatMul", "x k")], {"k": np.full((4, 4), 3e38, np.float32)}
    ),
    "a cycle": lambda _: model([node("Add", "x y", "z"), node("Relu", "z")]),
    "the same name twice": lambda _: model([node("Relu", "x"), node("Relu", "y")]),
    "an output that nobody makes": lambda _: model([node("Relu", "x", "z")]),
    "an absolute path": lambda folder: outside(folder, location="/etc/passwd"),
    "a path upwards": lambda folder: outside(folder, location="../../../../etc/passwd"),
    "a link outwards": lambda folder: outside(folder, location="link"),
    "no path": outside,
    "a folder": lambda folder: outside(folder, location="."),
    "a short file": lambda folder: outside(folder, location="short"),
    "a negative place": lambda folder: outside(folder, location="endless", offset="-5"),
    "a place beyond numbers": lambda folder: outside(folder, location="short", offset="9" * 30),
    "a length that is none": lambda folder: outside(folder, location="endless", length="much"),
    "gigabytes of weights": lambda folder: outside(folder, location="endless", length=f"{8 << 30}"),
    "a layer's own constant elsewhere": lambda folder: model(
        [
            node("Constant", "", "k", value=external(folder, location="/etc/passwd")),
            node("Add", "x k"),
        ]
    ),
}
"""Refused within seconds, and without looking into another folder."""

PASSED: dict[str, Callable[[Path], onnx.ModelProto]] = {
    "functions of functions": lambda _: model(
        [
            made
            for n in range(60)
            for made in (
                node("Sigmoid", f"v{n}" if n else "x", f"s{n}"),
                node("Mul", (f"v{n}" if n else "x") + f" s{n}", f"v{n + 1}"),
            )
        ],
        output="v60",
    ),
    "many layers": lambda _: model(chain("Sigmoid", 500), output="c499"),
    "the beginning of an endless file": lambda folder: outside(folder, location="endless"),
}
"""Unusual, and in order."""
