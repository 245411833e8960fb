"""How good a network is: its loss while it trains, its score when it is judged."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgecomp.compress.train.examples import Examples
from edgecomp.compress.train.graph_module import import_torch
from edgecomp.ir import Graph

if TYPE_CHECKING:
    from torch import Tensor, nn

EVALUATION_BATCH = 256


@dataclass(frozen=True)
class Score:
    """How good a network is: accuracy where targets are class numbers, and the mean loss."""

    accuracy: float | None
    loss: float

    @property
    def rank(self) -> tuple[float, float]:
        """Sorts scores, the best last."""
        return (self.accuracy or 0.0, -self.loss)

    def __str__(self) -> str:
        """The score for people."""
        loss = f"loss {self.loss:.4f}"
        return loss if self.accuracy is None else f"{100 * self.accuracy:.2f} %, {loss}"


def logits_name(graph: Graph) -> str:
    """The tensor that the loss is computed on: the first output, before a final softmax."""
    last = graph.producers().get(graph.outputs[0])
    return last.inputs[0] if last is not None and last.op == "softmax" else graph.outputs[0]


def loss_of(
    graph: Graph,
    module: "nn.Module",
    inputs: "list[Tensor]",
    targets: "Tensor",
    are_labels: bool,
) -> "Tensor":
    """Cross entropy of class numbers, or the mean squared error of values."""
    from torch.nn import functional

    if are_labels:
        name = logits_name(graph)
        logits = module(*inputs, names=(name,))[name]
        return functional.cross_entropy(logits.reshape(len(targets), -1), targets)
    output = graph.outputs[0]
    return functional.mse_loss(module(*inputs, names=(output,))[output], targets)


def evaluate(graph: Graph, module: "nn.Module", examples: Examples) -> Score:
    """Score a module on all of `examples`."""
    torch = import_torch()
    module.eval()
    total, right = 0.0, 0
    name = logits_name(graph) if examples.are_labels else graph.outputs[0]
    with torch.no_grad():
        for start in range(0, len(examples), EVALUATION_BATCH):
            part = slice(start, start + EVALUATION_BATCH)
            inputs = [torch.tensor(examples.inputs[n][part]) for n in graph.inputs]
            targets = torch.tensor(examples.targets[part])
            output = module(*inputs, names=(name,))[name]
            functional = torch.nn.functional
            if examples.are_labels:
                logits = output.reshape(len(targets), -1)
                total += float(functional.cross_entropy(logits, targets, reduction="sum"))
                right += int((logits.argmax(dim=1) == targets).sum())
            else:
                total += float(functional.mse_loss(output, targets)) * len(targets)
    accuracy = right / len(examples) if examples.are_labels else None
    return Score(accuracy, total / len(examples))
