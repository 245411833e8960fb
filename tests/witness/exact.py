"""Every operator once more, from its definition, in rational numbers.

Nothing here is shared with `edgecomp.ops`: windows are loops, sums are sums.  Each function returns
the real value of one output element; operands are read by `read(operand, index)`.
"""

import math
from decimal import Decimal, localcontext
from fractions import Fraction
from itertools import product

import numpy as np

from tests.witness.exact_recurrent import recurrent_value


def exact_code(graph, node, codes, sample, index):
    """The real-valued code of an output element: clamped, saturated, not rounded.

    Args:
        graph: a quantized graph.
        node: one of its layers.
        codes: int8 arrays `(samples, *shape)` of the activations that the layer reads.
        sample: index of the sample.
        index: index of the element in the output's shape.
    """
    tensors = graph.node_inputs(node)

    def read(operand, at):
        tensor = tensors[operand]
        array = tensor.value if tensor.is_const else codes[tensor.name][sample]
        at = tuple(i if n > 1 else 0 for i, n in zip(at, array.shape, strict=True))
        q = tensor.qparams
        if q is None:
            return Fraction(float(array[at]))
        scale = q.scale[at[q.axis]] if q.axis is not None else q.scale[0]
        return Fraction(scale) * (int(array[at]) - q.zero_point)

    shapes = [tensor.shape for tensor in tensors]
    value = _DEFINITIONS[node.op](node.params, shapes, read, tuple(int(i) for i in index))
    if value is None:
        return None
    clamp = getattr(node.params, "clamp", None)
    if clamp is not None:
        if clamp.low != -math.inf:
            value = max(value, Fraction(clamp.low))
        if clamp.high != math.inf:
            value = min(value, Fraction(clamp.high))
    out = graph.node_output(node).qparams
    code = value / Fraction(out.scale[0]) + out.zero_point
    return min(max(code, Fraction(-128)), Fraction(127))


def is_half_way(code):
    """Whether a real-valued code lies exactly between two integers."""
    return (code - Fraction(1, 2)).denominator == 1


def _place(shape, n, h, w, c):
    """Index of an element of an NHWC, NWC or NC tensor, or None outside of it."""
    sizes = {4: shape, 3: (shape[0], 1, *shape[1:]), 2: (shape[0], 1, 1, shape[1])}[len(shape)]
    if not all(0 <= i < size for i, size in zip((n, h, w, c), sizes, strict=True)):
        return None
    return {4: (n, h, w, c), 3: (n, w, c), 2: (n, c)}[len(shape)]


def _nhwc(index):
    return {4: index, 3: (index[0], 0, *index[1:]), 2: (index[0], 0, 0, index[-1])}[len(index)]


def _taps(params, index):
    """Row and column of the input, and of the window, for each tap of an output element."""
    _, row, column, _ = _nhwc(index)
    for i, j in product(range(params.kernel_h), range(params.kernel_w)):
        yield (
            row * params.stride_h + i * params.dilation_h - params.pad_top,
            column * params.stride_w + j * params.dilation_w - params.pad_left,
            i,
            j,
        )


def _conv2d(params, shapes, read, index):
    n, _, _, channel = _nhwc(index)
    outputs, _, _, group_in = shapes[1]
    first = channel // (outputs // params.groups) * group_in
    total = read(2, (channel,)) if len(shapes) > 2 else Fraction(0)
    for h, w, i, j in _taps(params, index):
        for c in range(group_in):
            at = _place(shapes[0], n, h, w, first + c)
            if at is not None:
                total += read(0, at) * read(1, (channel, i, j, c))
    return total


def _dense(params, shapes, read, index):
    total = read(2, index[-1:]) if len(shapes) > 2 else Fraction(0)
    for i in range(shapes[1][1]):
        total += read(0, (*index[:-1], i)) * read(1, (index[-1], i))
    return total


def _inside(params, shapes, read, index):
    n, _, _, c = _nhwc(index)
    places = [_place(shapes[0], n, h, w, c) for h, w, _, _ in _taps(params, index)]
    return [read(0, at) for at in places if at is not None]


def _average_pool(params, shapes, read, index):
    values = _inside(params, shapes, read, index)
    count = params.kernel_h * params.kernel_w if params.count_include_pad else len(values)
    return sum(values, Fraction(0)) / count


def _reduced(params, shapes, read, index):
    rank = len(shapes[0])
    kept = list(index) if params.keepdims else []
    if not params.keepdims:
        rest = iter(index)
        kept = [0 if axis in params.axes else next(rest) for axis in range(rank)]
    ranges = [range(shapes[0][a]) if a in params.axes else (kept[a],) for a in range(rank)]
    return [read(0, at) for at in product(*ranges)]


def _reduce_mean(*args):
    values = _reduced(*args)
    return sum(values, Fraction(0)) / len(values)


def _argmax(params, shapes, read, index):
    row = [read(0, (*index[:-1], i)) for i in range(shapes[0][-1])]
    best = max(row) if params.largest else min(row)
    found = [i for i, value in enumerate(row) if value == best]
    start = params.starts[np.ravel_multi_index(index[:-1], shapes[0][:-1])] if params.starts else 0
    return Fraction(int(start) + (found[-1] if params.last else found[0]))


def _top(params, shapes, read, index):
    row = [read(0, (*index[:-1], i)) for i in range(shapes[0][-1])]
    sign = -1 if params.largest else 1
    return sorted((sign * value, i) for i, value in enumerate(row))[index[-1]]


def _matmul(params, shapes, read, index):
    *batch, row, column = index
    return sum(
        (read(0, (*batch, row, i)) * read(1, (*batch, i, column)) for i in range(shapes[0][-1])),
        Fraction(0),
    )


def _prelu(params, shapes, read, index):
    x = read(0, index)
    return x if x >= 0 else x * read(1, index[-1:])


def _layer_norm(params, shapes, read, index):
    row = [read(0, (*index[:-1], i)) for i in range(shapes[0][-1])]
    mean = sum(row, Fraction(0)) / len(row) if params.centered else 0
    variance = sum(((x - mean) ** 2 for x in row), Fraction(0)) / len(row)
    flat = 0
    for i, n in zip(index, shapes[0], strict=True):
        flat = flat * n + i
    channel = (flat // params.repeat % shapes[1][0],)
    distance = row[index[-1]] - mean
    if not distance:
        return read(2, channel)
    with localcontext() as context:
        context.prec = 60
        square = variance + Fraction(params.epsilon)
        root = Fraction((Decimal(square.numerator) / Decimal(square.denominator)).sqrt())
    return distance / root * read(1, channel) + read(2, channel)


def _softmax(params, shapes, read, index):
    row = [read(0, (*index[:-1], i)) for i in range(shapes[0][-1])]
    powers = [_exp(x - max(row)) for x in row]
    return powers[index[-1]] / sum(powers)


def _log_softmax(params, shapes, read, index):
    row = [read(0, (*index[:-1], i)) for i in range(shapes[0][-1])]
    largest = max(row)
    total = sum(_exp(x - largest) for x in row)
    with localcontext() as context:
        context.prec = 60
        logarithm = Fraction((Decimal(total.numerator) / Decimal(total.denominator)).ln())
    return read(0, index) - largest - logarithm


def _exp(x):
    with localcontext() as context:
        context.prec = 60
        return Fraction((Decimal(x.numerator) / Decimal(x.denominator)).exp())


def _compare(params, shapes, read, index):
    a, b = read(0, index), read(1, index)
    return Fraction({"less": a < b, "less_or_equal": a <= b, "equal": a == b}[params.kind])


def _div(params, shapes, read, index):
    divisor = read(1, index)
    return read(0, index) / divisor if divisor else None


def _unary(params, shapes, read, index):
    return _evaluate(params.expr, read(0, index))


def _evaluate(expr, x):
    """Value of a tree that has only functions defined here, else None."""
    head, *args = expr
    if head == "x":
        return x
    if head == "const":
        return Fraction(args[0]) if math.isfinite(args[0]) else args[0]
    values = [_evaluate(arg, x) for arg in args]
    if head not in _FUNCTIONS or any(value is None for value in values):
        return None
    return _FUNCTIONS[head](*values)


def _sigmoid(x):
    return 1 / (1 + _exp(-x))


_FUNCTIONS = {
    "relu": lambda x: max(x, Fraction(0)),
    "clip": lambda x, low, high: min(max(x, low), high),
    "abs": abs,
    "neg": lambda x: -x,
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "leaky_relu": lambda x, alpha: x if x >= 0 else x * alpha,
    "hard_sigmoid": lambda x, alpha, beta: min(max(alpha * x + beta, Fraction(0)), Fraction(1)),
    "hard_swish": lambda x: x * min(max(x / 6 + Fraction(1, 2), Fraction(0)), Fraction(1)),
    "exp": _exp,
    "sigmoid": _sigmoid,
    "tanh": lambda x: 2 * _sigmoid(2 * x) - 1,
    "silu": lambda x: x * _sigmoid(x),
}


def _pad(params, shapes, read, index):
    at = tuple(i - before for i, before in zip(index, params.before, strict=True))
    inside = all(0 <= i < n for i, n in zip(at, shapes[0], strict=True))
    return read(0, at) if inside else Fraction(params.value)


def _concat(params, shapes, read, index):
    position = index[params.axis]
    for operand, shape in enumerate(shapes):
        if position < shape[params.axis]:
            return read(operand, (*index[: params.axis], position, *index[params.axis + 1 :]))
        position -= shape[params.axis]
    raise AssertionError(index)


def _gather(params, shapes, read, index):
    chosen = zip(params.indices, index, strict=True)
    return read(0, tuple(i if table is None else table[i] for table, i in chosen))


def _embedding(params, shapes, read, index):
    row = min(max(int(read(0, index[:-1])), 0), shapes[1][0] - 1)
    return read(1, (row, index[-1]))


def _resize(params, shapes, read, index):
    total = Fraction(0)
    corners = []
    for given, i, n in zip(params.positions, index, shapes[0], strict=True):
        if given is None:
            corners.append([(i, Fraction(1))])
            continue
        # Coordinates are fractions that float64 cannot hold.
        at = Fraction(given[i]).limit_denominator(4096)
        low = math.floor(at)
        corners.append([(low, 1 - (at - low)), (min(low + 1, n - 1), at - low)])
    for corner in product(*corners):
        weight = math.prod((w for _, w in corner), start=Fraction(1))
        total += weight * read(0, tuple(i for i, _ in corner))
    return total


def _reshape(params, shapes, read, index):
    flat = 0
    for i, n in zip(index, params.shape, strict=True):
        flat = flat * n + i
    at = []
    for n in reversed(shapes[0]):
        at.insert(0, flat % n)
        flat //= n
    return read(0, tuple(at))


def _transpose(params, shapes, read, index):
    at = [0] * len(index)
    for axis, source in enumerate(params.perm):
        at[source] = index[axis]
    return read(0, tuple(at))


_DEFINITIONS = {
    "conv2d": _conv2d,
    "dense": _dense,
    "add": lambda params, shapes, read, index: read(0, index) + read(1, index),
    "sub": lambda params, shapes, read, index: read(0, index) - read(1, index),
    "mul": lambda params, shapes, read, index: read(0, index) * read(1, index),
    "div": _div,
    "compare": _compare,
    "where": lambda params, shapes, read, index: read(1 if read(0, index) else 2, index),
    "maximum": lambda params, shapes, read, index: max(read(0, index), read(1, index)),
    "minimum": lambda params, shapes, read, index: min(read(0, index), read(1, index)),
    "unary": _unary,
    "prelu": _prelu,
    "max_pool": lambda *args: max(_inside(*args)),
    "average_pool": _average_pool,
    "reduce_mean": _reduce_mean,
    "reduce_sum": lambda *args: sum(_reduced(*args), Fraction(0)),
    "reduce_max": lambda *args: max(_reduced(*args)),
    "reduce_min": lambda *args: min(_reduced(*args)),
    "argmax": _argmax,
    "top_values": lambda params, *rest: _top(params, *rest)[0] * (-1 if params.largest else 1),
    "top_indices": lambda *args: Fraction(_top(*args)[1]),
    "matmul": _matmul,
    "softmax": _softmax,
    "log_softmax": _log_softmax,
    "layer_norm": _layer_norm,
    "lstm": recurrent_value,
    "gru": recurrent_value,
    "rnn": recurrent_value,
    "pad": _pad,
    "concat": _concat,
    "gather": _gather,
    "embedding": _embedding,
    "resize": _resize,
    "reshape": _reshape,
    "transpose": _transpose,
}


def sampled_elements(shape, samples, count, seed=0):
    """Some `(sample, index)` pairs, corners among them."""
    rng = np.random.default_rng(seed)
    corners = [tuple(0 for _ in shape), tuple(n - 1 for n in shape)]
    pairs = [(0, corners[0]), (samples - 1, corners[1])]
    for _ in range(count):
        pairs.append((int(rng.integers(samples)), tuple(int(rng.integers(n)) for n in shape)))
    return pairs
