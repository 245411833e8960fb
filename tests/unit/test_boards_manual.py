"""The manual's page of the boards."""

from pathlib import Path

from edgecomp.report.boards_manual import render_boards
from edgecomp.targets.boards import load_boards

PAGE = Path(__file__).parents[2] / "docs" / "boards.md"


def test_the_page_is_current():
    assert PAGE.read_text() == render_boards(tuple(load_boards().values())), (
        "run `python -m edgecomp.report.boards_manual docs/boards.md`"
    )
