"""The figures that were kept, the best that each ever was, and trades made on purpose."""

import json
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
RESULTS = HERE / "results.json"
TRADES = HERE / "trades.yaml"
COMPARED = ("instructions", "modelled_cycles", "arena_bytes", "stack_bytes", "code_bytes")
TOLERANCE = 0.01


@dataclass(frozen=True)
class Trade:
    """A figure that was allowed to become worse, and why.

    Attributes:
        where: a pattern of `board/network/goal`.
        figure: one of `COMPARED`.
        factor: how many times the best it may be.
        reason: for people.
    """

    where: str
    figure: str
    factor: float
    reason: str


@dataclass
class Kept:
    """Last and best figures by `board/network/goal`."""

    figures: dict[str, dict[str, Any]] = field(default_factory=dict)
    best: dict[str, dict[str, int]] = field(default_factory=dict)
    trades: tuple[Trade, ...] = ()

    @classmethod
    def read(cls, results: Path = RESULTS, trades: Path = TRADES) -> "Kept":
        """Read both files; what is missing is empty."""
        document = json.loads(results.read_text()) if results.exists() else {}
        listed = yaml.safe_load(trades.read_text()) if trades.exists() else []
        return cls(
            document.get("last", {}),
            document.get("best", {}),
            tuple(Trade(**entry) for entry in listed or []),
        )

    def put(self, key: str, found: dict[str, Any]) -> None:
        """Take figures over."""
        self.figures[key] = found
        best = self.best.setdefault(key, {})
        for name in COMPARED:
            best[name] = min(found[name], best.get(name, found[name]))

    def changes(self, key: str, found: dict[str, Any]) -> list[str]:
        """Figures that differ from the last kept ones, with both values."""
        last = self.figures.get(key, {})
        return [
            f"{name} {before:,} -> {found[name]:,} ({found[name] / max(before, 1) - 1:+.2%})"
            for name in COMPARED
            if (before := last.get(name, found[name])) != found[name]
        ]

    def worse(self, key: str, found: dict[str, Any]) -> list[str]:
        """Figures that are more than 1 % worse than their best, trades allowed for."""
        best = self.best.get(key, {})
        return [
            f"{key} {name}: {found[name]:,} instead of {best[name]:,} "
            f"({found[name] / max(best[name], 1) - 1:+.1%})"
            for name in COMPARED
            if name in best and found[name] > best[name] * self._allowed(key, name)
        ]

    def _allowed(self, key: str, figure: str) -> float:
        factors = [
            trade.factor
            for trade in self.trades
            if trade.figure == figure and fnmatch(key, trade.where)
        ]
        return max(factors, default=1.0) * (1 + TOLERANCE)

    def write(self, results: Path = RESULTS) -> None:
        """Write the figures."""
        results.write_text(json.dumps({"last": self.figures, "best": self.best}, indent=1) + "\n")
