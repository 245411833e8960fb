"""What a recipe demands of the result: flash, RAM, accuracy."""

from collections.abc import Mapping
from typing import Any

from edgecomp.config import TargetSection
from edgecomp.errors import AccuracyError, DoesNotFitError, UserError


def check_target(target: TargetSection, report: Mapping[str, Any]) -> None:
    """Refuse a result that does not keep to its recipe's target.

    Args:
        target: of the recipe.
        report: what was built and measured.

    Raises:
        DoesNotFitError: too much flash or RAM; the message has what is largest.
        AccuracyError: the accuracy is below the floor.
        UserError: a floor is given, but there was nothing to measure it on.
    """
    for name, limit in (("flash", target.flash), ("ram", target.ram)):
        needs = report[name]["total_bytes"]
        if limit is not None and needs > limit:
            raise DoesNotFitError(
                f"the recipe allows {limit:,} bytes of {name}, the image takes {needs:,}\n"
                f"  {_largest(report, name)}"
            )
    if target.accuracy is None:
        return
    found = report["accuracy"]
    check_floor(target, found["metric"])
    if found["int8"] < target.accuracy:
        raise AccuracyError(
            f"the recipe wants {found['metric']} of at least {target.accuracy:.4f}, the quantized "
            f"network has {found['int8']:.4f} on {found['samples']:,} samples "
            f"({found['float']:.4f} in float32)"
        )


def check_floor(target: TargetSection, metric: str | None) -> None:
    """Refuse a floor of accuracy that nothing is measured against.

    Raises:
        UserError: the metric is none that grows as the network becomes better.
    """
    if target.accuracy is not None and metric not in {"accuracy", "top5", "auc"}:
        raise UserError(
            "the recipe has a floor of accuracy: give labelled samples with --data, or with "
            "data: {test: FILE.npz} in the recipe"
        )


def _largest(report: Mapping[str, Any], name: str) -> str:
    """What would have to become smaller."""
    if name == "ram":
        ram = report["ram"]
        return (
            f"arena {ram['arena_bytes']:,}, static {ram['static_bytes']:,}, "
            f"stack {ram['stack_bytes']:,}; --optimize ram makes the arena smaller"
        )
    layers = sorted(report["layers"], key=lambda layer: -layer["weights_bytes"])[:3]
    parts = [f"{layer['name']} {layer['weights_bytes']:,}" for layer in layers]
    flash = report["flash"]
    return (
        f"weights {flash['weights_bytes']:,} (largest: {', '.join(parts)}), "
        f"code {flash['code_bytes']:,}; prune more, or take fewer bits"
    )
