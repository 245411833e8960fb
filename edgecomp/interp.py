"""Run a graph on the host: in real numbers, or in the exact integers of the device.

The integer run is the oracle: what firmware computes is compared with it bit for bit.
"""

import functools
import os
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from edgecomp.ir import Array, Graph, Node
from edgecomp.ops import OPS
from edgecomp.requant import compute_node, prepare_node

DEFAULT_CHUNK = 16
"""Samples computed together: enough for BLAS, little enough for the windows to stay in cache."""
MOST_THREADS = 8


def run_float(graph: Graph, inputs: Mapping[str, Array], *, keep: bool = False) -> dict[str, Array]:
    """Compute a float graph.

    Args:
        graph: a graph whose tensors are float32.
        inputs: for each graph input the samples, `(samples, *shape)`.
        keep: return every tensor instead of the outputs only.

    Returns:
        Arrays `(samples, *shape)` by tensor name.
    """
    return _run(graph, inputs, keep, _float_node)


def run_int(graph: Graph, inputs: Mapping[str, Array], *, keep: bool = False) -> dict[str, Array]:
    """Compute a quantized graph in the integers of the device.

    Args:
        graph: a quantized graph; where it has states, samples are runs one after another, the
            first after a reset.
        inputs: for each graph input the codes, `(samples, *shape)` int8.
        keep: return every tensor instead of the outputs only.

    Returns:
        Codes `(samples, *shape)` by tensor name.
    """
    return _run(graph, inputs, keep, IntegerRun(graph))


class IntegerRun:
    """Computes nodes of one quantized graph, each node's constants prepared once."""

    def __init__(self, graph: Graph) -> None:
        """Prepare every node of `graph`."""
        self._prepared: dict[str, Any] = {
            node.output: prepare_node(node, graph.node_inputs(node), graph.node_output(node))
            for node in graph.nodes
        }

    def __call__(self, graph: Graph, node: Node, arrays: list[Array]) -> Array:
        """Compute the output codes of `node`."""
        return compute_node(node, self._prepared[node.output], graph.node_inputs(node), arrays)


def _float_node(graph: Graph, node: Node, arrays: list[Array]) -> Array:
    # What overflows is refused by calibration, which says where.
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        return OPS[node.op].float_ref(node.params, graph.node_inputs(node), arrays)


def _run(graph: Graph, inputs: Mapping[str, Array], keep: bool, compute: Any) -> dict[str, Array]:
    if graph.states:
        return _run_in_sequence(graph, inputs, keep, compute)
    return _run_at_once(graph, inputs, None if keep else graph.outputs, compute)


def _run_in_sequence(
    graph: Graph, inputs: Mapping[str, Array], keep: bool, compute: Any
) -> dict[str, Array]:
    """Compute samples one after another, each with the states that the one before has left."""
    kept = {}
    for state in graph.states:
        tensor = graph.tensors[state.source]
        codes = np.broadcast_to(np.asarray(state.codes), tensor.size)
        if not tensor.dtype.value.startswith("int"):
            assert tensor.qparams is not None
            codes = tensor.qparams.dequantize(codes)
        first = codes.reshape(1, *tensor.shape)
        kept[state.source] = first.astype(tensor.dtype.numpy)
    wanted = None if keep else (*graph.outputs, *(state.update for state in graph.states))
    runs: list[dict[str, Array]] = []
    for index in range(len(next(iter(inputs.values())))):
        sample = {name: array[index : index + 1] for name, array in inputs.items()}
        values = _run_at_once(graph, {**sample, **kept}, wanted, compute)
        kept = {state.source: values[state.update] for state in graph.states}
        runs.append(values if keep else {name: values[name] for name in graph.outputs})
    return {name: np.concatenate([run[name] for run in runs]) for name in runs[0]}


def _run_at_once(
    graph: Graph, inputs: Mapping[str, Array], wanted: tuple[str, ...] | None, compute: Any
) -> dict[str, Array]:
    """Compute all samples together; `wanted` are the tensors to return, None for every one."""
    last_use = {name: index for index, node in enumerate(graph.nodes) for name in node.inputs}
    values: dict[str, Array] = {
        name: inputs[name] for name in (*graph.inputs, *(state.source for state in graph.states))
    }
    for index, node in enumerate(graph.nodes):
        arrays = [
            graph.tensors[name].value if graph.tensors[name].is_const else values[name]
            for name in node.inputs
        ]
        values[node.output] = compute(graph, node, arrays)
        if wanted is not None:
            for name in node.inputs:
                if last_use[name] == index and name not in wanted:
                    values.pop(name, None)
    return values if wanted is None else {name: values[name] for name in wanted}


def chunk_for(graph: Graph, chunk: int = DEFAULT_CHUNK) -> int:
    """How many samples may be computed together: all of them where each depends on the others."""
    return sys.maxsize if graph.states else chunk


def in_chunks(
    inputs: Mapping[str, Array], chunk: int = DEFAULT_CHUNK
) -> Iterator[dict[str, Array]]:
    """Split samples into runs of at most `chunk`."""
    count = len(next(iter(inputs.values())))
    for start in range(0, count, chunk):
        yield {name: array[start : start + chunk] for name, array in inputs.items()}


def outputs_in_chunks(
    graph: Graph, inputs: Mapping[str, Array], *, integer: bool, chunk: int = DEFAULT_CHUNK
) -> dict[str, Array]:
    """Compute the outputs of many samples, some at a time, on all processors of this host."""
    compute = IntegerRun(graph) if integer else _float_node
    with ThreadPoolExecutor(min(os.cpu_count() or 1, MOST_THREADS)) as pool:
        run = functools.partial(_run, graph, keep=False, compute=compute)
        parts = list(pool.map(run, in_chunks(inputs, chunk_for(graph, chunk))))
    return {name: np.concatenate([part[name] for part in parts]) for name in graph.outputs}
