"""The files of finished steps: their graph, and beside it what they had to say."""

import json
from pathlib import Path
from typing import Any

from edgecomp.ir import Graph
from edgecomp.ir.serialize import save_graph
from edgecomp.paths import write_atomically


def save_step(graph: Graph, note: str, details: dict[str, Any], path: Path) -> None:
    """Keep a finished step; what was kept to go on after an interruption goes away."""
    write_atomically(path.with_suffix(".json"), json.dumps({"note": note, **details}))
    save_whole(graph, path)
    for file in path.parent.glob(f"{path.stem}.*.npz"):
        file.unlink()


def read_account(path: Path) -> tuple[str, dict[str, Any]]:
    """What a step that was taken before had to say: its note, and its details."""
    file = path.with_suffix(".json")
    found: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    return found.pop("note", ""), found


def save_whole(graph: Graph, path: Path) -> None:
    """Write a graph so that an interruption leaves no half of it."""
    temporary = path.with_name(f"{path.name}.part")
    save_graph(graph, temporary)
    temporary.replace(path)
