"""Whether the result of a recipe's steps keeps to its target, and which step came nearest."""

from collections.abc import Mapping, Sequence
from typing import Any

from edgecomp.compress.train.examples import Examples
from edgecomp.config import TargetSection
from edgecomp.errors import AccuracyError, DoesNotFitError, RecipeError

Rows = Sequence[Mapping[str, Any]]
MEMORIES = ("flash", "ram")


def check_measurable(target: TargetSection, test: Examples | None, *, has_board: bool) -> None:
    """Refuse a target that nothing could be measured for, before anything is trained.

    Raises:
        RecipeError: bytes without a board, or a floor of accuracy without labelled test samples.
    """
    for name in MEMORIES:
        if getattr(target, name) is not None and not has_board:
            raise RecipeError(
                f"target.{name} needs a board to link for: give target: {{board: ...}} or --board"
            )
    if target.accuracy is not None and (test is None or not test.are_labels):
        raise RecipeError(
            "target.accuracy needs labelled test samples: give data: {test: FILE.npz}, or --test, "
            "with class numbers as y"
        )


def outcomes(
    target: TargetSection, rows: Rows, test: Mapping[str, Any] | None
) -> list[dict[str, Any]]:
    """What the target asks for beside what came of it, as in `compression.json`.

    Returns:
        For each of `flash`, `ram` and `accuracy` that is asked for: `name`; `limit`; `found`, null
        where the result does not fit the board at all; `met`; `nearest`, the step that came
        nearest to it, and `nearest_found` there.  A step's accuracy is that of its float network,
        `found` is that of the integers.
    """
    answers = []
    for name in MEMORIES:
        limit = getattr(target, name)
        if limit is None:
            continue
        sizes = [row["linked"].get(name, {}).get("total_bytes") for row in rows]
        linked = [index for index, size in enumerate(sizes) if size is not None]
        # Of equals the last: more was done by then.
        best = min(linked, key=lambda index: (sizes[index], -index), default=None)
        met = sizes[-1] is not None and sizes[-1] <= limit
        answers.append(_answer(name, limit, sizes[-1], met, rows, best, sizes))
    if target.accuracy is not None and test is not None:
        shares = [row["test_accuracy"] for row in rows]
        best = max(range(len(rows)), key=lambda index: (shares[index], index))
        found = test["int8_accuracy"]
        answers.append(
            _answer(
                "accuracy", target.accuracy, found, found >= target.accuracy, rows, best, shares
            )
        )
    return answers


def _answer(
    name: str, limit: float, found: Any, met: bool, rows: Rows, best: int | None, values: list[Any]
) -> dict[str, Any]:
    return {
        "name": name,
        "limit": limit,
        "found": found,
        "met": met,
        "nearest": None if best is None else rows[best]["step"],
        "nearest_found": None if best is None else values[best],
    }


def missed(report: Mapping[str, Any]) -> str:
    """What of the target the result misses, for people; empty if nothing."""
    lines = []
    for answer in report["target"]:
        if answer["met"]:
            continue
        lines += _accuracy(answer) if answer["name"] == "accuracy" else _bytes(answer, report)
    return "\n".join(lines)


def require_target(report: Mapping[str, Any]) -> None:
    """Refuse a result that misses its target; what was written stays.

    Raises:
        DoesNotFitError: too much flash or RAM.
        AccuracyError: too low an accuracy, and nothing else.
    """
    text = missed(report)
    if text:
        is_memory = any(a["name"] in MEMORIES and not a["met"] for a in report["target"])
        raise (DoesNotFitError if is_memory else AccuracyError)(text)


def _bytes(answer: Mapping[str, Any], report: Mapping[str, Any]) -> list[str]:
    linked, limit, found = report["steps"][-1]["linked"], answer["limit"], answer["found"]
    text = f"the recipe allows {limit:,} bytes of {answer['name']}, the result "
    if found is None:
        text += f"does not fit {linked['board']} at all"
    else:
        text += f"takes {found:,} on {linked['board']}: {found - limit:,} too many"
    if answer["nearest"] is None:
        return [text, "  no step came nearer; prune more, or take fewer bits"]
    nearest = answer["nearest_found"]
    if found is not None and nearest >= found:
        return [text, "  no step before came nearer; prune more, or take fewer bits"]
    how = "within it" if nearest <= limit else f"{nearest - limit:,} too many"
    return [text, f"  nearest was {answer['nearest']!r} with {nearest:,}, {how}"]


def _accuracy(answer: Mapping[str, Any]) -> list[str]:
    limit, nearest = answer["limit"], answer["nearest_found"]
    text = (
        f"the recipe wants an accuracy of at least {limit:.4f}, the result has "
        f"{answer['found']:.4f} in int8 on the test samples: {limit - answer['found']:.4f} too low"
    )
    if nearest <= answer["found"]:
        return [text, "  no step came nearer in float32"]
    how = "which is enough" if nearest >= limit else f"{limit - nearest:.4f} too low"
    return [text, f"  nearest was {answer['nearest']!r} with {nearest:.4f} in float32, {how}"]
