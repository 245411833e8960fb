"""Random small networks as ONNX, in the layouts and idioms that exporters write."""

from collections.abc import Callable

import numpy as np
import onnx
from onnx import helper

from tests.frontend.onnx_cases import make_model

Shape = tuple[int, ...]


class Writer:
    """Writes one random network; tensors are pairs of name and shape (NCHW or NCW or NC)."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, np.ndarray] = {}
        self.tensors: list[tuple[str, Shape]] = []

    def pick(self, *choices: object) -> object:
        return choices[int(self.rng.integers(len(choices)))]

    def constant(self, value: np.ndarray) -> str:
        name = f"c{len(self.constants)}"
        self.constants[name] = value
        return name

    def weights(self, *shape: int) -> str:
        scale = 1 / np.sqrt(max(1, int(np.prod(shape[1:]))))
        return self.constant((self.rng.standard_normal(shape) * scale).astype(np.float32))

    def ints(self, *values: int) -> str:
        return self.constant(np.asarray(values, np.int64))

    def emit(
        self, op: str, inputs: list[str], shape: Shape, **attributes: object
    ) -> tuple[str, Shape]:
        name = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [name], f"n{len(self.nodes)}", **attributes))
        self.tensors.append((name, shape))
        return name, shape

    # Layers: each takes a tensor and returns one, or None where it cannot apply.

    def conv(self, x: str, shape: Shape) -> tuple[str, Shape] | None:
        if len(shape) not in {3, 4}:
            return None
        channels, size = shape[1], shape[2:]
        kernel = [int(self.rng.integers(1, min(n, 3) + 1)) for n in size]
        groups = int(self.pick(1, 1, channels, 2 if channels % 2 == 0 else 1))
        out = groups * int(self.rng.integers(1, 4))
        pads = [int(n) for n in self.rng.integers(0, 2, 2 * len(size))]
        strides = [int(n) for n in self.rng.integers(1, 3, len(size))]
        inputs = [x, self.weights(out, channels // groups, *kernel)]
        if self.pick(True, False):
            inputs.append(self.weights(out))
        attributes: dict[str, object] = {"strides": strides, "group": groups}
        if self.pick(True, True, False):
            attributes["pads"] = pads
        else:
            attributes["auto_pad"] = self.pick("SAME_UPPER", "SAME_LOWER", "VALID")
            pads = [0] * (2 * len(size))
        rank = len(size)
        if str(attributes.get("auto_pad", "")).startswith("SAME"):
            new = [-(-n // s) for n, s in zip(size, strides, strict=True)]
        else:
            new = [
                (size[a] + pads[a] + pads[a + rank] - kernel[a]) // strides[a] + 1
                for a in range(rank)
            ]
        return self.emit("Conv", inputs, (1, out, *new), **attributes)

    def norm(self, x: str, shape: Shape) -> tuple[str, Shape] | None:
        if len(shape) not in {2, 3, 4}:
            return None
        c = shape[1]
        variance = self.constant(self.rng.uniform(0.5, 2, c).astype(np.float32))
        inputs = [x, self.weights(c), self.weights(c), self.weights(c), variance]
        return self.emit("BatchNormalization", inputs, shape)

    def clamp(self, x: str, shape: Shape) -> tuple[str, Shape]:
        kind = self.pick("Relu", "Clip", "Relu")
        inputs = [x]
        if kind == "Clip":
            inputs += [
                self.constant(np.asarray(v, np.float32)) for v in (self.pick(-1.0, 0.0), 0.9)
            ]
        return self.emit(str(kind), inputs, shape)

    def function(self, x: str, shape: Shape) -> tuple[str, Shape]:
        return self.emit(str(self.pick("Sigmoid", "Tanh", "LeakyRelu", "HardSwish")), [x], shape)

    def swish(self, x: str, shape: Shape) -> tuple[str, Shape]:
        gate, _ = self.emit("Sigmoid", [x], shape)
        return self.emit("Mul", [x, gate], shape)

    def scale(self, x: str, shape: Shape) -> tuple[str, Shape]:
        full = [int(self.pick(1, n)) for n in shape]
        if self.pick(True, False):
            full = [1, shape[1], *[1] * (len(shape) - 2)] if len(shape) > 1 else [1]
        value = self.rng.uniform(0.5, 1.5, full[int(self.pick(0, 1)) :]).astype(np.float32)
        names = [x, self.constant(value)]
        op = str(self.pick("Mul", "Add", "Sub", "Div"))
        if op != "Div" and self.pick(True, False):
            names.reverse()
        return self.emit(op, names, shape)

    def pool(self, x: str, shape: Shape) -> tuple[str, Shape] | None:
        if len(shape) not in {3, 4} or min(shape[2:]) < 2:
            return None
        rank = len(shape) - 2
        attributes: dict[str, object] = {"kernel_shape": [2] * rank, "strides": [2] * rank}
        op = str(self.pick("MaxPool", "AveragePool"))
        if op == "AveragePool" and self.pick(True, False):
            attributes["count_include_pad"] = 1
        pads = [int(self.pick(0, 1)) for _ in range(2 * rank)]
        attributes["pads"] = pads
        new = [(shape[a + 2] + pads[a] + pads[a + rank] - 2) // 2 + 1 for a in range(rank)]
        return self.emit(op, [x], (*shape[:2], *new), **attributes)

    def pad(self, x: str, shape: Shape) -> tuple[str, Shape]:
        rank = len(shape)
        before = [0, *(int(self.pick(0, 0, 1)) for _ in range(rank - 1))]
        after = [0, *(int(self.pick(0, 1)) for _ in range(rank - 1))]
        inputs = [x, self.ints(*before, *after)]
        if self.pick(True, False):
            inputs.append(self.constant(np.asarray(self.pick(0.0, 0.5), np.float32)))
        new = tuple(n + b + a for n, b, a in zip(shape, before, after, strict=True))
        return self.emit("Pad", inputs, new)

    def combine(self, x: str, shape: Shape) -> tuple[str, Shape] | None:
        others = [name for name, other in self.tensors if other == shape]
        other = str(self.pick(*others))
        return self.emit(str(self.pick("Add", "Sub", "Mul")), [x, other], shape)

    def gate(self, x: str, shape: Shape) -> tuple[str, Shape] | None:
        if len(shape) != 4:
            return None
        pooled, small = self.emit("GlobalAveragePool", [x], (*shape[:2], 1, 1))
        weights = self.weights(shape[1], shape[1], 1, 1)
        mixed, _ = self.emit("Conv", [pooled, weights], small)
        factor, _ = self.emit("Sigmoid", [mixed], small)
        return self.emit("Mul", [x, factor], shape)

    def concat(self, x: str, shape: Shape) -> tuple[str, Shape] | None:
        axis = int(self.rng.integers(1, len(shape)))
        fitting = [
            (name, other)
            for name, other in self.tensors
            if len(other) == len(shape)
            and all(n == m for a, (n, m) in enumerate(zip(shape, other, strict=True)) if a != axis)
        ]
        if not fitting:
            return None
        other, other_shape = fitting[int(self.rng.integers(len(fitting)))]
        new = list(shape)
        new[axis] += other_shape[axis]
        return self.emit("Concat", [x, other], tuple(new), axis=axis)

    def transpose(self, x: str, shape: Shape) -> tuple[str, Shape] | None:
        perm = [0, *(1 + int(axis) for axis in self.rng.permutation(len(shape) - 1))]
        return self.emit("Transpose", [x], tuple(shape[axis] for axis in perm), perm=perm)

    def there_and_back(self, x: str, shape: Shape) -> tuple[str, Shape] | None:
        if len(shape) != 4:
            return None
        turned = (shape[0], shape[2], shape[3], shape[1])
        y, _ = self.emit("Transpose", [x], turned, perm=[0, 2, 3, 1])
        y, _ = self.function(y, turned)
        return self.emit("Transpose", [y], shape, perm=[0, 3, 1, 2])

    def shuffle(self, x: str, shape: Shape) -> tuple[str, Shape] | None:
        if len(shape) != 4 or shape[1] % 2:
            return None
        n, c, h, w = shape
        y, _ = self.emit("Reshape", [x, self.ints(n, 2, c // 2, h, w)], (n, 2, c // 2, h, w))
        y, _ = self.emit("Transpose", [y], (n, c // 2, 2, h, w), perm=[0, 2, 1, 3, 4])
        return self.emit("Reshape", [y, self.ints(n, c, h, w)], shape)

    def softmax(self, x: str, shape: Shape) -> tuple[str, Shape]:
        axis = int(self.rng.integers(1, len(shape)))
        return self.emit("Softmax", [x], shape, axis=axis)

    def mean(self, x: str, shape: Shape) -> tuple[str, Shape] | None:
        if len(shape) < 3:
            return None
        axes = sorted({int(a) for a in self.rng.integers(1, len(shape), 2)})
        keep = int(self.pick(0, 1))
        new = [1 if a in axes else n for a, n in enumerate(shape) if keep or a not in axes]
        if len(new) < 2:
            return None
        return self.emit("ReduceMean", [x], tuple(new), axes=axes, keepdims=keep)

    def flatten(self, x: str, shape: Shape) -> tuple[str, Shape]:
        return self.emit("Flatten", [x], (1, int(np.prod(shape))))

    def dense(self, x: str, shape: Shape) -> tuple[str, Shape]:
        y, flat = self.flatten(x, shape)
        if self.pick(True, False, False):
            y, flat = self.norm(y, flat) or (y, flat)
        out = int(self.rng.integers(1, 8))
        return self.emit("MatMul", [y, self.weights(flat[1], out)], (1, out))

    def rows(self, x: str, shape: Shape) -> tuple[str, Shape] | None:
        if len(shape) < 3:
            return None
        out = int(self.rng.integers(1, 5))
        return self.emit("MatMul", [x, self.weights(shape[-1], out)], (*shape[:-1], out))


def random_model(seed: int) -> onnx.ModelProto:
    """A network of 3 to 9 layers, sometimes with two inputs and two outputs."""
    w = Writer(seed)
    shape: Shape = {
        0: (1, int(w.rng.integers(1, 5)), 6, int(w.rng.integers(1, 7))),
        1: (1, int(w.rng.integers(1, 5)), 9),
        2: (1, 4, 4, 4),
    }[seed % 3]
    inputs = {"x": shape}
    w.tensors.append(("x", shape))
    if w.pick(True, False, False):
        inputs["second"] = shape
        w.tensors.append(("second", shape))
    layers: list[Callable[[str, Shape], tuple[str, Shape] | None]] = [
        w.conv, w.conv, w.conv, w.norm, w.norm, w.clamp, w.clamp, w.function, w.swish, w.scale,
        w.scale, w.pool, w.pad, w.combine, w.combine, w.gate, w.concat, w.transpose,
        w.there_and_back, w.shuffle, w.softmax, w.mean, w.dense, w.rows,
    ]  # fmt: skip
    current = ("x", shape)
    for _ in range(int(w.rng.integers(3, 10))):
        if w.pick(*[False] * 6, True):
            current = w.tensors[int(w.rng.integers(len(w.tensors)))]
        current = layers[int(w.rng.integers(len(layers)))](*current) or current
    outputs = [w.nodes[-1].output[0]] if w.nodes else []
    if not outputs:
        outputs = [w.clamp(*current)[0]]
    if w.pick(True, False, False):
        outputs = list(dict.fromkeys([w.nodes[len(w.nodes) // 2].output[0], *outputs]))
    return make_model(w.nodes, inputs, outputs, w.constants)
