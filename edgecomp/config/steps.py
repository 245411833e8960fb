"""The steps of a recipe: one verb each, a scalar for the main knob, a mapping for the rest.

```yaml
steps:
  - train: 20
  - prune: {amount: 0.9, what: weights, epochs: 10}
  - cluster: 16
```
"""

from collections.abc import Sequence
from typing import Any

import yaml
from pydantic import ValidationError

from edgecomp.config.pruning import Lottery, Prune
from edgecomp.config.section import explain, nearest
from edgecomp.config.step import Step
from edgecomp.config.verbs import Cluster, Distill, Factorize, Huffman, Quantize, Store, Train
from edgecomp.errors import RecipeError

STEPS: dict[str, type[Step]] = {
    step.verb: step
    for step in (
        Train,
        Distill,
        Prune,
        Lottery,
        Factorize,
        Quantize,
        Cluster,
        Huffman,
        Store,
    )
}
"""Every step by verb."""


def stands_alone(verb: str) -> bool:
    """Whether a step needs no value: `huffman` does not, `prune` has to be told how much."""
    try:
        STEPS[verb]()
    except RecipeError:
        return False
    return True


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
        problem = order_problem(steps)
        if problem:
            raise RecipeError(f"{name}:{_line(item)}: steps.{steps[-1].verb}: {problem}")
    return tuple(steps)


def order_problem(steps: Sequence[Step]) -> str:
    """Say why the last of `steps` cannot stand there; empty if it can."""
    *before, last = steps
    if last.keeps_weights:
        return ""
    fixed = [step for step in before if step.verb in {"cluster", "quantize"}]
    if not fixed or (last.verb == "cluster"):
        return ""
    verb = fixed[-1].verb
    if verb == "quantize" and last.verb == "quantize":
        return ""
    what = "shared values" if verb == "cluster" else "grids of integers"
    return f"cannot follow {verb}, whose {what} it would change; put it before"


def _parse_step(node: Any, name: str) -> Step:
    where = f"{name}:{_line(node)}: steps"
    if isinstance(node, yaml.ScalarNode):
        key, value = node, yaml.ScalarNode("tag:yaml.org,2002:null", "", node.start_mark)
    elif isinstance(node, yaml.MappingNode) and len(node.value) == 1:
        key, value = node.value[0]
    else:
        raise RecipeError(f"{where}: a step is one verb and its value, as `prune: 0.5`")
    if key.value not in STEPS:
        hint = nearest(str(key.value), list(STEPS)).replace("known keys", "known steps")
        raise RecipeError(f"{where}: unknown step {key.value!r}; {hint}")
    model = STEPS[key.value]
    given = _content(value)
    fields = given if isinstance(given, dict) else {} if given is None else {model.main: given}
    try:
        return model(**{str(key): field for key, field in fields.items()})
    except RecipeError as error:
        cause = error.__cause__
        if not isinstance(cause, ValidationError):
            raise
        problem = cause.errors()[0]
        raise RecipeError(explain(name, value, model, problem, ("steps", key.value))) from cause


def _content(node: Any) -> Any:
    """The value of a YAML node."""
    return yaml.constructor.SafeConstructor().construct_document(node)


def _line(node: Any) -> int:
    return int(node.start_mark.line) + 1
