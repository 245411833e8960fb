"""Recipes in Python: the same steps, checks, account and files as `edgecomp compress`.

```python
from edgecomp.recipes import Cluster, Huffman, Prune, Quantize, Recipe, Train

recipe = Recipe([Train(20), Prune(0.5), Quantize("int8")], data={"scale": 1 / 255})
result = recipe.run("zoo:lenet-5", "train.npz", test="test.npz", out="small")
print(result.report["test"]["int8_accuracy"])
```
"""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgecomp import config
from edgecomp.compressing import MODEL_FILE, CompressRequest, compress
from edgecomp.config import (
    Cluster,
    Distill,
    Factorize,
    Huffman,
    Lottery,
    Prune,
    Quantize,
    Step,
    Store,
    Train,
    make_recipe,
    read_recipe,
)
from edgecomp.draft import measure_for
from edgecomp.errors import UserError
from edgecomp.frontend import InputShapes, read_model
from edgecomp.frontend.torch_reader import read_any_module
from edgecomp.ir import Graph
from edgecomp.samples import sample_shape
from edgecomp.step_targets import missed

__all__ = [
    "Cluster",
    "Distill",
    "Factorize",
    "Huffman",
    "Lottery",
    "Prune",
    "Quantize",
    "Recipe",
    "Result",
    "Store",
    "Train",
]

Data = str | Path | Mapping[str, Any] | Sequence[Any] | npt.NDArray[Any]
"""A file, `FILE.py:function`, arrays `x` and `y` by these names, a pair of them, or `x` alone."""


@dataclass(frozen=True)
class Result:
    """What a recipe made.

    Attributes:
        graph: the network; `edgecomp build OUT/model.npz` builds it.
        report: as in `compression.json`.
    """

    graph: Graph
    report: Mapping[str, Any]

    @property
    def missed(self) -> str:
        """What of the recipe's target the result misses, for people; empty if nothing."""
        return missed(self.report)


class Recipe:
    """Steps to take, and how to train."""

    def __init__(
        self, steps: Sequence[Step] = (), *, extends: str | None = None, **sections: Any
    ) -> None:
        """Check the steps.

        Args:
            steps: in order; none for those of the recipe that is extended.
            extends: the name of a recipe of the package; what is given here wins over it.
            sections: `data`, `training`, `quantize` and `target`, as mappings of what a recipe
                file has.

        Raises:
            RecipeError: a step cannot follow those before it, or a section is wrong.
        """
        self.recipe = make_recipe(steps, extends, sections)

    @classmethod
    def read(cls, path: str | Path) -> "Recipe":
        """Read a recipe file, or a recipe of the package by its name.

        Raises:
            RecipeError: it cannot be read, or is wrong; the message has line and key.
        """
        made = cls()
        made.recipe = read_recipe(path)
        return made

    def run(
        self,
        model: Any = None,
        data: Data | None = None,
        *,
        test: Data | None = None,
        out: str | Path | None = None,
        input_shape: Sequence[int] | None = None,
        say: Callable[[str], None] = lambda text: None,
    ) -> Result:
        """Take the steps.

        Args:
            model: anything that a command takes as MODEL, a float graph, or a torch module, which
                keeps its weights; the recipe's unless given.
            data: training samples, the recipe's unless given.
            test: test samples, which training never sees; the recipe's unless given.
            out: the folder to write, and to go on in after an interruption; none is kept unless
                given.
            input_shape: of the model's input, where it does not tell; that of the samples unless
                given.
            say: told of progress.

        Returns:
            The network and its account; `missed` tells whether it keeps to the recipe's target.

        Raises:
            UserError: the model, the data or a step is wrong, or training diverged.
        """
        with tempfile.TemporaryDirectory(prefix="edgecomp-") as temporary:
            folder = Path(temporary)
            given = {
                name: _file(name, samples, folder / f"{name}.npz")
                for name, samples in (("train", data), ("test", test))
                if samples is not None
            }
            unnamed = {given[name]: name for name in given if Path(given[name]).parent == folder}
            sections = self.recipe.data.model_copy(update=given)
            recipe = self.recipe.model_copy(update={"data": sections})
            where = Path(out) if out is not None else folder / "out"
            shapes = None if input_shape is None else {"": tuple(input_shape)}
            source = _source(recipe.model if model is None else model, sections, shapes)
            if isinstance(source, Graph):
                shapes = None
            try:
                report = compress(
                    CompressRequest(source, where, recipe, shapes, unnamed=tuple(unnamed)),
                    say,
                    measure_for(recipe.target.board, recipe),
                )
            except UserError as error:
                message = str(error)
                for file, name in unnamed.items():
                    message = message.replace(file, f"the {name} set")
                if message == str(error):
                    raise
                raise UserError(message) from error
            return Result(read_model(where / MODEL_FILE), report)


def _source(model: Any, data: config.DataSection, shapes: InputShapes | None) -> str | Graph:
    """A model as `compress` takes it; a torch module is read here."""
    if model is None:
        raise UserError("give a model, or a recipe with model: ...")
    if isinstance(model, Graph):
        return model
    if isinstance(model, (str, Path)):
        return str(model)
    if not hasattr(model, "named_parameters"):
        raise UserError(
            f"a model is a file, FILE.py:function, zoo:NAME, a torch module or a graph, not "
            f"{type(model).__name__}"
        )
    samples = data.train or data.test
    if shapes is None and samples is not None:
        shape = sample_shape(samples, data.layout)
        shapes = None if shape is None else {"": shape}
    if shapes is None:
        raise UserError(
            f"the shape of {type(model).__name__}'s input is not known: give it, for example "
            "input_shape=(3, 32, 32)"
        )
    return read_any_module(model, shapes)


def _file(name: str, data: Data, path: Path) -> str:
    """The name under which data are read; arrays are written to `path`."""
    if isinstance(data, (str, Path)):
        return str(data)
    arrays: Mapping[str, Any]
    if isinstance(data, Mapping):
        arrays = data
    elif isinstance(data, (tuple, list)) and len(data) == len("xy"):
        arrays = dict(zip("xy", data, strict=True))
    elif hasattr(data, "shape"):
        arrays = {"x": data}
    else:
        raise UserError(
            f"{name}: samples are a file, an array, (x, y), or arrays by name, not "
            f"{type(data).__name__}" + (f" of {len(data)}" if hasattr(data, "__len__") else "")
        )
    try:
        np.savez(path, allow_pickle=False, **arrays)
    except ValueError as error:
        raise UserError(f"{name}: {error}") from error
    return str(path)
