"""The steps of a recipe: one verb each, a scalar for the main knob, a mapping for the rest.

```yaml
steps:
  - train: 20
  - prune: {amount: 0.9, what: weights, epochs: 10}
  - cluster: 16
```
"""

from typing import Annotated, Any, ClassVar, Literal

import yaml
from pydantic import Field, ValidationError

from edgecomp.config.section import Section, explain, nearest
from edgecomp.errors import RecipeError

_Share = Annotated[float, Field(gt=0, lt=1)]
_Epochs = Annotated[int, Field(ge=0, le=10_000)]
_Rate = Annotated[float, Field(gt=0, le=1)]


class Step(Section):
    """A step; its verb names the technique.

    `layers` chooses layers by name, as shell globs.
    """

    verb: ClassVar[str]
    main: ClassVar[str]
    """The key that a scalar stands for."""

    layers: tuple[str, ...] = ("*",)
    epochs: _Epochs = 5
    learning_rate: _Rate = 1e-3

    @property
    def text(self) -> str:
        """The step for people: `prune: 0.5`."""
        return f"{self.verb}: {getattr(self, self.main)}"


class Train(Step):
    """Train all weights; weights that are 0 stay 0.

    Attributes:
        batch_norm: normalize the layers' outputs while training, for networks that are trained
            from the beginning; it is folded into the weights at the end.
    """

    verb: ClassVar[str] = "train"
    main: ClassVar[str] = "epochs"

    epochs: _Epochs = 20
    batch_norm: bool = False


class Prune(Step):
    """Remove a share of the weights or of the channels, and fine-tune.

    Attributes:
        amount: the share that goes.
        what: single weights, or whole channels (tensors become smaller).
        budget: `global`: the share is of all chosen layers together; `layer`: of each.
        schedule: `gradual` grows the share during the first part of the epochs; `one-shot` does
            not.  Channels always go at once.
        round_to: channels are left in multiples of this.
    """

    verb: ClassVar[str] = "prune"
    main: ClassVar[str] = "amount"

    amount: _Share
    what: Literal["weights", "channels"] = "channels"
    budget: Literal["global", "layer"] = "global"
    schedule: Literal["gradual", "one-shot"] = "gradual"
    round_to: Annotated[int, Field(ge=1, le=64)] = 4


class Cluster(Step):
    """Let the weights of each layer share a few values of its int8 grid, and fine-tune these."""

    verb: ClassVar[str] = "cluster"
    main: ClassVar[str] = "clusters"

    clusters: Annotated[int, Field(ge=2, le=255)]
    learning_rate: _Rate = 1e-4


STEPS: dict[str, type[Step]] = {step.verb: step for step in (Train, Prune, Cluster)}
"""Every step by verb."""


def parse_steps(node: Any, name: str) -> tuple[Step, ...]:
    """Read the list of steps from its YAML node; `name` stands for the file.

    Raises:
        RecipeError: a verb or key is unknown, a value is wrong, or the order is impossible.
    """
    if isinstance(node, yaml.ScalarNode) and not node.value:
        return ()
    if not isinstance(node, yaml.SequenceNode):
        raise RecipeError(f"{name}:{_line(node)}: steps: must be a list, as `- prune: 0.5`")
    steps: list[Step] = []
    for item in node.value:
        steps.append(_parse_step(item, name))
        if any(step.verb == "cluster" for step in steps[:-1]) and steps[-1].verb != "cluster":
            raise RecipeError(
                f"{name}:{_line(item)}: steps.{steps[-1].verb}: cannot follow cluster, whose "
                "shared values it would change; put it before"
            )
    return tuple(steps)


def _parse_step(node: Any, name: str) -> Step:
    where = f"{name}:{_line(node)}: steps"
    if not isinstance(node, yaml.MappingNode) or len(node.value) != 1:
        raise RecipeError(f"{where}: a step is one verb and its value, as `prune: 0.5`")
    key, value = node.value[0]
    if key.value not in STEPS:
        hint = nearest(str(key.value), list(STEPS)).replace("known keys", "known steps")
        raise RecipeError(f"{where}: unknown step {key.value!r}; {hint}")
    model = STEPS[key.value]
    given = _content(value)
    fields = given if isinstance(given, dict) else {} if given is None else {model.main: given}
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        raise RecipeError(
            explain(name, value, model, error.errors()[0], ("steps", key.value))
        ) from error


def _content(node: Any) -> Any:
    """The value of a YAML node."""
    return yaml.safe_load(yaml.serialize(node))


def _line(node: Any) -> int:
    return int(node.start_mark.line) + 1
