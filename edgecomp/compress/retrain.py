"""The step `train`, and the fine-tuning that other steps end with."""

from edgecomp.compress.technique import Outcome, Workshop
from edgecomp.compress.train.graph_module import as_module, trained
from edgecomp.compress.train.sources import keeping_zeros
from edgecomp.config import TrainingStep
from edgecomp.ir import Graph


def train_step(graph: Graph, step: TrainingStep, workshop: Workshop) -> Outcome:
    """Train all weights; those that are 0 stay 0."""
    module = as_module(graph, keeping_zeros(graph), batch_norm=getattr(step, "batch_norm", False))
    result = workshop.train(graph, module, step)
    note = f"{result.epochs} epoch{'s' * (result.epochs != 1)}" + (
        ", none better than before" if result.kept else ""
    )
    return Outcome(trained(graph, module), result.score, result.diverged, note)
