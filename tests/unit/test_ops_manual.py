"""The page of the operators is written from the operators."""

from pathlib import Path

from edgecomp.report.ops_manual import manual

PAGE = Path(__file__).parents[2] / "docs" / "ops.md"


def test_the_page_is_up_to_date():
    assert PAGE.read_text(encoding="utf-8") == manual(), (
        "run `python -m edgecomp.report.ops_manual docs/ops.md`"
    )
