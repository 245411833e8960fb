"""The benchmarks' memory: what became worse is said, unless a trade gives the reason."""

import pytest

from benchmarks.kept import RESULTS, TRADES, Kept, Trade
from benchmarks.table import results_page

FIGURES = {
    "instructions": 1000,
    "modelled_cycles": 2000,
    "arena_bytes": 300,
    "bound_bytes": 300,
    "static_bytes": 0,
    "stack_bytes": 100,
    "code_bytes": 4000,
    "application_bytes": 50,
    "weights_bytes": 10,
    "flash_bytes": 4060,
    "macs": 500,
    "macs_model": 500,
}
KEY = "mps2-an386/kws/speed"


def kept(*trades):
    made = Kept(trades=trades)
    made.put(KEY, FIGURES)
    return made


@pytest.mark.parametrize(("figure", "value", "is_worse"), [
    ("instructions", 1010, False),
    ("instructions", 1011, True),
    ("arena_bytes", 304, True),
    ("application_bytes", 5000, False),
])  # fmt: skip
def test_one_percent_is_the_limit(figure, value, is_worse):
    assert bool(kept().worse(KEY, {**FIGURES, figure: value})) == is_worse


def test_the_best_counts_not_the_last():
    made = kept()
    made.put(KEY, {**FIGURES, "instructions": 1009})
    assert made.worse(KEY, {**FIGURES, "instructions": 1011})


def test_a_trade_allows_what_it_names_and_no_more():
    made = kept(Trade("mps2-an386/*/speed", "code_bytes", 1.5, "cycles"))
    assert not made.worse(KEY, {**FIGURES, "code_bytes": 6000})
    assert made.worse(KEY, {**FIGURES, "code_bytes": 6100})
    assert made.worse(KEY, {**FIGURES, "arena_bytes": 400})


def test_what_changed_is_said_with_both_values():
    made = kept()
    assert made.changes(KEY, FIGURES) == []
    (change,) = made.changes(KEY, {**FIGURES, "instructions": 990})
    assert change == "instructions 1,000 -> 990 (-1.00%)"
    assert made.changes("mps2-an386/kws/ram", FIGURES) == []


def test_files_are_read_again(tmp_path):
    made = kept()
    made.write(tmp_path / "results.json")
    again = Kept.read(tmp_path / "results.json", tmp_path / "none.yaml")
    assert (again.figures, again.best) == (made.figures, made.best)


def test_the_files_of_the_repository_are_sound():
    mine = Kept.read(RESULTS, TRADES)
    assert mine.best
    assert all(trade.reason and trade.factor > 1 for trade in mine.trades)


def test_the_page_marks_goals(tmp_path):
    page = tmp_path / "RESULTS.md"
    results_page({KEY: FIGURES}, page)
    text = page.read_text()
    assert "| M4, speed: modelled cycles | kws | 2,000 | 3,300,000 | met |" in text
    results_page({KEY: {**FIGURES, "modelled_cycles": 6_600_000}}, page)
    assert "| 6,600,000 | 3,300,000 | +100% |" in page.read_text()
