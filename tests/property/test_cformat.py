"""Whatever a model is called, the C it becomes compiles and says the same numbers."""

import re
import subprocess

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edgecomp.build.flags import WARNING_FLAGS
from edgecomp.codegen.cformat import (
    C_KEYWORDS,
    LINE_WIDTH,
    c_comment,
    c_elements,
    c_float,
    c_identifier,
    c_int,
    c_term,
    c_term_float,
)

TRIGRAPHS = re.compile(r"\?\?[=/'()!<>-]")
NASTY = st.text(st.sampled_from("*/?\\=-'\n\r\t\"a%é{}#"), max_size=30)
FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)


@given(st.text(max_size=120) | NASTY)
def test_comments_stay_comments(text):
    found = c_comment(text)
    assert len(found) <= 80
    assert all(" " <= ch <= "~" for ch in found)
    assert "*/" not in found
    assert "/*" not in found
    assert "\\" not in found
    assert not TRIGRAPHS.search(found)
    assert c_comment(found) == found


@given(st.text(max_size=80))
def test_identifiers_are_identifiers(text):
    name = c_identifier(text)
    assert re.fullmatch(r"[a-z_][a-z0-9_]*", name)
    assert name not in C_KEYWORDS
    assert c_identifier(name) == name


@given(st.integers(-(2**31), 2**31 - 1))
def test_integers_read_back(value):
    # C and Python write these expressions alike.
    assert eval(c_int(value)) == value
    assert eval(f"0 - {c_term(value)}") == -value


@given(FLOATS)
def test_floats_read_back(value):
    text = c_float(value)
    assert re.fullmatch(r"-?\d+(\.\d+)?(e[+-]?\d+)?f", text)
    assert re.search(r"[.e]", text)
    assert np.float32(float(text[:-1])) == np.float32(value)
    assert c_term_float(value).strip("()") == text


@given(st.lists(st.integers(-(2**31), 2**31 - 1), min_size=1, max_size=60))
def test_elements_read_back_in_lines(values):
    text = c_elements(np.array(values, np.int64))
    assert [eval(item.strip()) for item in text.split(",") if item.strip()] == values
    assert max(len(line) for line in text.splitlines()) <= LINE_WIDTH


@settings(max_examples=1, deadline=None)
@given(
    st.lists(st.text(max_size=60) | NASTY, min_size=60, max_size=60),
    st.lists(FLOATS, min_size=20, max_size=20),
)
def test_gcc_reads_it_all(tmp_path_factory, texts, floats):
    lines = [f"/* {c_comment(text)} */" for text in (*texts, *C_KEYWORDS, "a??/", "???/", "*//")]
    names = dict.fromkeys(c_identifier(text) for text in (*texts, *C_KEYWORDS))
    lines += [f"static const float f{n} = {c_float(value)};" for n, value in enumerate(floats)]
    lines += [f"extern int {name}; int {name};" for name in names]
    total = " + ".join(f"(1.0f - {c_term_float(value)})" for value in floats)
    used = " + ".join(f"f{n}" for n in range(len(floats)))
    lines.append(f"float sum_of_all(void); float sum_of_all(void) {{ return {total} + {used}; }}")
    path = tmp_path_factory.mktemp("c") / "names.c"
    path.write_text("\n".join(lines) + "\n")
    flags = ("-std=c99", *WARNING_FLAGS, "-Wno-overflow", "-c", "-o", "names.o")
    for compiler in ("gcc", "clang"):
        done = subprocess.run(
            [compiler, *flags, path.name], cwd=path.parent, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
