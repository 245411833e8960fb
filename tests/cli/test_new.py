"""`edgecomp new`: what a network costs before it is trained."""

import json

import pytest

from edgecomp.targets.boards import get_board
from tests.cli.support import call, refused

pytest.importorskip("torch")


@pytest.mark.device
def test_a_network_is_measured_before_it_is_trained():
    answer = call("new", "cnn-1d", "--width", "0.25", "--input", "3,32", "--classes", "4",
                  "--board", "nucleo_f446re", "--json")  # fmt: skip
    assert answer.code == 0, answer.err
    found = json.loads(answer.out)
    assert found["model"] == "zoo:cnn-1d?width=0.25&input=3,32&classes=4"
    assert found["core"] == get_board("nucleo_f446re").core.name
    assert found["macs"] < found["instructions"] < 100 * found["macs"]
    assert found["modelled_cycles"] >= found["instructions"]
    assert found["flash"]["weights_bytes"] > found["parameters"]
    assert found["ram"]["arena_bytes"] > 0


@pytest.mark.device
@pytest.mark.slow
def test_weights_that_are_nothing_at_random_count():
    answer = call("new", "mobilenet-v3-small", "--width", "0.25", "--input", "3,48,48",
                  "--board", "nucleo_f446re", "--json")  # fmt: skip
    found = json.loads(answer.out)
    assert found["flash"]["weights_bytes"] > found["parameters"]


def test_a_network_that_cannot_fit_says_so():
    answer = call("new", "lenet-300-100", "--board", "microbit")
    refused(answer, "does not fit", "--width", code=3)


def test_wrong_names_are_explained():
    refused(call("new", "resnet9", "--board", "microbit"), "did you mean 'resnet8'?")
