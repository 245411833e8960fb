"""What the report says about compression: the linked weights beside float32 and plain int8."""

from pathlib import Path
from typing import Any

from edgecomp.earlier_steps import earlier_steps
from edgecomp.ir import DType, Graph
from edgecomp.ir.weights import weights_of
from edgecomp.plan.types import Plan

FLOATS = {DType.FLOAT32, DType.FLOAT64}


def compression_report(
    model: Path, float_graph: Graph, plan: Plan, storage: dict[str, Any]
) -> dict[str, Any]:
    """The report's `compression`.

    Weights, biases and multipliers count, tables and codebooks with them; the code of decoders and
    the RAM that they decode into, in the arena or at boot beside it, stand beside the ratios.

    Args:
        model: the model's file; what `edgecomp compress` wrote beside it tells what it was like
            before.
        float_graph: the float network that was quantized.
        plan: the plan.
        storage: the report's `storage`.
    """
    steps = earlier_steps(model)
    before = steps[0] if steps else _sizes(float_graph)
    weights, parameters = before["weights"], before["parameters"]
    linked = sum(plan.weights_bytes(stage) for stage in plan.stages)
    float32, int8 = 4 * parameters, weights + 4 * (parameters - weights)
    return {
        "ratio_vs_float32": float32 / max(1, linked),
        "ratio_vs_int8": int8 / max(1, linked),
        "float32_bytes": float32,
        "int8_bytes": int8,
        "weights_bytes": linked,
        "decoder_bytes": storage["decoder_bytes"],
        "decode_ram_bytes": storage["decode_ram_bytes"],
        "boot_ram_bytes": storage["boot_ram_bytes"],
        "steps": steps,
    }


def _sizes(graph: Graph) -> dict[str, int]:
    """Weights of the layers, and all constants."""
    names = {name for node in graph.nodes for name in weights_of(graph, node)}
    return {
        "weights": sum(graph.tensors[name].size for name in names),
        "parameters": sum(
            t.size for t in graph.tensors.values() if t.is_const and t.dtype in FLOATS
        ),
    }
