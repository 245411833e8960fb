"""Save a graph and load it again: one .npz with the structure as JSON and the constants as arrays.

Nothing is pickled, so a file from a stranger can be read without running it.
"""

import dataclasses
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edgecomp.errors import UserError
from edgecomp.ir.graph import Graph, State, View
from edgecomp.ir.types import Clamp, DType, Node, OpParams, QParams, Tensor

FORMAT = 1


def save_graph(graph: Graph, path: Path) -> None:
    """Write `graph` to `path`."""
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    tensors = []
    for tensor in graph.tensors.values():
        entry: dict[str, Any] = {
            "name": tensor.name,
            "shape": tensor.shape,
            "dtype": tensor.dtype.value,
            "layout": tensor.layout,
        }
        if tensor.qparams is not None:
            entry["qparams"] = dataclasses.asdict(tensor.qparams)
        if tensor.storages != ("dense8",):
            entry["storages"] = tensor.storages
        if tensor.decode:
            entry["decode"] = tensor.decode
        if tensor.data is not None:
            entry["data"] = f"c{len(arrays)}"
            arrays[entry["data"]] = tensor.data
        tensors.append(entry)
    document = {
        "format": FORMAT,
        "name": graph.name,
        "inputs": graph.inputs,
        "outputs": graph.outputs,
        "nodes": [_node_to_json(node) for node in graph.nodes],
        "tensors": tensors,
        "views": {name: dataclasses.asdict(view) for name, view in graph.views.items()},
        "io_names": dict(graph.io_names),
        "states": [dataclasses.asdict(state) for state in graph.states],
        "constant_outputs": {name: f"o{i}" for i, name in enumerate(graph.constant_outputs)},
    }
    arrays |= {f"o{i}": value for i, value in enumerate(graph.constant_outputs.values())}
    text = np.frombuffer(json.dumps(document).encode(), np.uint8)
    with path.open("wb") as file:
        np.savez(file, graph=text, **arrays)  # type: ignore[arg-type]


def load_graph(path: Path, params_types: Mapping[str, type[OpParams]]) -> Graph:
    """Read a graph that `save_graph` wrote.

    Args:
        path: the file.
        params_types: the parameters' classes by class name.

    Raises:
        UserError: the file is missing, damaged or of another version.
    """
    if not path.exists():
        raise UserError(f"{path} does not exist")
    try:
        # numpy leaves the file open where it finds no archive in it, so it gets an open one.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            document = json.loads(archive["graph"].tobytes())
            if document["format"] != FORMAT:
                raise UserError(f"{path} was made by another version of edgecomp; build again")
            return _graph_from_json(document, archive, params_types)
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise UserError(f"{path} cannot be read ({error}); build the model again") from error


def _graph_from_json(
    document: dict[str, Any], archive: Any, params_types: Mapping[str, type[OpParams]]
) -> Graph:
    tensors = {}
    for entry in document["tensors"]:
        qparams = entry.get("qparams")
        tensors[entry["name"]] = Tensor(
            entry["name"],
            tuple(entry["shape"]),
            DType(entry["dtype"]),
            None if qparams is None else QParams(**{**qparams, "scale": tuple(qparams["scale"])}),
            archive[entry["data"]] if "data" in entry else None,
            entry["layout"],
            tuple(entry.get("storages", ("dense8",))),
            tuple(entry.get("decode", ())),
        )
    nodes = tuple(
        Node(
            entry["name"],
            entry["op"],
            tuple(entry["inputs"]),
            entry["output"],
            _params_from_json(entry["params"], params_types),
            entry["numerics"],
        )
        for entry in document["nodes"]
    )
    views = {
        name: View(tuple(view["perm"]), tuple(view["shape"]))
        for name, view in document["views"].items()
    }
    return Graph(
        document["name"],
        tuple(document["inputs"]),
        tuple(document["outputs"]),
        nodes,
        tensors,
        views,
        document["io_names"],
        tuple(State(**_tuples_in(state)) for state in document.get("states", ())),
        {name: archive[key] for name, key in document.get("constant_outputs", {}).items()},
    )


def _node_to_json(node: Node) -> dict[str, Any]:
    values = {field.name: getattr(node, field.name) for field in dataclasses.fields(node)}
    return {**values, "params": _params_to_json(node.params)}


def _params_to_json(params: OpParams) -> dict[str, Any]:
    values = {
        field.name: ([value.low, value.high] if isinstance(value, Clamp) else value)
        for field in dataclasses.fields(params)
        for value in [getattr(params, field.name)]
    }
    return {"type": type(params).__name__, **values}


def _params_from_json(
    entry: dict[str, Any], params_types: Mapping[str, type[OpParams]]
) -> OpParams:
    values = {key: _tuples(value) for key, value in entry.items() if key != "type"}
    if "clamp" in values:
        values["clamp"] = Clamp(*values["clamp"])
    return params_types[entry["type"]](**values)


def _tuples_in(entry: dict[str, Any]) -> dict[str, Any]:
    return {key: _tuples(value) for key, value in entry.items()}


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value
