"""Networks as nobody would write them: any operator, any attribute, whatever ONNX itself allows.

Nothing here knows what edgecomp supports or how it reads a layer.  Operators, attributes, shapes
and constants are drawn at random; the shapes of results are what ONNX's own inference says.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

MOST_ELEMENTS = 3000
MOST_AXES = 5

Shape = tuple[int, ...]
Layer = Callable[["WildNet", str, Shape], "tuple[list[str], dict[str, Any]] | None"]

SIMPLE = tuple(
    """
    Abs Acos Acosh Asin Asinh Atan Atanh Ceil Cos Cosh Dropout Erf Exp Floor Gelu GlobalAveragePool
    GlobalLpPool GlobalMaxPool HardSwish Identity IsNaN Log LogSoftmax Mean Mish Neg Not Reciprocal
    Relu Round Selu Sigmoid Sign Sin Sinh Size Softmax Softplus Softsign Sqrt Sum Tan Tanh
    """.split()  # noqa: SIM905 - a list of one word per line helps nobody
)
SLOPED = ("Celu", "Elu", "HardSigmoid", "LeakyRelu", "Shrink", "ThresholdedRelu")
BINARY = ("Add", "Sub", "Mul", "Div", "Pow", "Min", "Max", "PRelu", "Mod", "Equal", "Greater", "Or")
REDUCTIONS = tuple(
    f"Reduce{kind}"
    for kind in ("L1", "L2", "LogSumExp", "Max", "Mean", "Min", "Prod", "Sum", "SumSquare")
)


class WildNet:
    """One network while it is drawn."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng([20, 26, seed])
        self.opset = int(self.rng.integers(13, 22))
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.inputs: list[onnx.ValueInfoProto] = []
        self.shapes: dict[str, Shape] = {}

    def pick(self, *choices: Any) -> Any:
        return choices[int(self.rng.integers(len(choices)))]

    def chance(self, probability: float) -> bool:
        return bool(self.rng.random() < probability)

    def between(self, low: int, high: int) -> int:
        return int(self.rng.integers(low, high + 1))

    def some(self, low: int, high: int, count: int) -> list[int]:
        return [self.between(low, high) for _ in range(count)]

    def constant(self, value: Any, dtype: Any = np.float32) -> str:
        name = f"k{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def reals(self, *shape: int, size: float = 0.5) -> str:
        return self.constant(self.rng.normal(0, size, shape))

    def ints(self, *values: int) -> str:
        return self.constant(values, np.int64)

    def add_input(self) -> None:
        rank = self.pick(2, 3, 4, 4, 4, 4, 5, 1)
        shape = [self.pick(1, 1, 1, 1, 1, 1, 2, "batch"), *self.some(1, 9, rank - 1)]
        if self.chance(0.3):
            shape[1:] = sorted(shape[1:])
        name = f"in{len(self.inputs)}"
        self.inputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
        self.shapes[name] = tuple(1 if n == "batch" else n for n in shape)

    def add_layer(self) -> None:
        """Try one operator on one value; it stays if ONNX accepts it."""
        names = list(self.shapes)
        x = names[-1] if self.chance(0.7) else self.pick(*names)
        op, layer = self.pick(*LAYERS)
        kept = len(self.constants)
        made = layer(self, x, self.shapes[x]) if self.shapes[x] or layer in SCALAR else None
        if made is None:
            return
        inputs, attributes = made
        count = attributes.pop("_outputs", 1)
        outputs = [f"v{len(self.nodes)}_{number}" for number in range(count)]
        node = helper.make_node(
            self.pick(*op) if isinstance(op, tuple) else op,
            inputs,
            outputs,
            f"n{len(self.nodes)}",
            **{key: value for key, value in attributes.items() if value is not None},
        )
        self.nodes.append(node)
        found = self._inferred(outputs)
        if not found:
            self.nodes.pop()
            del self.constants[kept:]
        self.shapes.update(found)

    def _inferred(self, outputs: list[str]) -> dict[str, Shape]:
        """Shapes of new values, or nothing where ONNX or their size says no."""
        model = self.model([], fixed=True)
        try:
            onnx.checker.check_node(self.nodes[-1], _context(self.opset))
            inferred = onnx.shape_inference.infer_shapes(
                model, check_type=True, strict_mode=True, data_prop=True
            )
        except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError):
            return {}
        found = {}
        for value in inferred.graph.value_info:
            if value.name in outputs:
                tensor = value.type.tensor_type
                shape = tuple(d.dim_value for d in tensor.shape.dim)
                if not tensor.HasField("shape") or min(shape, default=1) < 1:
                    return {}
                if np.prod(shape) > MOST_ELEMENTS or len(shape) > MOST_AXES:
                    return {}
                found[value.name] = shape
        return found

    def outputs(self) -> list[str]:
        """What nobody reads, and now and then what somebody does."""
        read = {name for node in self.nodes for name in node.input}
        computed = [n for n in self.shapes if n not in {v.name for v in self.inputs}]
        return [n for n in computed if n not in read or self.chance(0.1)]

    def model(self, outputs: list[str], *, fixed: bool = False) -> onnx.ModelProto:
        inputs = self.inputs
        if fixed:
            inputs = [
                helper.make_tensor_value_info(v.name, TensorProto.FLOAT, self.shapes[v.name])
                for v in inputs
            ]
        graph = helper.make_graph(
            self.nodes,
            "wild",
            inputs,
            [helper.make_tensor_value_info(n, TensorProto.UNDEFINED, None) for n in outputs],
            self.constants,
        )
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)])
        made.ir_version = 10
        return made


def wild_model(seed: int) -> onnx.ModelProto:
    """Draw network number `seed`: one to seven layers that ONNX calls valid."""
    net = WildNet(seed)
    net.add_input()
    if net.chance(0.2):
        net.add_input()
    wanted = net.between(1, 7)
    for _ in range(200):
        if len(net.nodes) == wanted:
            break
        net.add_layer()
    names = net.outputs()
    typed = onnx.shape_inference.infer_shapes(net.model([]), data_prop=True).graph
    kinds = {v.name: v.type.tensor_type.elem_type for v in typed.value_info}
    model = net.model([])
    model.graph.output.extend(helper.make_tensor_value_info(n, kinds[n], None) for n in names)
    return model


def _context(opset: int) -> Any:
    context = onnx.checker.C.CheckerContext()
    context.ir_version = 10
    context.opset_imports = {"": opset}
    return context


def _simple(net: WildNet, x: str, shape: Shape) -> Any:
    return [x], {}


def _sloped(net: WildNet, x: str, shape: Shape) -> Any:
    return [x], {"alpha": net.pick(None, None, 0.0, 0.3, 1.0, 2.5, -0.4)}


def _shrink(net: WildNet, x: str, shape: Shape) -> Any:
    return [x], {"bias": net.pick(0.0, 0.2, -0.1), "lambd": net.pick(0.5, 0.0, 1.5)}


def _axis(net: WildNet, x: str, shape: Shape) -> Any:
    return [x], {"axis": net.between(-len(shape), len(shape))}


def _binary(net: WildNet, x: str, shape: Shape) -> Any:
    if net.chance(0.4):
        y = net.pick(*net.shapes)
    else:
        other = [n if net.chance(0.6) else 1 for n in shape][net.pick(0, 0, 0, len(shape), 1) :]
        if net.chance(0.1):
            other = [net.between(1, 4), *other]
        y = net.reals(*other, size=net.pick(0.5, 2.0, 1e-3, 100.0))
        if net.chance(0.2):
            y = net.constant(net.pick(2.0, 0.5, 0.0, -1.0, 3.0))
    return ([x, y] if net.chance(0.7) else [y, x]), {}


def _many(net: WildNet, x: str, shape: Shape) -> Any:
    same = [n for n, s in net.shapes.items() if s == shape]
    return [net.pick(x, *same) for _ in range(net.between(1, 4))], {}


def _window(net: WildNet, spatial: Shape) -> dict[str, Any]:
    rank = len(spatial)
    found: dict[str, Any] = {
        "kernel_shape": net.some(1, 4, rank) if net.chance(0.8) else list(spatial),
        "strides": net.pick(None, net.some(1, 3, rank), [2] * rank),
        "dilations": net.pick(None, None, net.some(1, 2, rank)),
    }
    way = net.pick("pads", "pads", "none", "SAME_UPPER", "SAME_LOWER", "VALID", "NOTSET")
    if way == "pads":
        found["pads"] = net.some(0, 2, 2 * rank)
    elif way != "none":
        found["auto_pad"] = way
    return found


def _conv(net: WildNet, x: str, shape: Shape) -> Any:
    if len(shape) < 3:
        return None
    found = _window(net, shape[2:])
    groups = net.pick(1, 1, shape[1], 2)
    per_group = net.between(1, 3)
    kernel = found["kernel_shape"]
    inputs = [x, net.reals(groups * per_group, max(1, shape[1] // groups), *kernel)]
    if net.chance(0.5):
        inputs.append(net.reals(groups * per_group))
    return inputs, {**found, "group": groups}


def _deconv(net: WildNet, x: str, shape: Shape) -> Any:
    if len(shape) < 3:
        return None
    found = _window(net, shape[2:])
    groups = net.pick(1, 1, shape[1])
    inputs = [x, net.reals(shape[1], net.between(1, 3), *found["kernel_shape"])]
    found["output_padding"] = net.pick(None, None, net.some(0, 1, len(shape) - 2))
    return inputs, {**found, "group": groups}


def _pool(net: WildNet, x: str, shape: Shape) -> Any:
    if len(shape) < 3:
        return None
    return [x], {**_window(net, shape[2:]), "ceil_mode": net.pick(None, None, 1)}


def _average_pool(net: WildNet, x: str, shape: Shape) -> Any:
    made = _pool(net, x, shape)
    if made is None:
        return None
    if net.opset < 19:
        made[1].pop("dilations")
    return made[0], {**made[1], "count_include_pad": net.pick(None, 0, 1)}


def _max_pool(net: WildNet, x: str, shape: Shape) -> Any:
    made = _pool(net, x, shape)
    if made is None:
        return None
    storage = net.pick(None, None, None, 1)
    return made[0], {**made[1], "storage_order": storage, "_outputs": net.pick(1, 1, 1, 2)}


def _gemm(net: WildNet, x: str, shape: Shape) -> Any:
    if len(shape) != 2:
        return None
    left, right = net.pick(0, 0, 1), net.pick(0, 1)
    k, n = shape[0 if left else 1], net.between(1, 6)
    inputs = [x, net.reals(*((n, k) if right else (k, n)))]
    if net.chance(0.6):
        inputs.append(net.reals(*net.pick((n,), (1, n), (1,), ())))
    alpha, beta = net.pick(None, 0.5, -1.0), net.pick(None, 2.0, 0.0)
    return inputs, {"transA": left, "transB": right, "alpha": alpha, "beta": beta}


def _matmul(net: WildNet, x: str, shape: Shape) -> Any:
    k = shape[-1]
    kind = net.pick("right", "right", "left", "two", "batched", "vector")
    if kind == "left" and len(shape) > 1:
        return [net.reals(net.between(1, 5), shape[-2]), x], {}
    if kind == "two":
        return [x, net.pick(*net.shapes)], {}
    if kind == "batched":
        return [x, net.reals(*shape[:-2], k, net.between(1, 4))], {}
    return [x, net.reals(k) if kind == "vector" else net.reals(k, net.between(1, 6))], {}


def _reduce(net: WildNet, x: str, shape: Shape) -> Any:
    axes = sorted({net.between(-len(shape), len(shape) - 1) for _ in range(net.between(0, 3))})
    keep = net.pick(None, 0, 1)
    if net.chance(0.5):
        return [x, net.ints(*axes)], {"keepdims": keep, "noop_with_empty_axes": net.pick(None, 1)}
    return [x], {"axes": axes or None, "keepdims": keep}


def _concat(net: WildNet, x: str, shape: Shape) -> Any:
    fits = [n for n, s in net.shapes.items() if len(s) == len(shape)]
    names = [x, *(net.pick(*fits) for _ in range(net.between(0, 2)))]
    if net.chance(0.2):
        names.insert(net.pick(0, 1), net.reals(*shape))
    return names, {"axis": net.between(-len(shape), len(shape) - 1)}


def _split(net: WildNet, x: str, shape: Shape) -> Any:
    axis = net.between(-len(shape), len(shape) - 1)
    if net.chance(0.5) or shape[axis] < 2:
        count = net.between(1, 3)
        return [x], {"axis": axis, "num_outputs": count, "_outputs": count}
    first = net.between(1, shape[axis] - 1)
    return [x, net.ints(first, shape[axis] - first)], {"axis": axis, "_outputs": 2}


def _slice(net: WildNet, x: str, shape: Shape) -> Any:
    axes = sorted({net.between(0, len(shape) - 1) for _ in range(net.between(1, 2))})
    starts = [net.between(-shape[a] - 2, shape[a]) for a in axes]
    ends = [net.pick(net.between(-shape[a], shape[a] + 2), 2**63 - 1, -(2**63)) for a in axes]
    steps = [net.pick(1, 1, 2, -1, -3) for _ in axes]
    return [x, net.ints(*starts), net.ints(*ends), net.ints(*axes), net.ints(*steps)], {}


def _gather(net: WildNet, x: str, shape: Shape) -> Any:
    axis = net.between(-len(shape), len(shape) - 1)
    n = shape[axis]
    indices = net.rng.integers(-n, n, net.some(1, 3, net.pick(0, 1, 1, 2)))
    if net.chance(0.2):
        return [net.reals(net.between(2, 9), 3), x], {"axis": 0}
    return [x, net.constant(indices, net.pick(np.int64, np.int32))], {"axis": axis}


def _gather_elements(net: WildNet, x: str, shape: Shape) -> Any:
    axis = net.between(0, len(shape) - 1)
    return [x, net.constant(net.rng.integers(0, shape[axis], shape), np.int64)], {"axis": axis}


def _pad(net: WildNet, x: str, shape: Shape) -> Any:
    mode = net.pick(None, "constant", "reflect", "edge", "wrap")
    axes = [0] * len(shape) if net.chance(0.1) else [0, *net.some(-1, 2, len(shape) - 1)]
    after = [0, *net.some(-1, 2, len(shape) - 1)]
    inputs = [x, net.ints(*axes, *after)]
    if net.chance(0.5):
        inputs.append(net.constant(net.pick(0.0, 1.5, -3.0, -np.inf, np.finfo(np.float32).min)))
    return inputs, {"mode": mode}


def _transpose(net: WildNet, x: str, shape: Shape) -> Any:
    perm = [int(a) for a in net.rng.permutation(len(shape))]
    if net.chance(0.6):
        perm = [0, *(a for a in perm if a)]
    return [x], {"perm": net.pick(perm, perm, perm, None)}


def _reshape(net: WildNet, x: str, shape: Shape) -> Any:
    flat = int(np.prod(shape))
    ways = [[shape[0], -1], [-1], [1, -1, shape[-1]], [0, -1, *([1] * net.between(0, 2))]]
    ways += [[*shape[::-1]], [-1, 1], [flat, 1], [1, 1, flat, 1]]
    return [x, net.ints(*net.pick(*ways))], {"allowzero": net.pick(None, None, 1)}


def _squeeze(net: WildNet, x: str, shape: Shape) -> Any:
    ones = [a for a, n in enumerate(shape) if n == 1]
    return ([x, net.ints(net.pick(*ones))] if ones and net.chance(0.7) else [x]), {}


def _unsqueeze(net: WildNet, x: str, shape: Shape) -> Any:
    return [x, net.ints(net.between(-len(shape) - 1, len(shape)))], {}


def _expand(net: WildNet, x: str, shape: Shape) -> Any:
    return [x, net.ints(*(net.pick(n, n, 1, 3) for n in shape))], {}


def _tile(net: WildNet, x: str, shape: Shape) -> Any:
    return [x, net.ints(*net.some(1, 2, len(shape)))], {}


def _resize(net: WildNet, x: str, shape: Shape) -> Any:
    attributes = {
        "mode": net.pick("nearest", "nearest", "linear", "linear", "cubic"),
        "coordinate_transformation_mode": net.pick(
            None, "half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel"
        ),
        "nearest_mode": net.pick(None, "floor", "ceil", "round_prefer_ceil"),
        "antialias": net.pick(None, None, None, 1) if net.opset >= 18 else None,
    }
    keep = net.pick(1, 2)
    if net.chance(0.5):
        factors = [net.pick(0.5, 1.0, 2.0, 1.7, 3.0) for _ in shape[keep:]]
        return [x, "", net.constant([1.0] * min(keep, len(shape)) + factors)], attributes
    sizes = [*shape[:keep], *(net.between(1, 2 * n) for n in shape[keep:])]
    return [x, "", "", net.ints(*sizes)], attributes


def _blocks(net: WildNet, x: str, shape: Shape) -> Any:
    return [x], {"blocksize": net.pick(1, 2, 2, 3)}


def _depth_to_space(net: WildNet, x: str, shape: Shape) -> Any:
    return [x], {"blocksize": net.pick(1, 2, 2), "mode": net.pick(None, "DCR", "CRD")}


def _layer_norm(net: WildNet, x: str, shape: Shape) -> Any:
    axis = net.between(-len(shape), len(shape) - 1)
    inner = shape[axis:]
    inputs = [x, net.reals(*inner)] + ([net.reals(*inner)] if net.chance(0.5) else [])
    return inputs, {"axis": axis, "epsilon": net.pick(None, 1e-3)}


def _norm(net: WildNet, x: str, shape: Shape) -> Any:
    if len(shape) < 2:
        return None
    return [x, net.reals(shape[1]), net.reals(shape[1])], {}


def _batch_norm(net: WildNet, x: str, shape: Shape) -> Any:
    if len(shape) < 2:
        return None
    variance = net.constant(net.rng.uniform(0.3, 2.0, shape[1]))
    return [x, net.reals(shape[1]), net.reals(shape[1]), net.reals(shape[1]), variance], {
        "training_mode": net.pick(None, None, None, 0)
    }


def _lrn(net: WildNet, x: str, shape: Shape) -> Any:
    return [x], {"size": net.pick(1, 3, 5)}


def _clip(net: WildNet, x: str, shape: Shape) -> Any:
    low, high = net.pick(-1.0, 0.0, -0.3, None), net.pick(0.7, 6.0, None, -2.0)
    inputs = [x, "" if low is None else net.constant(low)]
    return inputs + ([] if high is None else [net.constant(high)]), {}


def _where(net: WildNet, x: str, shape: Shape) -> Any:
    mask = net.constant(net.rng.random(shape) < 0.5, np.bool_)
    same = [n for n, s in net.shapes.items() if s == shape]
    chosen = net.pick(mask, *same)
    return [chosen, x, net.pick(*same, net.reals(1))], {}


def _cast(net: WildNet, x: str, shape: Shape) -> Any:
    types = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.INT8, TensorProto.INT32)
    return [x], {"to": net.pick(*types, TensorProto.BOOL, TensorProto.DOUBLE)}


def _argmax(net: WildNet, x: str, shape: Shape) -> Any:
    return [x], {
        "axis": net.between(-len(shape), len(shape) - 1),
        "keepdims": net.pick(None, 0),
        "select_last_index": net.pick(None, None, 1),
    }


def _topk(net: WildNet, x: str, shape: Shape) -> Any:
    axis = net.between(-len(shape), len(shape) - 1)
    options = {"axis": axis, "largest": net.pick(None, 0), "_outputs": 2}
    return [x, net.ints(net.between(1, shape[axis] + 1))], options


def _cumsum(net: WildNet, x: str, shape: Shape) -> Any:
    return [x, net.constant(net.between(0, len(shape) - 1), np.int64)], {}


def _einsum(net: WildNet, x: str, shape: Shape) -> Any:
    letters = "abcde"[: len(shape)]
    kind = net.pick("dense", "turn", "sum", "two")
    if kind == "dense":
        return [x, net.reals(shape[-1], 3)], {
            "equation": f"{letters},{letters[-1]}z->{letters[:-1]}z"
        }
    if kind == "two":
        y = net.pick(*net.shapes)
        return [x, y], {"equation": f"{letters},{letters[:-1]}z->{letters[:-1]}z"}
    result = letters[::-1] if kind == "turn" else letters[:-1]
    return [x], {"equation": f"{letters}->{result}"}


def _recurrent(net: WildNet, x: str, shape: Shape) -> Any:
    if len(shape) != 3:
        return None
    hidden, gates = net.between(1, 4), net.pick(1, 3, 4)
    inputs = [x, net.reals(1, gates * hidden, shape[2]), net.reals(1, gates * hidden, hidden)]
    return inputs, {"hidden_size": hidden, "_outputs": net.pick(1, 2)}


def _quantize(net: WildNet, x: str, shape: Shape) -> Any:
    zero = net.constant(net.pick(0, 3, -20), np.int8)
    return [x, net.constant(net.pick(0.05, 0.01, 1.0)), zero], {}


LAYERS: tuple[tuple[str | tuple[str, ...], Layer], ...] = (
    *[(SIMPLE, _simple)] * 8,
    *[(SLOPED, _sloped)] * 2,
    ("Shrink", _shrink),
    *[(("Softmax", "LogSoftmax", "Hardmax", "Flatten"), _axis)] * 3,
    *[(BINARY, _binary)] * 6,
    *[(("Add", "Mul", "Sub"), _binary)] * 4,
    (("Sum", "Mean", "Min", "Max"), _many),
    *[("Conv", _conv)] * 8,
    *[("ConvTranspose", _deconv)] * 3,
    *[("MaxPool", _max_pool)] * 3,
    *[("AveragePool", _average_pool)] * 3,
    ("LpPool", _pool),
    *[("Gemm", _gemm)] * 3,
    *[("MatMul", _matmul)] * 4,
    *[(REDUCTIONS, _reduce)] * 4,
    *[("Concat", _concat)] * 3,
    *[("Split", _split)] * 2,
    *[("Slice", _slice)] * 3,
    *[("Gather", _gather)] * 2,
    ("GatherElements", _gather_elements),
    *[("Pad", _pad)] * 3,
    *[("Transpose", _transpose)] * 4,
    *[("Reshape", _reshape)] * 4,
    *[("Squeeze", _squeeze)] * 2,
    *[("Unsqueeze", _unsqueeze)] * 2,
    ("Expand", _expand),
    ("Tile", _tile),
    *[("Resize", _resize)] * 3,
    ("SpaceToDepth", _blocks),
    ("DepthToSpace", _depth_to_space),
    *[("LayerNormalization", _layer_norm)] * 2,
    (("InstanceNormalization",), _norm),
    *[("BatchNormalization", _batch_norm)] * 3,
    ("LRN", _lrn),
    *[("Clip", _clip)] * 3,
    ("Where", _where),
    ("Cast", _cast),
    (("ArgMax", "ArgMin"), _argmax),
    ("TopK", _topk),
    ("CumSum", _cumsum),
    ("Einsum", _einsum),
    (("LSTM", "GRU", "RNN"), _recurrent),
    ("QuantizeLinear", _quantize),
)
"""Each drawn equally often; an entry may name several operators."""

SCALAR = (_simple, _sloped, _binary, _many, _cast, _clip, _unsqueeze)
"""What may be tried on a value without axes."""
