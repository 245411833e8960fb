"""Recurrent layers once more, from the equations in ONNX's operators, in decimal numbers.

Gates are taken one by one, in the order of ONNX: i o f c, z r h.
"""

from decimal import Decimal, localcontext
from fractions import Fraction

DIGITS = 30


def recurrent_value(params, shapes, read, index):
    """The real value of one element of a layer's output."""
    with localcontext() as context:
        context.prec = DIGITS
        return Fraction(_value(params, shapes, read, index))


def _value(params, shapes, read, index):
    def number(operand, at):
        value = read(operand, at)
        return Decimal(value.numerator) / Decimal(value.denominator)

    steps, inputs = shapes[0][1:]
    units = shapes[2][1]
    rows = shapes[1][0]
    weights = [[number(1, (r, i)) for i in range(inputs)] for r in range(rows)]
    recurrent = [[number(2, (r, j)) for j in range(units)] for r in range(rows)]
    bias = [number(3, (r,)) for r in range(shapes[3][0])]
    behind = 4
    peepholes = None
    if getattr(params, "peepholes", False):
        peepholes = [number(4, (j,)) for j in range(3 * units)]
        behind = 5
    starts = [[Decimal(0)] * units] * 2
    for place, operand in enumerate(range(behind, len(shapes))):
        one = len(shapes[operand]) == 1
        starts[place] = [number(operand, (j,) if one else (index[0], j)) for j in range(units)]
    hidden, cell = starts
    last = params.emits in {"last", "memory"}
    for step in range(steps if last else index[1] + 1):
        x = [number(0, (index[0], step, i)) for i in range(inputs)]
        seen = [_dot(row, x) for row in weights]
        step_of = {1: _rnn, 3: _gru, 4: _lstm}[rows // units]
        hidden, cell = step_of(params, seen, recurrent, bias, peepholes, hidden, cell)
    return (cell if params.emits == "memory" else hidden)[index[2]]


def _dot(row, values):
    return sum((a * b for a, b in zip(row, values, strict=True)), Decimal(0))


def _clip(params, x):
    limit = Decimal(params.clip)
    return min(max(x, -limit), limit)


def _sigmoid(x):
    return 1 / (1 + (-x).exp())


def _tanh(x):
    return 1 - 2 / ((2 * x).exp() + 1)


def _lstm(params, seen, recurrent, bias, peepholes, hidden, cell):
    units = len(hidden)
    new_hidden, new_cell = [], []
    for j in range(units):
        i, o, f, c = (
            seen[g * units + j] + _dot(recurrent[g * units + j], hidden) + bias[g * units + j]
            for g in range(4)
        )
        if peepholes:
            i += peepholes[j] * cell[j]
            f += peepholes[2 * units + j] * cell[j]
        i = _sigmoid(_clip(params, i))
        f = 1 - i if params.coupled else _sigmoid(_clip(params, f))
        sum_ = f * cell[j] + i * _tanh(_clip(params, c))
        limit = Decimal(params.cell_clip)
        new_cell.append(min(max(sum_, -limit), limit))
        if peepholes:
            o += peepholes[units + j] * new_cell[j]
        new_hidden.append(_sigmoid(_clip(params, o)) * _tanh(new_cell[j]))
    return new_hidden, new_cell


def _gru(params, seen, recurrent, bias, peepholes, hidden, cell):
    units = len(hidden)
    z, r = (
        [
            _sigmoid(_clip(params, seen[k] + _dot(recurrent[k], hidden) + bias[k]))
            for k in range(g * units, (g + 1) * units)
        ]
        for g in range(2)
    )
    new_hidden = []
    for j in range(units):
        k = 2 * units + j
        if params.reset_after:
            part = r[j] * (_dot(recurrent[k], hidden) + bias[3 * units + j])
        else:
            part = _dot(recurrent[k], [a * b for a, b in zip(r, hidden, strict=True)])
        n = _tanh(_clip(params, seen[k] + bias[k] + part))
        new_hidden.append((1 - z[j]) * n + z[j] * hidden[j])
    return new_hidden, new_hidden


def _rnn(params, seen, recurrent, bias, peepholes, hidden, cell):
    made = []
    for j, row in enumerate(recurrent):
        pre = _clip(params, seen[j] + _dot(row, hidden) + bias[j])
        made.append(_tanh(pre) if params.activation == "tanh" else max(pre, Decimal(0)))
    return made, made
