"""A recipe as a file can hold it, and the JSON schema of such files."""

from typing import Any

from edgecomp.config.recipe import Recipe
from edgecomp.config.steps import STEPS, stands_alone


def resolved(recipe: Recipe) -> dict[str, Any]:
    """Everything that a recipe says, defaults included, as YAML or JSON can hold it."""
    content = recipe.model_dump(mode="json")
    content["data"] |= {"train": recipe.data.train, "test": recipe.data.test}
    content["steps"] = [
        {step.verb: step.model_dump(mode="json", by_alias=True)} for step in recipe.steps
    ]
    return content


def recipe_schema() -> dict[str, Any]:
    """The JSON schema of a recipe file."""
    schema = Recipe.model_json_schema()
    schema["properties"]["extends"] = {"type": "string"}
    choices: list[dict[str, Any]] = []
    alone: list[str] = []
    for verb, model in STEPS.items():
        own = model.model_json_schema()
        values = [own["properties"][model.main], own]
        if stands_alone(verb):
            values.append({"type": "null"})
            alone.append(verb)
        value = {"anyOf": values}
        choices.append(
            {
                "type": "object",
                "properties": {verb: value},
                "required": [verb],
                "additionalProperties": False,
            }
        )
    choices.append({"enum": alone})
    schema["properties"]["steps"] = {"type": "array", "items": {"anyOf": choices}}
    return schema
