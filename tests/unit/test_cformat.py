"""Values as C text, on the examples that matter."""

import numpy as np

from edgecomp.codegen.cformat import c_comment, c_elements, c_float, c_identifier, c_int


def test_the_smallest_integer_needs_an_expression():
    assert c_int(-(2**31)) == "(-2147483647 - 1)"
    assert c_elements(np.array([-(2**31), 5])) == "    (-2147483647 - 1), 5,"


def test_floats_have_a_point_and_a_suffix():
    assert [c_float(x) for x in (1, 0.1, 1e-20, 3e30, -2.5)] == [
        "1.0f", "0.1f", "1e-20f", "3e+30f", "-2.5f",
    ]  # fmt: skip


def test_comments_cannot_end_early():
    assert c_comment("a*/b") == "a* /b"
    assert c_comment("*\\") == "* /"
    assert c_comment("/*/") == "/ * /"
    assert c_comment("???/") == "? ? ?/"
    assert c_comment("Größe\n") == "Gr??e?".replace("??", "? ?")


def test_long_comments_are_cut():
    assert c_comment("x" * 100) == "x" * 77 + "..."
    assert len(c_comment("y" * 100, 60)) == 60


def test_names_become_identifiers():
    assert c_identifier("ResNet-8 (v2)") == "resnet_8_v2"
    assert c_identifier("8bit") == "model_8bit"
    assert c_identifier("für") == "f_r"
    assert c_identifier("###") == "model"
    assert c_identifier("switch") == "switch_"
