"""The training loop: seeded, stopped early on a validation split, safe against divergence."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from edgecomp.compress.train.augment import NONE, Augmentation
from edgecomp.compress.train.examples import Examples, Split
from edgecomp.compress.train.graph_module import import_torch
from edgecomp.compress.train.scoring import Score, evaluate, loss_of
from edgecomp.ir import Graph

if TYPE_CHECKING:
    from torch import Tensor, nn

Loss = Callable[["nn.Module", "list[Tensor]", "Tensor"], "Tensor"]
"""A loss of a module, a batch of its inputs, and their targets."""


@dataclass(frozen=True)
class FitOptions:
    """How to train.

    Attributes:
        epochs: at most so many passes over the training samples.
        learning_rate: of Adam at the start; it falls to 0 along half a cosine.
        batch: samples per step.
        weight_decay: of Adam.
        patience: epochs without a better validation score after which training stops.
        seed: of the order of samples.
        augmentation: how samples are varied.
    """

    epochs: int = 10
    learning_rate: float = 1e-3
    batch: int = 64
    weight_decay: float = 0.0
    patience: int = 10
    seed: int = 0
    augmentation: Augmentation = NONE


@dataclass(frozen=True)
class FitResult:
    """What training came to; the module holds the best weights that it had.

    Attributes:
        score: of these weights, on the validation samples.
        epochs: number of epochs that ran.
        diverged: where the loss stopped being a number, or empty.
        kept: whether epochs ran, and none was better than the weights from before, which stay.
    """

    score: Score
    epochs: int
    diverged: str = ""
    kept: bool = False


class Hook(Protocol):
    """Changes the module while it trains: a sparsity that grows, say."""

    def step(self, progress: float) -> None:
        """Called before each optimizer step with the share of steps done, 0 to 1."""

    @property
    def settled(self) -> bool:
        """Whether weights from here on are what was asked for, so that they may be kept."""

    def state(self) -> dict[str, Any]:
        """What it needs, beside the module, to go on after an interruption: plain values."""

    def restore(self, state: dict[str, Any]) -> None:
        """Go on where `state` was asked for."""


class NoHook:
    """Changes nothing."""

    settled = True

    def step(self, progress: float) -> None:
        """Do nothing."""

    def state(self) -> dict[str, Any]:
        """Nothing."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Do nothing."""


@dataclass
class _Progress:
    """What an interrupted training needs to go on."""

    epoch: int = 0
    best: Score | None = None
    best_epoch: int = 0
    best_state: dict[str, Any] = field(default_factory=dict)


def fit(
    graph: Graph,
    module: "nn.Module",
    split: Split,
    options: FitOptions,
    *,
    hook: Hook | None = None,
    loss: Loss | None = None,
    checkpoint: Path | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> FitResult:
    """Train a module that `as_module` made of `graph`; it ends with its best weights.

    The best are those with the highest validation accuracy (then the lowest loss) among the
    settled epochs; the weights from before the first epoch count as well, where the hook had
    settled by then.  A loss that is not finite ends training with the best weights so far.

    Args:
        graph: names inputs and outputs.
        module: is changed in place.
        split: training and validation samples.
        options: how to train.
        hook: called before each step.
        loss: what is made small; that of the targets (`loss_of`) unless given.
        checkpoint: a file that is written after each epoch; where it exists, training goes on
            from it.  It is removed at the end.
        say: told of each epoch.
    """
    torch = import_torch()
    hook = hook or NoHook()
    optimizer = torch.optim.Adam(
        module.parameters(), lr=options.learning_rate, weight_decay=options.weight_decay
    )
    progress = _Progress(best_state=_copy(module))
    if hook.settled:
        progress.best = evaluate(graph, module, split.validation)
    if checkpoint is not None and checkpoint.exists():
        progress = _resume(torch, checkpoint, module, optimizer, hook)
        say(f"going on after epoch {progress.epoch}")
    epoch_of = _Epochs(graph, module, split.train, options, optimizer, hook, loss)
    diverged = ""
    while progress.epoch < options.epochs and not diverged:
        if progress.best and progress.epoch - progress.best_epoch >= options.patience:
            break
        diverged = epoch_of.run(progress.epoch)
        if diverged:
            break
        progress.epoch += 1
        hook.step(progress.epoch / options.epochs)
        score = evaluate(graph, module, split.validation)
        if not math.isfinite(score.loss):
            diverged = f"epoch {progress.epoch}: the validation loss is {score.loss:g}"
        elif hook.settled and (progress.best is None or score.rank > progress.best.rank):
            progress.best, progress.best_epoch = score, progress.epoch
            progress.best_state = _copy(module)
        if checkpoint is not None and not diverged:
            _save(torch, checkpoint, module, optimizer, hook, progress)
        # Told when it is kept: an interruption from here on loses nothing of it.
        say(f"epoch {progress.epoch} of {options.epochs}: validation {score}")
    kept = bool(progress.epoch and progress.best and not progress.best_epoch)
    if kept:
        say("no epoch was better than before: the weights stay as they were")
    module.load_state_dict(progress.best_state)
    if checkpoint is not None:
        checkpoint.unlink(missing_ok=True)
    score = progress.best or evaluate(graph, module, split.validation)
    return FitResult(score, progress.epoch, diverged, kept)


class _Epochs:
    """Passes over the training samples."""

    def __init__(
        self,
        graph: Graph,
        module: "nn.Module",
        examples: Examples,
        options: FitOptions,
        optimizer: Any,
        hook: Hook,
        loss: Loss | None,
    ) -> None:
        torch = import_torch()
        self.module, self.options, self.optimizer, self.hook = module, options, optimizer, hook
        self.inputs = [torch.tensor(examples.inputs[name]) for name in graph.inputs]
        self.targets = torch.tensor(examples.targets)
        self.loss: Loss = loss or (
            lambda made, x, y: loss_of(graph, made, x, y, examples.are_labels)
        )
        self.steps = math.ceil(len(self.targets) / options.batch)

    def run(self, epoch: int) -> str:
        """Train for one epoch; return where the loss stopped being a number, or nothing."""
        torch, options = import_torch(), self.options
        # Seeded by epoch, so that a resumed training sees the samples in the same order.
        generator = torch.Generator().manual_seed(options.seed * 100_003 + epoch)
        self.module.train()
        order = torch.randperm(len(self.targets), generator=generator).split(options.batch)
        for index, batch in enumerate(order):
            done = (epoch * self.steps + index) / max(1, self.steps * options.epochs)
            for group in self.optimizer.param_groups:
                group["lr"] = options.learning_rate * 0.5 * (1 + math.cos(math.pi * done))
            self.hook.step(done)
            self.optimizer.zero_grad()
            chosen = [options.augmentation.apply(x[batch], generator) for x in self.inputs]
            value = self.loss(self.module, chosen, self.targets[batch])
            if not torch.isfinite(value):
                return f"epoch {epoch + 1}, step {index + 1}: the loss is {value:g}"
            value.backward()  # type: ignore[no-untyped-call]
            self.optimizer.step()
        return ""


def _copy(module: "nn.Module") -> dict[str, Any]:
    return {name: value.clone() for name, value in module.state_dict().items()}


def _save(
    torch: Any, path: Path, module: "nn.Module", optimizer: Any, hook: Hook, progress: _Progress
) -> None:
    best = progress.best
    content = {
        "module": module.state_dict(),
        "optimizer": optimizer.state_dict(),
        "hook": hook.state(),
        "epoch": progress.epoch,
        "best": None if best is None else (best.accuracy, best.loss),
        "best_epoch": progress.best_epoch,
        "best_state": progress.best_state,
    }
    temporary = path.with_name(f"{path.name}.part")
    torch.save(content, temporary)
    temporary.replace(path)


def _resume(torch: Any, path: Path, module: "nn.Module", optimizer: Any, hook: Hook) -> _Progress:
    content = torch.load(path, weights_only=True)
    module.load_state_dict(content["module"])
    optimizer.load_state_dict(content["optimizer"])
    hook.restore(content["hook"])
    best = None if content["best"] is None else Score(*content["best"])
    return _Progress(content["epoch"], best, content["best_epoch"], content["best_state"])
