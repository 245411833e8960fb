"""A graph as people and scripts read it: a table, and a dictionary for JSON."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from edgecomp.ir.graph import Graph
from edgecomp.ir.types import Clamp, Node, OpParams, Shape, Tensor
from edgecomp.ir.verify import Operator

COLUMNS = ("layer", "op", "output", "parameters of the layer", "MACs", "weights")
NUMERIC = frozenset({"MACs", "weights"})
MAX_NAME = 40
SHOWN = 8
"""Values of a constant output that are shown."""


def graph_summary(graph: Graph, operators: Mapping[str, Operator]) -> dict[str, Any]:
    """Describe a graph in plain values.

    Args:
        graph: any graph.
        operators: `edgecomp.ops.OPS`.

    Returns:
        `name`, `inputs` and `outputs` (name in the file, tensor, shape on the device and shape in
        the model), `constant_outputs` of the file, which the network leaves out (name, shape, the
        first values), `layers` (name, op, inputs, output, shape, params, macs, parameters), `macs`
        and `parameters` (the constants' elements, each constant once).
    """
    layers = [_layer(graph, node, operators) for node in graph.nodes]
    constants = [tensor for tensor in graph.tensors.values() if tensor.is_const]
    return {
        "name": graph.name,
        "inputs": [_port(graph, name) for name in graph.inputs],
        "outputs": [_port(graph, name) for name in graph.outputs],
        "constant_outputs": [
            {"name": name, "shape": list(value.shape), "values": value.flat[:SHOWN].tolist()}
            for name, value in graph.constant_outputs.items()
        ],
        "layers": layers,
        "macs": sum(layer["macs"] for layer in layers),
        "parameters": sum(tensor.size for tensor in constants),
    }


def format_graph(graph: Graph, operators: Mapping[str, Operator]) -> str:
    """Draw a graph as a table, one line per layer, totals below."""
    summary = graph_summary(graph, operators)
    rows = [COLUMNS]
    for layer in summary["layers"]:
        row = (layer["name"], layer["op"], _dims(layer["shape"]), layer["params"])
        rows.append((*row, _count(layer["macs"]), _count(layer["parameters"])))
    lines = [f"{graph.name}: {len(graph.nodes)} layers", *_ports(summary)]
    lines += [*(f"  {line}" for line in constant_outputs(graph)), ""]
    lines += _table([tuple(_shortened(cell) for cell in row) for row in rows])
    lines += ["", f"{summary['macs']:,} MACs, {summary['parameters']:,} parameters"]
    return "\n".join(lines)


def constant_outputs(graph: Graph) -> list[str]:
    """Lines that say which outputs of the file the network leaves out."""
    lines = []
    for name, value in graph.constant_outputs.items():
        shown = ", ".join(f"{number:g}" for number in value.flat[:SHOWN].tolist())
        more = ", ..." if value.size > SHOWN else ""
        lines.append(
            f"output {_quoted(name)} is always [{shown}{more}] ({_dims(value.shape)}): left out"
        )
    return lines


def describe_params(params: OpParams) -> str:
    """Parameters on one line: those that differ from their defaults, padding and window short."""
    if isinstance(text := getattr(params, "text", None), str):
        return text
    values = {field.name: getattr(params, field.name) for field in dataclasses.fields(params)}
    parts = []
    if "kernel_h" in values:
        parts.append(f"{values.pop('kernel_h')}x{values.pop('kernel_w')}")
        for key, letter, default in (("stride", "stride", 1), ("dilation", "dilation", 1)):
            pair = (values.pop(f"{key}_h"), values.pop(f"{key}_w"))
            if pair != (default, default):
                parts.append(f"{letter} {pair[0]}x{pair[1]}")
        pads = [values.pop(f"pad_{side}") for side in ("top", "bottom", "left", "right")]
        if any(pads):
            parts.append("pad " + ",".join(map(str, pads)))
    defaults = {f.name: f.default for f in dataclasses.fields(params)}
    for key, value in values.items():
        if isinstance(value, Clamp):
            parts += [] if value.is_none else [_clamp(value)]
        elif value != defaults[key]:
            text = _dims(value) if isinstance(value, tuple) else f"{value}"
            parts.append(f"{key} {text}")
    return ", ".join(parts)


def _layer(graph: Graph, node: Node, operators: Mapping[str, Operator]) -> dict[str, Any]:
    """Describe one node."""
    inputs, output = graph.node_inputs(node), graph.node_output(node)
    return {
        "name": node.name,
        "op": node.op,
        "inputs": [tensor.name for tensor in inputs if not tensor.is_const],
        "output": output.name,
        "shape": list(output.shape),
        "params": describe_params(node.params),
        "macs": operators[node.op].macs(node.params, inputs, output),
        "parameters": sum(tensor.size for tensor in inputs if tensor.is_const),
        "scale": _scale(output),
    }


def _scale(tensor: Tensor) -> dict[str, Any] | None:
    """Quantization parameters of an activation."""
    if tensor.qparams is None:
        return None
    return {"scale": list(tensor.qparams.scale), "zero_point": tensor.qparams.zero_point}


def _port(graph: Graph, name: str) -> dict[str, Any]:
    """Describe an input or output."""
    tensor = graph.tensors[name]
    view = graph.views.get(name)
    return {
        "name": graph.io_names.get(name, name),
        "tensor": name,
        "dtype": tensor.dtype.value,
        "shape": list(tensor.shape),
        "model_shape": list(view.shape if view is not None else tensor.shape),
    }


def _ports(summary: Mapping[str, Any]) -> list[str]:
    """Lines that say what goes in and what comes out."""
    lines = []
    for kind in ("inputs", "outputs"):
        for port in summary[kind]:
            line = f"  {kind[:-1]} {_quoted(port['name'])}: {_dims(port['shape'])} {port['dtype']}"
            if port["model_shape"] != port["shape"]:
                line += f" (the model's own order: {_dims(port['model_shape'])})"
            lines.append(line)
    return lines


def _table(rows: list[tuple[str, ...]]) -> list[str]:
    """Align columns, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rows.insert(1, tuple("-" * width for width in widths))
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if title in NUMERIC else cell.ljust(width)
            for cell, width, title in zip(row, widths, COLUMNS, strict=True)
        ]
        lines.append("  ".join(cells).rstrip())
    return lines


def _shortened(text: str) -> str:
    """Make a cell printable and not too wide; the end of a layer's name says most."""
    shown = _quoted(text)
    return shown if len(shown) <= MAX_NAME else "…" + shown[1 - MAX_NAME :]


def _quoted(text: str) -> str:
    """Escape what would break a line or a terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _dims(shape: Shape | list[int]) -> str:
    return "x".join(map(str, shape)) if shape else "scalar"


def _count(number: int) -> str:
    return f"{number:,}" if number else ""


def _clamp(clamp: Clamp) -> str:
    """Name the usual activations."""
    if (clamp.low, clamp.high) == (0.0, math.inf):
        return "relu"
    if (clamp.low, clamp.high) == (0.0, 6.0):
        return "relu6"
    return f"clamp {clamp.low:g}..{clamp.high:g}"
