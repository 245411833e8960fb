"""Cases of normalizations."""

import numpy as np

from edgecomp.ir import Shape
from edgecomp.ops.layer_norm import LayerNormParams
from tests.support.cases import Act, OpCase, Slopes


def norm(
    name: str,
    shape: Shape,
    channels: int,
    span: tuple[float, float] = (-1, 2),
    out: tuple[float, float] | None = (-4, 4),
    **params: float,
) -> OpCase:
    """Build a case with gains around 1 and offsets around 0."""
    rng = np.random.default_rng(len(name))
    gain = Slopes(tuple(rng.normal(1, 0.3, channels)))
    offset = Slopes(tuple(rng.normal(0, 0.5, channels)))
    made = LayerNormParams(**{"epsilon": 1e-5, **params})  # type: ignore[arg-type]
    return OpCase(name, "layer_norm", made, (Act(shape, *span), gain, offset), out)


CASES = (
    norm("tokens", (1, 6, 16), 16),
    norm("vector", (1, 33), 33),
    norm("pixels", (1, 3, 4, 7), 7),
    norm("two-elements", (1, 9, 2), 2),
    # float32 runtimes lose the mean of a constant row; epsilon keeps that from being enlarged.
    norm("long", (1, 2, 1000), 1000, epsilon=0.1),
    norm("instances", (1, 5, 24), 5, repeat=24),
    norm("groups", (1, 3, 40), 6, repeat=20),
    norm("groups-of-vectors", (1, 3, 4), 12, repeat=1),
    norm("instances-of-a-batch", (2, 5, 12), 5, repeat=12),
    norm("root-mean-square", (1, 6, 16), 16, centered=False),
    norm("root-mean-square-lowest", (1, 6, 16), 16, (0, 3), (0, 4), centered=False),
    norm("zero-points-highest", (1, 6, 16), 16, (-3, 0)),
    norm("zero-points-lowest", (1, 6, 16), 16, (0, 3)),
    norm("large-epsilon", (1, 6, 16), 16, epsilon=0.5),
    norm("small-epsilon", (1, 6, 16), 16, epsilon=1e-12),
    norm("tiny", (1, 6, 16), 16, (-1e-3, 2e-3)),
    norm("huge", (1, 6, 16), 16, (-1e5, 2e5)),
    norm("coarse-output", (1, 6, 16), 16, out=(-30, 30)),
    norm("fine-output", (1, 6, 16), 16, out=(-1, 1)),
)
