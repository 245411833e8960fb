"""What a recipe demands of the result."""

import pytest

from edgecomp.budget import check_target
from edgecomp.config import TargetSection, parse_recipe
from edgecomp.errors import AccuracyError, DoesNotFitError, UserError

REPORT = {
    "flash": {"total_bytes": 5000, "weights_bytes": 3000, "code_bytes": 2000},
    "ram": {"total_bytes": 900, "arena_bytes": 600, "static_bytes": 200, "stack_bytes": 100},
    "layers": [{"name": "a", "weights_bytes": 1000}, {"name": "b", "weights_bytes": 2000}],
    "accuracy": {"metric": "accuracy", "int8": 0.8, "float": 0.81, "samples": 50},
}


def test_a_target_is_read_as_people_write_it():
    text = 'target: {board: microbit, flash: 96K, ram: 1M, accuracy: ">=85%"}'
    target = parse_recipe(text).target
    assert target == TargetSection(board="microbit", flash=98_304, ram=1 << 20, accuracy=0.85)
    assert TargetSection(accuracy="0.5").accuracy == TargetSection(accuracy=0.5).accuracy == 0.5


@pytest.mark.parametrize(
    ("target", "error", "says"),
    [
        ({"flash": 4999}, DoesNotFitError, r"4,999 bytes of flash.*5,000\n.*b 2,000, a 1,000"),
        ({"ram": 899}, DoesNotFitError, r"899 bytes of ram.*900\n.*arena 600"),
        ({"accuracy": 0.81}, AccuracyError, r"at least 0\.8100, .* has 0\.8000 on 50 samples"),
    ],
)
def test_what_came_closest_is_said(target, error, says):
    with pytest.raises(error, match=says):
        check_target(TargetSection(**target), REPORT)


def test_what_is_met_is_let_through_and_what_cannot_be_known_is_not():
    check_target(TargetSection(flash=5000, ram=900, accuracy=0.8), REPORT)
    unknown = {**REPORT, "accuracy": {"metric": None}}
    check_target(TargetSection(), unknown)
    with pytest.raises(UserError, match="labelled samples"):
        check_target(TargetSection(accuracy=0.1), unknown)
