"""Einsum: the layers it is taken apart into, as onnxruntime and on an emulated core."""

import re
from dataclasses import dataclass

import numpy as np
import pytest

from edgecomp.errors import UserError
from edgecomp.frontend import read_model
from edgecomp.ops.einsum_equation import parse
from edgecomp.passes import run_passes
from edgecomp.quant import quantize_model
from tests.frontend.onnx_cases import check_model, make_model, node, ops, save
from tests.support.bundle import Model
from tests.support.cases import one_line_each
from tests.support.proof import ONE_NOW_ALL_LATER, board_differences, host_differences

RNG = np.random.default_rng(23)


@dataclass(frozen=True)
class Case:
    """An equation.

    Attributes:
        equation: as ONNX has it.
        computed: shapes of the inputs x, z, u and v.
        layers: the operators that compute, moves aside.
        constants: shapes of the constants w and k.
        order: of the operands, where constants are not the last.
        compiled: whether it is compiled and run, too.
    """

    equation: str
    computed: tuple[tuple[int, ...], ...]
    layers: tuple[str, ...] = ()
    constants: tuple[tuple[int, ...], ...] = ()
    order: str = ""
    compiled: bool = False

    def model(self):
        names = "xzuv"[: len(self.computed)]
        weights = {
            "wk"[i]: RNG.standard_normal(shape).astype(np.float32)
            for i, shape in enumerate(self.constants)
        }
        inputs = " ".join(self.order or [*names, *weights])
        layer = node("Einsum", inputs, "y", equation=self.equation)
        shapes = dict(zip(names, self.computed, strict=True))
        return make_model([layer], shapes, ["y"], weights)


CASES = (
    Case("bhid,bhjd->bhij", ((1, 2, 5, 4), (1, 2, 3, 4)), ("matmul",), compiled=True),
    Case("bhij,bhjd->bihd", ((1, 2, 5, 3), (1, 2, 3, 4)), ("matmul",)),
    Case("bij,bjk->bik", ((2, 3, 4), (2, 4, 5)), ("matmul",)),
    Case("bij,bkj->bki", ((2, 3, 4), (2, 5, 4)), ("matmul",)),
    Case("ij,jk", ((3, 4), (4, 2)), ("matmul",)),
    Case("i,i", ((5,), (5,)), ("matmul",)),
    Case("bi,bi->b", ((2, 5), (2, 5)), ("matmul",)),
    Case("ijk,kjl->il", ((2, 3, 4), (4, 3, 5)), ("matmul",)),
    Case("bij,jk->bik", ((1, 3, 4),), ("dense",), ((4, 5),)),
    Case("bij,bjk->bik", ((1, 3, 4),), ("dense",), ((1, 4, 5),)),
    Case("bij,bjk->bik", ((2, 3, 4),), ("matmul",), ((2, 4, 5),)),
    Case("jk,bij->bik", ((1, 3, 4),), ("dense",), ((4, 5),), "wx"),
    Case("bthd,hdo->bto", ((1, 5, 2, 3),), ("dense",), ((2, 3, 4),), compiled=True),
    Case("btc,chd->bthd", ((1, 5, 4),), ("dense",), ((4, 2, 3),)),
    Case("nchw,kc->nkhw", ((1, 3, 4, 5),), ("dense",), ((2, 3),)),
    Case("bij,j->bi", ((2, 3, 4),), ("dense",), ((4,),)),
    Case("i,i->", ((4,),), ("dense",), ((4,),)),
    Case("i,j->ij", ((3,), (4,)), ("mul",), compiled=True),
    Case("bij,j->bij", ((2, 3, 4),), ("mul",), ((4,),)),
    Case("ij,ij->ji", ((3, 4), (3, 4)), ("mul",)),
    Case("bij->bji", ((2, 3, 4),), compiled=True),
    Case("bij->b", ((2, 3, 4),), ("reduce_sum",), compiled=True),
    Case("bij->", ((2, 3, 4),), ("reduce_sum",)),
    Case("ba", ((3, 4),)),
    Case("bij->ijb", ((2, 3, 4),)),
    Case("...ij->...ji", ((2, 1, 3, 4),)),
    Case("...ij,...jk->...ik", ((2, 3, 4), (1, 4, 5)), ("matmul",)),
    Case("...ij,...jk", ((2, 1, 3, 4), (1, 3, 4, 5)), ("matmul",)),
    Case("i...,i...->...", ((3, 2), (3, 2)), ("matmul",)),
    Case("bij,bjk->bik", ((1, 3, 4), (2, 4, 5)), ("matmul",)),
    Case("ij,jk->ik", ((3, 1), (4, 5)), ("reduce_sum", "mul")),
    Case("ijx,jky->ik", ((3, 4, 2), (4, 5, 2)), ("reduce_sum",) * 2 + ("matmul",), compiled=True),
    Case("ab,bc,cd->ad", ((2, 3), (3, 4), (4, 5)), ("matmul", "matmul"), compiled=True),
    Case("ab,bc,cd->ad", ((2, 3),), ("dense", "dense"), ((3, 4), (4, 5))),
    Case("ab,bc,ac->", ((2, 3), (3, 4), (2, 4)), ("matmul", "matmul")),
    Case("bc,cd,ab->ad", ((2, 3),), ("dense",), ((3, 4), (4, 5)), "wkx"),
    Case("  B H i d , B H j d -> B H i j ", ((1, 2, 3, 4), (1, 2, 5, 4)), ("matmul",)),
    Case("Ab,bC->CA", ((2, 3), (3, 4)), ("matmul",)),
    Case("ii->i", ((4, 4),), ("gather",)),
    Case("ii", ((4, 4),), ("gather", "reduce_sum")),
    Case("...ii->...i", ((2, 3, 3),), ("gather",), compiled=True),
    Case("iji,j->ij", ((3, 2, 3),), ("gather", "mul"), ((2,),)),
    Case("iij,ikk->jk", ((3, 3, 2),), ("gather", "dense"), ((3, 4, 4),)),
)  # fmt: skip
MOVES = {"transpose", "reshape", "unary", "conv2d"}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.equation)
def test_result_is_onnxruntimes(case, tmp_path):
    graph = check_model(case.model(), tmp_path)
    assert tuple(op for op in ops(graph) if op not in MOVES) == case.layers


def test_implicit_result_has_upper_case_first():
    assert parse("ab...,bC", [(2, 3, 4), (3, 5)]).result == ("0", "C", "a")
    assert parse("...a,...b->b...a", [(4, 2), (7, 4, 3)]).result == ("b", "0", "1", "a")


WRONG = {
    "for 2 operands": ("ij,jk->ik", [(3, 4)]),
    "does not name the axes": ("ijk->i", [(3, 4)]),
    "the term 'i1'": ("i1->i", [(3, 4)]),
    "the result of": ("ij->ik", [(3, 4)]),
    "the result of 'i...->i'": ("i...->i", [(3, 4)]),
    "the result of 'ij->ii'": ("ij->ii", [(3, 4)]),
    "has 4 elements and 5": ("ii->i", [(4, 5)]),
}


@pytest.mark.parametrize("reason", WRONG)
def test_equation_that_does_not_fit_is_refused(reason):
    with pytest.raises(ValueError, match=re.escape(reason)):
        parse(*WRONG[reason])


def test_file_with_an_equation_that_does_not_fit_is_refused(tmp_path):
    layer = node("Einsum", "x", "y", "layer", equation="ii->i")
    with pytest.raises(UserError, match=r"'layer' \(Einsum\).*has 4 elements and 5"):
        read_model(save(make_model([layer], {"x": (4, 5)}, ["y"]), tmp_path))


def models(folder):
    """Cases in integers, with codes of their inputs."""
    for index, case in enumerate(case for case in CASES if case.compiled):
        graph = run_passes(read_model(save(case.model(), folder)))
        samples = {
            name: RNG.normal(0, 1, (20, *graph.tensor(name).shape)).astype(np.float32)
            for name in graph.inputs
        }
        result, _ = quantize_model(graph, samples)
        codes = {
            name: result.tensor(name).qparams.quantize(x).astype(np.int8)
            for name, x in samples.items()
        }
        yield Model(f"einsum{index}", result, codes)


def test_host_c_computes_the_same(tmp_path):
    found = host_differences(list(models(tmp_path)), tmp_path)
    assert not found, one_line_each(found)


@pytest.mark.device
@pytest.mark.parametrize("board", ONE_NOW_ALL_LATER)
def test_emulated_core_computes_the_same(board, tmp_path):
    found = board_differences(list(models(tmp_path)), tmp_path, board)
    assert not found, one_line_each(found)
