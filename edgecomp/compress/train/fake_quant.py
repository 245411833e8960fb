"""Training through the integers of the device: weights, biases and activations on their grids.

A layer's sum of products on integer grids is what the device accumulates, and the rounding of its
output (half up, saturated) is the device's, so that a module made of these pieces gives the codes
of the device but for ties that float32 rounds the other way.  Step sizes are learned.  Sources: S.
Esser et al., "Learned step size quantization" (2020); B. Jacob et al. (2018) for the arithmetic.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from edgecomp.compress.train.graph_module import import_torch
from edgecomp.ir import Array, QParams

if TYPE_CHECKING:
    from torch import Tensor


def fake_activation(qparams: QParams, *, learned: bool) -> Any:
    """Make a module that rounds activations to int8 codes.

    Args:
        qparams: of the tensor, per tensor; its zero point stays.
        learned: whether the scale is trained.
    """
    torch = import_torch()

    class FakeActivation(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            # Steps are learned as factors, so that one learning rate suits all.
            self.factor = torch.nn.Parameter(torch.zeros(()), requires_grad=learned)
            self.first, self.zero_point = qparams.scalar, qparams.zero_point

        @property
        def scale(self) -> "Tensor":
            scale: Tensor = self.first * torch.exp(self.factor)
            return scale

        def forward(self, x: "Tensor") -> "Tensor":
            codes = _straight(x / self.scale, torch.floor(x / self.scale + 0.5))
            low, high = -128 - self.zero_point, 127 - self.zero_point
            rounded: Tensor = codes.clamp(low, high) * self.scale
            return rounded

    return FakeActivation()


def fake_weights(value: Array, mask: Array, scales: Array, most: int) -> Any:
    """Make a module that yields weights on the grid of each output channel.

    Args:
        value: the weights, output channels first.
        mask: False where a weight stays 0.
        scales: of each channel.
        most: largest code, 127 or 7; the smallest is its negative.
    """
    torch = import_torch()
    shape = (-1, *(1,) * (value.ndim - 1))

    class FakeWeights(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.tensor(value, dtype=torch.float32))
            self.factor = torch.nn.Parameter(torch.zeros(len(scales)))
            self.register_buffer("mask", torch.tensor(mask, dtype=torch.float32))
            self.register_buffer("first", torch.tensor(scales, dtype=torch.float32))

        @property
        def scale(self) -> "Tensor":
            scale: Tensor = self.first * torch.exp(self.factor)
            return scale

        @property
        def codes(self) -> "Tensor":
            ratio = self.weight * self.mask / self.scale.reshape(shape)
            return _straight(ratio, ratio.round()).clamp(-most, most)

        def forward(self) -> "Tensor":
            product: Tensor = self.codes * self.scale.reshape(shape)
            return product

    return FakeWeights()


def fake_bias(value: Array, weights: Any, x: Any) -> Any:
    """Make a module that yields a bias on the grid of its layer's accumulator.

    Args:
        value: the bias.
        weights: the layer's `fake_weights`.
        x: the `fake_activation` of its input.
    """
    torch = import_torch()

    class FakeBias(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.bias = torch.nn.Parameter(torch.tensor(value, dtype=torch.float32))
            self.of = (weights, x)  # in a tuple, so that they are not counted as parts of this

        def forward(self) -> "Tensor":
            scale = (self.of[0].scale * self.of[1].scale).detach()
            rounded: Tensor = _straight(self.bias / scale, (self.bias / scale).round()) * scale
            return rounded

    return FakeBias()


def learned_qparams(module: Any) -> QParams:
    """What the step sizes of a `fake_activation` or `fake_weights` have become."""
    scale = module.scale.detach().numpy().astype(np.float32)
    if scale.ndim:
        return QParams.per_channel(scale, 0)
    return QParams.per_tensor(float(scale), module.zero_point)


def _straight(smooth: "Tensor", rounded: "Tensor") -> "Tensor":
    """Rounded values, through which gradients pass as if they were not."""
    return smooth + (rounded - smooth).detach()
