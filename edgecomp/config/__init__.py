"""The recipe file: what to do with the data, how to quantize, how to compress."""

from edgecomp.config.recipe import (
    DataSection,
    QuantizeSection,
    Recipe,
    TrainingSection,
    parse_recipe,
    read_recipe,
    recipe_schema,
    resolved,
    with_steps,
)
from edgecomp.config.steps import STEPS, Cluster, Prune, Step, Train

__all__ = [
    "STEPS",
    "Cluster",
    "DataSection",
    "Prune",
    "QuantizeSection",
    "Recipe",
    "Step",
    "Train",
    "TrainingSection",
    "parse_recipe",
    "read_recipe",
    "recipe_schema",
    "resolved",
    "with_steps",
]
