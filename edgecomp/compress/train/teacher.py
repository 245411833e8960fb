"""Learning from a teacher: its softened answers, and how alike it finds the samples.

Sources: G. Hinton et al., "Distilling the knowledge in a neural network" (2015); F. Tung, G. Mori,
"Similarity-preserving knowledge distillation" (2019), which compares features of any sizes.
"""

from typing import TYPE_CHECKING

from edgecomp.compress.train.graph_module import as_module
from edgecomp.compress.train.loop import Loss
from edgecomp.compress.train.scoring import logits_name
from edgecomp.config import TrainingStep
from edgecomp.errors import UserError
from edgecomp.ir import Graph, View
from edgecomp.ir.weights import LINEAR

if TYPE_CHECKING:
    from torch import Tensor, nn


def teacher_loss(student: Graph, teacher: Graph, step: TrainingStep, *, are_labels: bool) -> Loss:
    """The loss of a student that learns from `teacher` and from the data.

    For class numbers it is `weight * T^2 * KL(teacher || student)` of the answers softened by `T`,
    plus `(1 - weight)` times the cross entropy; for values the same of mean squared errors.

    Raises:
        UserError: the teacher takes other inputs or gives other outputs.
    """
    import torch

    check_teacher(student, teacher)
    answers = logits_name if are_labels else _first_output
    mine, theirs = answers(student), answers(teacher)
    wanted = _features(student), _features(teacher)
    guide = as_module(teacher).eval().requires_grad_(False)

    def loss(module: "nn.Module", inputs: "list[Tensor]", targets: "Tensor") -> "Tensor":
        with torch.no_grad():
            given = _as_teacher_sees(student, teacher, inputs)
            taught = guide(*given, names=(theirs, wanted[1]))
        made = module(*inputs, names=(mine, wanted[0]))
        count = len(targets)
        own, goal = made[mine].reshape(count, -1), taught[theirs].reshape(count, -1)
        value = _answers(own, goal, targets, step, are_labels)
        if step.features:
            value = value + step.features * _unlike(made[wanted[0]], taught[wanted[1]])
        return value

    return loss


def _answers(
    own: "Tensor", goal: "Tensor", targets: "Tensor", step: TrainingStep, are_labels: bool
) -> "Tensor":
    """The loss of the answers."""
    from torch.nn import functional

    if not are_labels:
        data = functional.mse_loss(own, targets.reshape(own.shape))
        return step.weight * functional.mse_loss(own, goal) + (1 - step.weight) * data
    heat = step.temperature
    soft = functional.kl_div(
        functional.log_softmax(own / heat, dim=1),
        functional.log_softmax(goal / heat, dim=1),
        reduction="batchmean",
        log_target=True,
    )
    hard = functional.cross_entropy(own, targets)
    total: Tensor = step.weight * heat * heat * soft + (1 - step.weight) * hard
    return total


def _unlike(mine: "Tensor", theirs: "Tensor") -> "Tensor":
    """Mean squared difference of the samples' similarities, as both networks see them."""
    from torch.nn import functional

    def similarities(x: "Tensor") -> "Tensor":
        flat = x.reshape(len(x), -1)
        return functional.normalize(flat @ flat.T, dim=1)

    return (similarities(mine) - similarities(theirs)).square().sum() / len(mine)


def _first_output(graph: Graph) -> str:
    return graph.outputs[0]


def _features(graph: Graph) -> str:
    """What the last layer with weights sees."""
    return [node for node in graph.nodes if node.op in LINEAR][-1].inputs[0]


def _view(graph: Graph, name: str) -> View:
    """How the model's own input lies over the device's."""
    shape = graph.tensors[name].shape
    return graph.views.get(name) or View(tuple(range(len(shape))), shape)


def _as_teacher_sees(student: Graph, teacher: Graph, inputs: "list[Tensor]") -> "list[Tensor]":
    """Bring the student's inputs to the layout of the teacher's."""
    given = []
    for x, mine, theirs in zip(inputs, student.inputs, teacher.inputs, strict=True):
        perm = _view(teacher, theirs).perm
        shape = teacher.tensors[theirs].shape
        model = x.permute(0, *(axis + 1 for axis in _view(student, mine).perm))
        back = sorted(range(len(perm)), key=lambda axis, perm=perm: perm[axis])  # type: ignore[misc]
        turned = model.reshape(-1, *(shape[axis] for axis in perm))
        given.append(turned.permute(0, *(axis + 1 for axis in back)))
    return given


def check_teacher(student: Graph, teacher: Graph) -> None:
    """Refuse a teacher of another task."""
    mine, theirs = (
        [tuple(n for n in _view(graph, name).shape if n > 1) for name in graph.inputs]
        for graph in (student, teacher)
    )
    if mine != theirs:
        raise UserError(
            f"the teacher {teacher.name} takes {theirs}, the student {student.name} {mine}"
        )
    made, taught = (graph.tensors[graph.outputs[0]].size for graph in (student, teacher))
    if made != taught:
        raise UserError(
            f"the teacher {teacher.name} gives {taught} values, the student {student.name} {made}"
        )
