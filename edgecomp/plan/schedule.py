"""The order of execution that needs least memory."""

import heapq
from collections.abc import Mapping

from edgecomp.ir import Graph, Node

MAX_STATES = 20_000
"""Sets of executed nodes that the search may visit before the model's own order is kept."""


def activation_aliases(graph: Graph) -> dict[str, str]:
    """Map each activation tensor to the tensor whose memory it is.

    Reshapes move nothing, and a state is made anew where it lies.
    """
    kept = {state.update: state.source for state in graph.states}
    return {name: kept.get(root, root) for name, root in reshape_roots(graph).items()}


def reshape_roots(graph: Graph) -> dict[str, str]:
    """Map each activation tensor to the one that it is a reshape of, or to itself."""
    roots = {name: name for name, tensor in graph.tensors.items() if not tensor.is_const}
    for node in graph.nodes:
        if node.op == "reshape":
            roots[node.output] = roots[node.inputs[0]]
    return roots


def _orders_of_states(graph: Graph) -> dict[str, frozenset[int]]:
    """For each layer that makes a state anew, by output, the others that read the old codes."""
    roots = reshape_roots(graph)
    return {
        state.update: frozenset(
            index
            for index, node in enumerate(graph.nodes)
            if node.output != state.update
            and state.source in {roots.get(name) for name in node.inputs}
        )
        for state in graph.states
    }


def live_bytes_of_order(graph: Graph, nodes: tuple[Node, ...], *, keep_input: bool) -> int:
    """Largest number of bytes alive at once when `nodes` run in this order, nothing in place."""
    search = _Search(graph, keep_input=keep_input)
    done: frozenset[int] = frozenset()
    peak = 0
    position = {node.output: index for index, node in enumerate(search.nodes)}
    for node in nodes:
        index = position[node.output]
        peak = max(peak, search.bytes_while(done, index))
        done |= {index}
    return peak


def order_nodes(graph: Graph, *, keep_input: bool = False) -> tuple[Node, ...]:
    """Return the nodes in the topological order with the least peak of live bytes.

    The search goes through the sets of executed nodes, always from the one with the lowest peak so
    far, so the first complete order is the best.  The model's own order is kept where none needs
    less, and where the graph is too wide for the search.
    """
    search = _Search(graph, keep_input=keep_input)
    own_peak = live_bytes_of_order(graph, graph.nodes, keep_input=keep_input)
    count = len(search.nodes)
    start: frozenset[int] = frozenset()
    queue: list[tuple[int, int, tuple[int, ...], frozenset[int]]] = [(0, 0, (), start)]
    best: dict[frozenset[int], int] = {start: 0}
    for _ in range(MAX_STATES):
        if not queue:
            break
        peak, _, order, done = heapq.heappop(queue)
        if len(order) == count:
            return tuple(search.nodes[index] for index in order)
        if peak > best[done]:
            continue
        for index in range(count):
            if index in done or not search.needs[index] <= done:
                continue
            after = done | {index}
            reached = max(peak, search.bytes_while(done, index))
            if reached < best.get(after, own_peak):
                best[after] = reached
                heapq.heappush(queue, (reached, -len(order) - 1, (*order, index), after))
    return search.nodes


class _Search:
    """Which nodes need which, and how many bytes live while a node runs."""

    def __init__(self, graph: Graph, *, keep_input: bool) -> None:
        self.nodes = graph.nodes
        self.graph = graph
        self.aliases = activation_aliases(graph)
        producer = {node.output: index for index, node in enumerate(graph.nodes)}
        before = _orders_of_states(graph)
        self.needs = [
            frozenset(producer[name] for name in node.inputs if name in producer)
            | before.get(node.output, frozenset())
            for node in graph.nodes
        ]
        roots = dict.fromkeys(self.aliases.values())
        self.readers: Mapping[str, set[int]] = {root: set() for root in roots}
        states = {state.source for state in graph.states}  # these lie outside of the arena
        self.roots = [root for root in roots if root not in states]
        self.writer: dict[str, int] = {}
        for index, node in enumerate(graph.nodes):
            for name in node.inputs:
                if name in self.aliases:
                    self.readers[self.aliases[name]].add(index)
            self.writer.setdefault(self.aliases[node.output], index)
        for name in graph.inputs:
            self.writer[self.aliases[name]] = -1
        self.forever = {self.aliases[name] for name in graph.outputs}
        if keep_input:
            self.forever |= {self.aliases[name] for name in graph.inputs}

    def bytes_while(self, done: frozenset[int], index: int) -> int:
        """Bytes alive while node `index` runs after the nodes of `done`."""
        total = 0
        for root in self.roots:
            writer = self.writer[root]
            if writer not in done | {index, -1}:
                continue
            if root in self.forever or writer == index or self.readers[root] - done:
                total += self.graph.tensors[root].size_bytes
        return total
