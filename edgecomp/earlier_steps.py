"""What `edgecomp compress` said of a model that it wrote, for those who go on from there."""

import json
from pathlib import Path
from typing import Any

from edgecomp.paths import sha256_of

REPORT_FILE = "compression.json"


def earlier_steps(model: Path) -> list[dict[str, Any]]:
    """The account of the steps that made a model, with what it was before them.

    Args:
        model: a model's file; the account lies beside it.

    Returns:
        The rows, the first of which is the start; none for models that `edgecomp compress` did not
        write, or where model or account have been changed since.
    """
    file = model.with_name(REPORT_FILE)
    if model.suffix != ".npz" or not model.is_file() or not file.exists():
        return []
    try:
        report = json.loads(file.read_text(encoding="utf-8"))
    except ValueError:
        return []
    if not isinstance(report, dict):
        return []
    # An older edgecomp did not write the hash, nor all of a row.
    made = report.get("files", {}).get("result", {}).get("sha256")
    steps: list[dict[str, Any]] = report.get("steps", [])
    is_whole = bool(steps) and {"weights", "parameters"} <= steps[0].keys()
    return steps if is_whole and made in {None, sha256_of(model)} else []


def continued(earlier: list[dict[str, Any]], rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The account of earlier steps with that of the steps that went on from there.

    The start of the later ones is the end of the earlier ones: what it takes on a board is said of
    that, if it was measured.
    """
    if not earlier:
        return rows
    linked = {key: rows[0][key] for key in ("linked",) if key in rows[0]}
    return [*earlier[:-1], earlier[-1] | linked, *rows[1:]]
