"""The recipe file: what to do with the data, how to quantize, how to compress."""

from edgecomp.config.pruning import Lottery, Prune
from edgecomp.config.recipe import (
    DataSection,
    QuantizeSection,
    Recipe,
    TargetSection,
    TrainingSection,
    make_recipe,
    parse_recipe,
    read_recipe,
    recipe_file,
    with_steps,
)
from edgecomp.config.step import Step, TrainingStep
from edgecomp.config.steps import STEPS, order_problem
from edgecomp.config.verbs import Cluster, Distill, Factorize, Huffman, Quantize, Store, Train
from edgecomp.config.written import recipe_schema, resolved

__all__ = [
    "STEPS",
    "Cluster",
    "DataSection",
    "Distill",
    "Factorize",
    "Huffman",
    "Lottery",
    "Prune",
    "Quantize",
    "QuantizeSection",
    "Recipe",
    "Step",
    "Store",
    "TargetSection",
    "Train",
    "TrainingSection",
    "TrainingStep",
    "make_recipe",
    "order_problem",
    "parse_recipe",
    "read_recipe",
    "recipe_file",
    "recipe_schema",
    "resolved",
    "with_steps",
]
