"""From an empty board to new weights, by the commands that a user types, over both kinds of line.

The loader boots empty, takes model A, then model B, then B's weights alone; after each of them the
device is compared with the host, bit for bit. Then: what is refused, and the way back.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from tests.cli.support import call, refused, tiny_constants, tiny_model, tiny_samples
from tests.device.applications import build_id_of, build_id_on, get_board
from tests.device.virtual_board import virtual_board

pytestmark = pytest.mark.device

BOARDS = ("mps2-an385", "mps2-an386", "mps2-an500")
LINES = ("pty", "socket")
SAMPLES = 40


@dataclass(frozen=True)
class Models:
    """Built folders: two models, and the second with other weights for the same code."""

    one: Path
    other: Path
    other_weights: Path
    samples: Path


@pytest.fixture(scope="module")
def models_for(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Models]:
    """Return a function that builds for a board, once."""

    @cache
    def build(board: str) -> Models:
        """Permuted channels are other weights for the same code; other statistics are not."""
        folder = tmp_path_factory.mktemp(board)
        samples = tiny_samples(folder / "samples.npz", SAMPLES)
        constants = tiny_constants()
        order = [3, 1, 5, 0, 2, 4]
        rows = constants["fc"].reshape(-1, len(order), 16)
        permuted = constants | {
            "w": constants["w"][order],
            "b": constants["b"][order],
            "fc": rows[:, order].reshape(constants["fc"].shape),
        }
        built = []
        for name, weights in (("one", tiny_constants(7)), ("b", constants), ("c", permuted)):
            (folder / name).mkdir()
            model = tiny_model(folder / name / "model.onnx", weights)
            answer = call(
                *("build", model, "--board", board, "--weights-slot", "--data", samples),
                *("--calibration", "minmax", "--limit", "4", "-o", folder / name / "out"),
            )
            assert answer.code == 0, answer.err
            built.append(folder / name / "out")
        return Models(*built, samples)

    return build


def place(number: int, board: str, line: str):
    """Every board in the normal tests, with one kind of line or the other; all in the slow ones."""
    is_normal = number % 2 == LINES.index(line)
    return pytest.param(
        board, line, id=f"{board}-{line}", marks=() if is_normal else pytest.mark.slow
    )


@pytest.mark.parametrize(
    ("board", "line"),
    [place(number, board, line) for line in LINES for number, board in enumerate(BOARDS)],
)
def test_empty_board_to_model_to_model_to_weights_and_back(board, line, models_for, tmp_path):
    models = models_for(board)
    loader = models.one / "loader.elf"
    with virtual_board(get_board(board), tmp_path, elf=loader, tcp=line == "socket") as running:
        port = ("--port", running.port)

        def flash(folder: Path, *options: str) -> dict[str, object]:
            answer = call("flash", folder, *port, *options, "--json")
            assert answer.code == 0, answer.err
            assert build_id_on(running.port) == build_id_of(folder)
            return json.loads(answer.out)

        def check(folder: Path) -> None:
            asked = ("--data", models.samples, "--limit", "0", "--json")
            answer = call("check", folder, *port, *asked)
            assert answer.code == 0, answer.err
            bits = json.loads(answer.out)["bit_exact"]
            assert (bits["samples"], bits["mismatches"]) == (SAMPLES, 0)

        assert flash(models.one)["version"] == 1
        check(models.one)
        assert flash(models.other)["version"] == 2
        check(models.other)
        assert flash(models.other_weights, "--weights-only")["version"] == 3
        check(models.other_weights)

        answer = call("check", models.other, *port, "--data", models.samples)
        refused(answer, "the board runs build", code=5)
        refused(call("flash", models.one, *port, "--weights-only"), "weights alone", code=5)
        assert build_id_on(running.port) == build_id_of(models.other_weights)
        assert call("flash", models.other, *port, "--rollback").code == 0
        assert build_id_on(running.port) == build_id_of(models.other)
