"""No false "ok": whatever `check-model` passes builds, and runs with equal bits."""

from functools import cache

import numpy as np
import onnx
import pytest

from edgecomp import feasibility
from edgecomp.errors import InternalError, UserError
from edgecomp.feasibility import check_model
from edgecomp.frontend import read_model
from edgecomp.passes import run_passes
from tests.support.bundle import Model
from tests.support.cases import one_line_each, random_codes
from tests.support.proof import board_differences
from tests.support.wild_graphs import wild_model

BOARD = "mps2-an386"
FEW, MANY = 24, 400
SIZES = [FEW, pytest.param(MANY, marks=pytest.mark.slow)]
SAMPLES = 8


class CompiledElsewhere(Exception):
    """Many networks lie together in the images that are compiled here."""


def uncompiled(*arguments):
    raise CompiledElsewhere


def verdict(path):
    """What `check-model` says before it compiles."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(feasibility, "_compiled", uncompiled)
        try:
            assert check_model(str(path), BOARD)["verdict"] == "refused"
        except CompiledElsewhere:
            return "ok"
        except InternalError as error:
            raise AssertionError(path.name) from error
        except UserError:
            return "unreadable"
    return "refused"


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    """The first `count` networks by their verdict."""
    folder = tmp_path_factory.mktemp("wild")

    @cache
    def verdicts(count):
        found = {"ok": [], "refused": [], "unreadable": []}
        for seed in range(count):
            path = folder / f"wild{seed}.onnx"
            onnx.save(wild_model(seed), path)
            found[verdict(path)].append(path)
        return found

    return verdicts


def built(path):
    """The network as a build makes it, with input codes."""
    graph = run_passes(read_model(path))
    quantized, _ = feasibility._quantized(graph)
    codes = random_codes(quantized, np.random.default_rng(1), SAMPLES)
    return Model(path.stem, quantized, codes)


@pytest.mark.parametrize("count", SIZES)
def test_a_good_part_is_passed_and_a_good_part_refused(judged, count):
    found = judged(count)
    assert len(found["ok"]) > count * 0.3
    assert len(found["refused"]) > count * 0.05
    assert len(found["unreadable"]) < count * 0.15


@pytest.mark.device
@pytest.mark.parametrize("count", SIZES)
def test_what_is_passed_builds_and_runs(judged, count, tmp_path):
    models = [built(path) for path in judged(count)["ok"]]
    found = board_differences(models, tmp_path, BOARD)
    assert not found, one_line_each(found)


def test_what_is_passed_has_been_compiled(tmp_path):
    path = tmp_path / "wild.onnx"
    verdicts = []
    for seed in range(MANY, MANY + 4):
        onnx.save(wild_model(seed), path)
        verdicts.append(check_model(str(path), BOARD)["verdict"])
    assert set(verdicts) == {"ok", "refused"}
