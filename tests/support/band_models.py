"""Random networks of which some layers are computed by bands of rows, by kernels drawn at random.

The planner takes only what pays; here every kernel comes to compute bands, whatever it costs.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from edgecomp.kernels import Kernel, Layer
from edgecomp.ops.add import AddParams
from edgecomp.ops.conv2d import Conv2dParams
from edgecomp.ops.expression import X, call
from edgecomp.ops.pool import MaxPoolParams
from edgecomp.ops.unary import UnaryParams
from edgecomp.plan.bands import Bands
from edgecomp.plan.buffers import Blocks, layer_stage, numbered
from edgecomp.plan.costs import CostTable
from edgecomp.plan.fuse import fused
from edgecomp.plan.planner import plan_graph
from edgecomp.plan.rows import RowProgram
from edgecomp.plan.select import applicable
from edgecomp.plan.types import Plan
from edgecomp.plan.verify import verify_plan
from edgecomp.plan.ways import row_stage
from edgecomp.targets.cores import Core
from tests.support.bundle import Model
from tests.support.cases import random_codes
from tests.support.random_chains import SAMPLES, Chain

SAME = Conv2dParams(3, 3, 1, 1, 1, 1, 1, 1, 1, 1)


@dataclass(frozen=True)
class BandModel(Model):
    """A model whose plan has a stage that is computed by bands.

    Attributes:
        seed: decides which layers, how many rows and which kernels.
    """

    seed: int = 0

    def plan(self, core: Core) -> Plan:
        """A verified plan; that of the planner where nothing can be fused."""
        rng = np.random.default_rng(self.seed)
        usual = plan_graph(self.graph, core, goal="size")
        graph = usual.graph
        layers = [Layer(graph, node) for node in graph.nodes]
        bands = list(Bands(graph, layers, core, CostTable()).around(set(range(len(layers))), ()))
        rng.shuffle(bands)  # type: ignore[arg-type]
        for band in sorted(bands, key=lambda one: one.first - one.last)[: len(bands) // 2 + 1]:
            part = [layers[i].node for i in band.positions]
            program = fused(graph, part, lambda cut: _drawn(cut, core, rng), band=band.rows)
            if isinstance(program, RowProgram):
                kernels = [applicable(layer, core)[0] for layer in layers]
                stages = [layer_stage(*pair) for pair in zip(layers, kernels, strict=True)]
                stages[band.first : band.last] = [row_stage(part, program)]
                plan = Blocks(graph, numbered(stages), keep_input=False).plan(20)
                verify_plan(plan)
                return plan
        return usual


def _drawn(cut: Layer, core: Core, rng: np.random.Generator) -> Kernel:
    """One of the kernels; the generic one, the last of all, seldom."""
    kernels: Sequence[Kernel] = applicable(cut, core)
    return kernels[int(rng.integers(max(1, len(kernels) - (rng.random() < 0.8))))]


def band_model(seed: int) -> BandModel:
    """A random chain with blocks of two branches, and its samples."""
    chain = Chain(seed)
    shape = (1, chain.pick(8, 12, 16), chain.pick(8, 9, 16), chain.pick(3, 8, 16))
    chain.tensors["x"] = replace(chain.tensors["x"], shape=shape)
    codes = random_codes(chain.graph("x"), chain.rng, SAMPLES)
    qparams = chain.tensors["x"].qparams
    assert qparams is not None
    chain.real = {"x": qparams.dequantize(codes["x"])}
    x = "x"
    for _ in range(int(chain.rng.integers(2, 5))):
        if min(chain.tensors[x].shape[1:3]) >= 4:
            x = _layer(chain, x)
    return BandModel(f"band{seed}", chain.graph(x, f"band{seed}"), codes, seed=seed)


def _layer(chain: Chain, x: str) -> str:
    channels = chain.tensors[x].shape[-1]
    kind = chain.pick("conv", "conv", "skip", "point", "depthwise", "half", "pool", "unary")
    if kind == "skip":
        y = chain.conv(chain.conv(x, 16, SAME), channels, SAME)
        return chain.add("add", AddParams(), x, y)
    if kind == "point":
        return chain.conv(x, chain.pick(8, 16), Conv2dParams(1, 1))
    if kind == "depthwise" and channels > 3:
        return chain.conv(x, channels, replace(SAME, groups=channels))
    if kind == "half":
        window = Conv2dParams(3, 3, 2, 2, pad_bottom=1, pad_right=1)
        return chain.conv(x, chain.pick(8, 16), window)
    if kind == "pool":
        return chain.add("max_pool", MaxPoolParams(2, 2, 2, 2), x)
    if kind == "unary":
        return chain.add("unary", UnaryParams(call("tanh", X)), x)
    return chain.conv(x, chain.pick(8, 16), SAME)
