"""Calibration: quantization parameters for every activation, from samples.

Sources: B. Jacob et al., "Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference" (CVPR 2018), for the affine scheme.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from edgecomp.errors import UserError
from edgecomp.ir import Array, Graph, Node, QParams, Tensor
from edgecomp.ops.embedding import INDEX_QPARAMS
from edgecomp.ops.expression import is_integral
from edgecomp.ops.unary import UnaryParams
from edgecomp.ops.where import TRUTH_QPARAMS
from edgecomp.quant.floors import raise_scales
from edgecomp.quant.indices import WIDE_INDEX_QPARAMS, wide_indices
from edgecomp.quant.observe import observe_histograms, observe_ranges
from edgecomp.quant.ranges import METHODS, choose_range, merge, range_qparams, squared_error
from edgecomp.quant.recurrent import hidden_qparams, is_recurrent
from edgecomp.quant.sharing import Group, share_groups
from edgecomp.storage.found import LEAST_ZEROS


@dataclass(frozen=True)
class Calibration:
    """How one tensor's parameters were found.

    Attributes:
        method: `minmax`, `percentile`, `mse` or `entropy`; `fixed` by the meaning of the layer, as
            where it has integers; `index` for whole numbers that choose rows; `table` by the rows;
            `preset` by the model file.
        low: smallest value seen (0 where nothing was looked at).
        high: largest value seen.
        mse: mean squared quantization error on the samples, or None where it was not measured.
        qparams: the result.
    """

    method: str
    low: float
    high: float
    mse: float | None
    qparams: QParams


def calibrate(
    graph: Graph, inputs: Mapping[str, Array], method: str = "auto", *, symmetric: bool = False
) -> dict[str, QParams]:
    """Choose the quantization parameters of every activation.

    Args:
        graph: a float graph without conflicts (`insert_rescales`); parameters that its tensors
            carry are kept.
        inputs: for each graph input the samples, `(samples, *shape)` float32, in the device's
            layout.
        method: `auto`, `minmax`, `percentile`, `mse` or `entropy`.
        symmetric: give every activation the zero point 0.

    Returns:
        Per-tensor parameters by tensor name, constants excluded.  Tensors whose codes are only
        moved share theirs.

    Raises:
        UserError: unknown method, no samples, wrong shapes, or values that are not finite.
    """
    found = observe_and_choose(graph, inputs, method, symmetric=symmetric)
    return {name: calibration.qparams for name, calibration in found.items()}


def observe_and_choose(
    graph: Graph,
    inputs: Mapping[str, Array],
    method: str = "auto",
    *,
    symmetric: bool = False,
    skips_infinite: bool = False,
) -> dict[str, Calibration]:
    """Calibrate, and keep what was seen: see `calibrate`; `minmax` can skip infinite values."""
    if method not in METHODS:
        raise UserError(f"unknown calibration method {method!r}; choose from {', '.join(METHODS)}")
    groups = share_groups(graph)
    settled = {group: _settled(graph, group, symmetric) for group in groups}
    open_groups = [group for group in groups if settled[group] is None]
    ranges = {}
    if open_groups:
        _check_inputs(graph, inputs)
        wanted = [n for g in open_groups for n in g.sources]
        ranges = observe_ranges(graph, inputs, wanted, skips_infinite=skips_infinite)
    spans = {group: _span(group, ranges) for group in open_groups}
    for group, span in spans.items():
        settled[group] = _of_integers(graph, group, span, symmetric)
    spans = {group: span for group, span in spans.items() if settled[group] is None}
    if method == "minmax":
        chosen = {
            group: Calibration(method, *span, None, range_qparams(*span, symmetric=symmetric))
            for group, span in spans.items()
        }
    else:
        chosen = _by_histogram(graph, inputs, spans, method, symmetric)
    by_name: dict[str, Calibration] = {}
    for group in groups:
        calibration = settled[group] or chosen[group]
        by_name.update(dict.fromkeys(group.members, calibration))
    return raise_floors(graph, groups, by_name)


def needs_samples(graph: Graph, *, symmetric: bool = False) -> bool:
    """Whether an activation's parameters follow neither from the file nor from its layer."""
    return any(_settled(graph, group, symmetric) is None for group in share_groups(graph))


def raise_floors(
    graph: Graph, groups: tuple[Group, ...], calibrations: dict[str, Calibration]
) -> dict[str, Calibration]:
    """Raise scales that are too small for int32 accumulators (`edgecomp.quant.floors`)."""
    qparams = {name: calibration.qparams for name, calibration in calibrations.items()}
    raised = raise_scales(graph, groups, qparams)
    return {
        name: c if raised[name] == c.qparams else Calibration(c.method, c.low, c.high, None, q)
        for (name, c), q in zip(calibrations.items(), raised.values(), strict=True)
    }


def _by_histogram(
    graph: Graph,
    inputs: Mapping[str, Array],
    spans: Mapping[Group, tuple[float, float]],
    method: str,
    symmetric: bool,
) -> dict[Group, Calibration]:
    """Choose each group's range from the histogram of its sources."""
    wanted = {name: span for group, span in spans.items() for name in group.sources}
    histograms = observe_histograms(graph, inputs, wanted) if wanted else {}
    chosen = {}
    for group, span in spans.items():
        histogram = merge([histograms[name] for name in group.sources])
        used, (low, high) = choose_range(histogram, method, symmetric=symmetric)
        low, high = min(low, *group.paddings, 0.0), max(high, *group.paddings, 0.0)
        qparams = range_qparams(low, high, symmetric=symmetric)
        chosen[group] = Calibration(used, *span, squared_error(histogram, qparams), qparams)
    return chosen


def _of_integers(
    graph: Graph, group: Group, span: tuple[float, float], symmetric: bool
) -> Calibration | None:
    """Parameters under which integers are exact, where there are no more of them than codes."""
    producers = graph.producers()
    if any(group.paddings) or not all(name in producers for name in group.sources):
        return None
    functions = [producers[name].params for name in group.sources]
    if not all(isinstance(f, UnaryParams) and is_integral(f.expr) for f in functions):
        return None
    low, high = span
    zero_point = 0 if symmetric else round(-128 - low)
    if low + zero_point < -128 or high + zero_point > 127:
        return None
    return Calibration("fixed", low, high, None, QParams.per_tensor(1.0, zero_point))


def _span(group: Group, ranges: Mapping[str, tuple[float, float]]) -> tuple[float, float]:
    """The range of all that the group's tensors hold."""
    lows = [ranges[name][0] for name in group.sources]
    highs = [ranges[name][1] for name in group.sources]
    return min(*lows, *group.paddings, 0.0), max(*highs, *group.paddings, 0.0)


def _settled(graph: Graph, group: Group, symmetric: bool) -> Calibration | None:
    """Parameters that need no samples: given by the file, or by what the layer computes."""
    if group.preset is not None:
        return Calibration("preset", 0.0, 0.0, None, group.preset)
    if any(node.inputs[0] in group.members for node in graph.nodes if node.op == "embedding"):
        wide = wide_indices(graph).intersection(group.members)
        return Calibration("index", 0.0, 0.0, None, WIDE_INDEX_QPARAMS if wide else INDEX_QPARAMS)
    producers = graph.producers()
    makers = [producers.get(name) for name in group.sources]
    if not any(group.paddings) and all(node and node.op == "embedding" for node in makers):
        return _of_tables([graph.tensors[node.inputs[1]] for node in makers if node], symmetric)
    fixed = {
        _by_meaning(producers[name], symmetric) if name in producers else None
        for name in group.sources
    }
    if len(fixed) != 1 or any(group.paddings):
        return None
    qparams = fixed.pop()
    method = "index" if qparams == INDEX_QPARAMS else "fixed"
    return None if qparams is None else Calibration(method, 0.0, 0.0, None, qparams)


def _of_tables(tables: Sequence[Tensor], symmetric: bool) -> Calibration:
    """What any row of the tables can hold; a single table that has a scale keeps it.

    Where many elements are 0, between negative and positive ones, that is code 0: what storages of
    weights leave out.
    """
    low = min(float(table.value.min()) for table in tables)
    high = max(float(table.value.max()) for table in tables)
    given = tables[0].qparams if len(tables) == 1 else None
    own = given is not None and given.axis is None
    zeros = sum(np.count_nonzero(table.value == 0) for table in tables)
    many = bool(zeros >= LEAST_ZEROS * sum(table.size for table in tables))
    centered = symmetric or (many and low < 0.0 < high)
    qparams = given if own else range_qparams(min(low, 0.0), max(high, 0.0), symmetric=centered)
    assert qparams is not None
    return Calibration("table", low, high, None, qparams)


def _by_meaning(node: Node, symmetric: bool) -> QParams | None:
    """Parameters of a function whose values lie in a known interval, as TFLite has them."""
    function = node.params.expr if node.op == "unary" else None  # type: ignore[attr-defined]
    if node.op == "softmax" or function == ("sigmoid", ("x",)):
        return QParams.per_tensor(1 / 128, 0) if symmetric else QParams.per_tensor(1 / 256, -128)
    if is_recurrent(node):
        return hidden_qparams(node)
    if node.op == "compare":
        return TRUTH_QPARAMS
    if node.op in {"argmax", "top_indices"}:
        return INDEX_QPARAMS
    if function == ("tanh", ("x",)):
        return QParams.per_tensor(1 / 128, 0)
    return None


def _check_inputs(graph: Graph, inputs: Mapping[str, Array]) -> None:
    """Refuse samples that do not fit the graph's inputs."""
    counts = set()
    for name in graph.inputs:
        shape = graph.tensors[name].shape
        if name not in inputs:
            raise UserError(f"calibration: no samples for input {name!r}")
        if np.shape(inputs[name])[1:] != shape:
            raise UserError(
                f"calibration: samples of input {name!r} have shape {np.shape(inputs[name])[1:]}, "
                f"the network wants {shape}"
            )
        counts.add(len(inputs[name]))
    if counts in (set(), {0}):
        raise UserError("calibration: there are no samples; give at least one")
    if len(counts) > 1:
        raise UserError(f"calibration: the inputs have different numbers of samples: {counts}")
