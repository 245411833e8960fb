"""Recurrent layers in PyTorch: twins of `float_ref`, step by step."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from edgecomp.errors import InternalError
from edgecomp.ir import Node
from edgecomp.ops import OPS
from edgecomp.ops.recurrent import Recurrent

if TYPE_CHECKING:
    from torch import Tensor

_Given = dict[str, Any]
_States = tuple[Any, Any]


def recurrent(node: Node, arrays: "Sequence[Tensor]") -> "Tensor":
    """Compute a layer: operands as `edgecomp.ops.recurrent` says, samples first.

    Raises:
        InternalError: the layer keeps its state, which real numbers do not.
    """
    import torch

    params: Any = node.params
    op = OPS[node.op]
    assert isinstance(op, Recurrent)
    if "state" in {params.begins, params.emits}:
        raise InternalError("the state of a recurrent layer exists in codes only")
    given: _Given = op.by_role(params, arrays)
    x: Tensor = given["x"]
    samples, batch, steps, _ = x.shape
    products = x.reshape(samples * batch, steps, -1) @ given["weights"].T
    zero = x.new_zeros((samples, batch, given["recurrent"].shape[-1]))
    hidden, memory = (
        (given[role] + zero if role in given else zero).reshape(samples * batch, -1)
        for role in ("hidden", op.memory_role)
    )
    states: _States = (hidden, memory)
    rows: list[_States] = []
    for step in range(steps):
        states = _STEPS[node.op](params, products[:, step], states, given)
        rows.append(states)
    wanted = rows if params.emits == "sequence" else rows[-1:]
    index = 1 if params.emits == "memory" else 0
    stacked = torch.stack([row[index] for row in wanted], dim=1)
    return stacked.reshape(samples, batch, len(wanted), -1)


def _lstm(params: Any, x: Any, states: _States, given: _Given) -> _States:
    hidden, cell = states
    pre = x + hidden @ given["recurrent"].T + given["bias"]
    i, o, f, g = pre.chunk(4, dim=-1)
    if params.peepholes:
        p_i, p_o, p_f = given["peepholes"].chunk(3)
        i, f = i + p_i * cell, f + p_f * cell
    limit = params.clip
    i = i.clamp(-limit, limit).sigmoid()
    f = 1 - i if params.coupled else f.clamp(-limit, limit).sigmoid()
    cell = f * cell + i * g.clamp(-limit, limit).tanh()
    if params.peepholes:
        o = o + p_o * cell
    return o.clamp(-limit, limit).sigmoid() * cell.tanh(), cell


def _gru(params: Any, x: Any, states: _States, given: _Given) -> _States:
    hidden = states[0]
    units = hidden.shape[-1]
    recurrent, bias, limit = given["recurrent"], given["bias"], params.clip
    pre = x + bias[: 3 * units]
    gates = pre[:, : 2 * units] + hidden @ recurrent[: 2 * units].T
    z, r = gates.clamp(-limit, limit).sigmoid().chunk(2, dim=-1)
    if params.reset_after:
        part = r * (hidden @ recurrent[2 * units :].T + bias[3 * units :])
    else:
        part = (r * hidden) @ recurrent[2 * units :].T
    n = (pre[:, 2 * units :] + part).clamp(-limit, limit).tanh()
    hidden = (1 - z) * n + z * hidden
    return hidden, hidden


def _rnn(params: Any, x: Any, states: _States, given: _Given) -> _States:
    pre = x + states[0] @ given["recurrent"].T + given["bias"]
    pre = pre.clamp(-params.clip, params.clip)
    hidden = pre.tanh() if params.activation == "tanh" else pre.relu()
    return hidden, hidden


_STEPS = {"lstm": _lstm, "gru": _gru, "rnn": _rnn}
