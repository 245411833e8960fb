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
    order_problem,
)
from edgecomp.errors import RecipeError
from edgecomp.frontend import read_model
from edgecomp.ir import Graph

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

Data = str | Path | Mapping[str, Any]
"""A file, `FILE.py:function`, or arrays `x` and `y`."""


@dataclass(frozen=True)
class Result:
    """What a recipe made.

    Attributes:
        graph: the network; `edgecomp build OUT/model.npz` builds it.
        report: as in `compression.json`.
    """

    graph: Graph
    report: Mapping[str, Any]


class Recipe:
    """Steps to take, and how to train."""

    def __init__(self, steps: Sequence[Step], **sections: Any) -> None:
        """Check the steps.

        Args:
            steps: in order.
            sections: `data`, `training` and `quantize`, as mappings of what a recipe file has.

        Raises:
            RecipeError: a step cannot follow those before it.
        """
        for count in range(1, len(steps) + 1):
            problem = order_problem(steps[:count])
            if problem:
                raise RecipeError(f"step {count}, {steps[count - 1].verb}: {problem}")
        self.recipe = config.Recipe(steps=tuple(steps), **sections)

    def run(
        self,
        model: str | Path | Graph,
        data: Data,
        *,
        test: Data | None = None,
        out: str | Path | None = None,
        say: Callable[[str], None] = lambda text: None,
    ) -> Result:
        """Take the steps.

        Args:
            model: anything that a command takes as MODEL, or a float graph.
            data: training samples.
            test: test samples, which training never sees.
            out: the folder to write, and to go on in after an interruption; none is kept unless
                given.
            say: told of progress.

        Raises:
            UserError: the model, the data or a step is wrong, or training diverged.
        """
        with tempfile.TemporaryDirectory(prefix="edgecomp-") as temporary:
            folder = Path(temporary)
            given = {"train": _file(data, folder / "train.npz")}
            if test is not None:
                given["test"] = _file(test, folder / "test.npz")
            sections = self.recipe.data.model_copy(update=given)
            recipe = self.recipe.model_copy(update={"data": sections})
            where = Path(out) if out is not None else folder / "out"
            source = model if isinstance(model, Graph) else str(model)
            report = compress(CompressRequest(source, where, recipe), say)
            return Result(read_model(where / MODEL_FILE), report)


def _file(data: Data, path: Path) -> str:
    """The name under which data are read; arrays are written to `path`."""
    if isinstance(data, Mapping):
        np.savez(path, allow_pickle=False, **data)
        return str(path)
    return str(data)
