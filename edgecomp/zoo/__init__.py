"""Compact networks as torch modules, untrained: `zoo:lenet-5`, `zoo:lenet-5?width=0.5`."""

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from edgecomp.errors import UserError
from edgecomp.zoo import lenet

PREFIX = "zoo:"


@dataclass(frozen=True)
class ZooNetwork:
    """A network with parameters.

    Attributes:
        build: makes the module of torch, input shape (C, H, W), classes and width.
        shape: the input's shape unless given.
        classes: the number of classes unless given.
        smallest: the least height and width that the network can take.
    """

    build: Callable[[Any, tuple[int, ...], int, float], Any]
    shape: tuple[int, ...]
    classes: int
    smallest: int = 1


ZOO: dict[str, ZooNetwork] = {
    "lenet-300-100": ZooNetwork(lenet.lenet_300_100, (1, 28, 28), 10),
    "lenet-5": ZooNetwork(lenet.lenet_5, (1, 28, 28), 10, smallest=16),
}
"""Every network by name."""

PARAMETERS = ("input", "classes", "width", "seed")


def zoo_module(source: str) -> tuple[Any, Any, str]:
    """Build the network that `zoo:NAME?input=1,28,28&classes=10&width=1&seed=0` names.

    Returns:
        The untrained module (its weights drawn by `seed`), an example input, and the name.

    Raises:
        UserError: there is no such network or parameter, a value is wrong, or torch is missing.
    """
    name, _, query = source.removeprefix(PREFIX).partition("?")
    if name not in ZOO:
        raise UserError(f"{source}: no network {name!r} in the zoo{_hint(name, tuple(ZOO))}")
    entry = ZOO[name]
    given = dict(parse_qsl(query, keep_blank_values=True))
    for key in given:
        if key not in PARAMETERS:
            raise UserError(f"{source}: no parameter {key!r}{_hint(key, PARAMETERS)}")
    try:
        shape = (
            tuple(int(n) for n in given["input"].split(",")) if "input" in given else entry.shape
        )
        classes = int(given.get("classes", entry.classes))
        width = float(given.get("width", 1))
        seed = int(given.get("seed", 0))
    except ValueError as error:
        raise UserError(f"{source}: {error}; write input=1,28,28&classes=10&width=0.5") from error
    if len(shape) != len(entry.shape) or min(shape) < 1 or min(shape[1:]) < entry.smallest:
        raise UserError(
            f"{source}: input needs {len(entry.shape)} sizes, channels first, height and width "
            f"from {entry.smallest}"
        )
    if not (classes >= 1 and 0.05 <= width <= 16):
        raise UserError(f"{source}: classes must be at least 1 and width between 0.05 and 16")
    torch = _torch()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = entry.build(torch, shape, classes, width)
    return module.eval(), torch.zeros(1, *shape), name


def _hint(name: str, known: tuple[str, ...]) -> str:
    near = difflib.get_close_matches(name, known, 1)
    return f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(known)}"


def _torch() -> Any:
    try:
        import torch
    except ImportError as error:
        raise UserError(
            "the zoo needs PyTorch, which is not installed: pip install 'edgecomp[torch]'"
        ) from error
    return torch
