"""Run a graph on the host: in real numbers, or in the exact integers of the device.

The integer run is the oracle: what firmware computes is compared with it bit for bit.
"""

import functools
import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from edgecomp.ir import Array, Graph, Node
from edgecomp.ops import OPS
from edgecomp.requant import prepare_node

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
        graph: a quantized graph.
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
        return OPS[node.op].int_ref(
            node.params, self._prepared[node.output], graph.node_inputs(node), arrays
        )


def _float_node(graph: Graph, node: Node, arrays: list[Array]) -> Array:
    # What overflows is refused by calibration, which says where.
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        return OPS[node.op].float_ref(node.params, graph.node_inputs(node), arrays)


def _run(graph: Graph, inputs: Mapping[str, Array], keep: bool, compute: Any) -> dict[str, Array]:
    wanted = None if keep else set(graph.outputs)
    last_use = {name: index for index, node in enumerate(graph.nodes) for name in node.inputs}
    values: dict[str, Array] = {name: inputs[name] for name in graph.inputs}
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
    return values if wanted is None else {name: values[name] for name in graph.outputs}


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
        parts = list(pool.map(run, in_chunks(inputs, chunk)))
    return {name: np.concatenate([part[name] for part in parts]) for name in graph.outputs}
