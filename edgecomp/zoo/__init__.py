"""Compact networks as torch modules, untrained: `zoo:lenet-5`, `zoo:lenet-5?width=0.5`."""

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from edgecomp.errors import UserError
from edgecomp.zoo import (
    autoencoder,
    bc_resnet,
    cnn_1d,
    ds_cnn,
    efficientnet_lite,
    lenet,
    mobilenet_v1,
    mobilenet_v2,
    mobilenet_v3,
    resnet8,
    squeezenet,
)
from edgecomp.zoo.design import Design

PREFIX = "zoo:"


@dataclass(frozen=True)
class ZooNetwork:
    """A network with parameters.

    Attributes:
        build: makes the module of torch and a design.
        shape: the input's shape unless given, channels first.
        classes: the number of classes unless given; 0 for a network that has none.
        smallest: the least height and width that the network can take.
        more: parameters that it has beside input, classes, width and seed.
    """

    build: Callable[[Any, Design], Any]
    shape: tuple[int, ...]
    classes: int
    smallest: int = 1
    more: tuple[str, ...] = ("depth",)

    @property
    def parameters(self) -> tuple[str, ...]:
        """Everything that may be given."""
        return ("input", *(("classes",) if self.classes else ()), "width", *self.more, "seed")


_PICTURE = (3, 96, 96)

ZOO: dict[str, ZooNetwork] = {
    "lenet-300-100": ZooNetwork(lenet.lenet_300_100, (1, 28, 28), 10, more=()),
    "lenet-5": ZooNetwork(lenet.lenet_5, (1, 28, 28), 10, smallest=16, more=()),
    "ds-cnn": ZooNetwork(ds_cnn.ds_cnn, (1, 49, 10), 12),
    "resnet8": ZooNetwork(resnet8.resnet8, (3, 32, 32), 10),
    "autoencoder": ZooNetwork(autoencoder.autoencoder, (640,), 0),
    "mobilenet-v1": ZooNetwork(mobilenet_v1.mobilenet_v1, _PICTURE, 2),
    "mobilenet-v2": ZooNetwork(mobilenet_v2.mobilenet_v2, _PICTURE, 2),
    "mobilenet-v3-small": ZooNetwork(mobilenet_v3.mobilenet_v3_small, _PICTURE, 2, more=()),
    "squeezenet": ZooNetwork(squeezenet.squeezenet, _PICTURE, 2, more=()),
    "efficientnet-lite": ZooNetwork(
        efficientnet_lite.efficientnet_lite, _PICTURE, 2, more=("depth", "se")
    ),
    "bc-resnet": ZooNetwork(bc_resnet.bc_resnet, (1, 40, 98), 12, smallest=8),
    "cnn-1d": ZooNetwork(cnn_1d.cnn_1d, (6, 128), 6, smallest=8),
}
"""Every network by name."""


def zoo_module(source: str) -> tuple[Any, Any, str]:
    """Build the network that `zoo:NAME?input=1,28,28&classes=10&width=1&depth=1&seed=0` names.

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
        if key not in entry.parameters:
            raise UserError(f"{source}: no parameter {key!r}{_hint(key, entry.parameters)}")
    design = _design(source, entry, given)
    torch = _torch()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(given.get("seed", 0)))
        module = entry.build(torch, design)
    return module.eval(), torch.zeros(1, *design.shape), name


def _sizes(text: str) -> tuple[int, ...]:
    """Read `3,32,32`, or `3x32x32`."""
    return tuple(int(n) for n in text.replace("x", ",").split(","))


def _design(source: str, entry: ZooNetwork, given: dict[str, str]) -> Design:
    """Read the parameters' values."""

    def number(key: str, kind: Callable[[str], Any], default: Any) -> Any:
        try:
            return kind(given[key]) if key in given else default
        except ValueError as error:
            raise UserError(
                f"{source}: {key} cannot be {given[key]!r}; write "
                "input=1,28,28&classes=10&width=0.5"
            ) from error

    shape = number("input", _sizes, entry.shape)
    design = Design(
        shape,
        number("classes", int, entry.classes),
        number("width", float, 1.0),
        number("depth", float, 1.0),
        bool(number("se", int, 0)),
    )
    number("seed", int, 0)
    if (
        len(shape) != len(entry.shape)
        or min(shape) < 1
        or min(shape[1:], default=1) < entry.smallest
    ):
        names = (
            ("height and width" if len(entry.shape) == 3 else "length") if shape[1:] else "sizes"
        )
        raise UserError(
            f"{source}: input needs {len(entry.shape)} sizes, channels first, {names} "
            f"from {entry.smallest}"
        )
    if entry.classes and design.classes < 1:
        raise UserError(f"{source}: classes must be at least 1")
    if not (0.05 <= design.width <= 16 and 0.05 <= design.depth <= 16):
        raise UserError(f"{source}: width and depth must be between 0.05 and 16")
    return design


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
