"""Reading ONNX: what is understood, and how the rest is refused."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgecomp.errors import UnsupportedError, UserError
from edgecomp.frontend import read_model
from edgecomp.frontend.names import c_identifier
from edgecomp.passes import run_passes
from tests.frontend.onnx_cases import (
    check_model,
    make_model,
    node,
    ops,
    random_inputs,
    run_graph,
    save,
)

RNG = np.random.default_rng(7)


def weights(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


def ints(*values: int) -> np.ndarray:
    return np.asarray(values, np.int64)


def small_net(opset: int = 17, **changes: np.ndarray) -> onnx.ModelProto:
    constants = {"w": weights(4, 3, 3, 3), "b": weights(4), "m": weights(4 * 6 * 6, 5), **changes}
    nodes = [
        node("Conv", "x w b", "c", "first", pads=[1, 1, 1, 1]),
        node("Relu", "c", "r"),
        node("Flatten", "r", "f"),
        node("MatMul", "f m", "y", "last"),
    ]
    return make_model(nodes, {"x": ["N", 3, 6, 6]}, ["y"], constants, opset=opset)


@pytest.mark.parametrize("opset", range(7, onnx.defs.onnx_opset_version() + 1))
def test_reads_every_opset(opset: int, tmp_path: Path) -> None:
    if opset > 24:
        model = save(small_net(opset), tmp_path)
        assert ops(run_passes(read_model(model))) == ["conv2d", "reshape", "dense"]
        return
    graph = check_model(small_net(opset), tmp_path)
    assert ops(graph) == ["conv2d", "reshape", "dense"]
    assert graph.name == "net"
    assert [made.name for made in graph.nodes] == ["first", "f", "last"]


def test_old_and_future_opsets_are_refused(tmp_path: Path) -> None:
    for opset in (6, 1000):
        with pytest.raises(UserError, match=f"opset {opset}"):
            read_model(save(small_net(opset), tmp_path))


def test_truncated_file(tmp_path: Path) -> None:
    content = save(small_net(), tmp_path).read_bytes()
    for length in (0, 1, 10, len(content) // 2, len(content) - 7):
        path = tmp_path / "short.onnx"
        path.write_bytes(content[:length])
        with pytest.raises(UserError, match=r"short\.onnx"):
            read_model(path)


def test_damaged_names_and_constants(tmp_path: Path) -> None:
    content = save(small_net(), tmp_path).read_bytes()
    path = tmp_path / "damaged.onnx"
    path.write_bytes(content.replace(b"first", b"fi\xffst"))
    with pytest.raises(UserError, match="not text"):
        read_model(path)
    model = small_net()
    model.graph.initializer[1].raw_data += b"1234"
    with pytest.raises(UserError, match=r"'b'|damaged"):
        read_model(save(model, tmp_path))


def test_absurd_sizes(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="would have the shape 1x100000x100000"):
        read_model(save(shapeless(1, 100_000, 100_000), tmp_path))


def test_garbage_and_missing_files(tmp_path: Path) -> None:
    path = tmp_path / "a.onnx"
    path.write_bytes(b"this is not a network\n" * 40)
    with pytest.raises(UserError, match="not an ONNX model"):
        read_model(path)
    with pytest.raises(UserError, match="cannot read"):
        read_model(tmp_path / "absent.onnx")
    with pytest.raises(UserError, match="cannot read"):
        read_model(tmp_path / "a.onnx" / "below.onnx")
    with pytest.raises(UserError, match="unknown kind of model"):
        read_model(tmp_path / "a.tar")


def test_external_data(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    model = small_net()
    onnx.save(model, str(path), save_as_external_data=True, location="net.bin", size_threshold=0)
    x = random_inputs(read_model(path))
    inside = read_model(save(model, tmp_path, "inside.onnx"))
    np.testing.assert_array_equal(run_graph(read_model(path), x)["y"], run_graph(inside, x)["y"])
    (tmp_path / "net.bin").unlink()
    with pytest.raises(UserError, match=r"net\.bin, which cannot be read"):
        read_model(path)


@pytest.mark.parametrize(("value", "kind"), [(np.nan, "NaN"), (np.inf, "infinite")])
def test_weights_that_are_not_numbers(value: float, kind: str, tmp_path: Path) -> None:
    bad = weights(4, 3, 3, 3)
    bad[1, 2, 0, 1] = value
    with pytest.raises(UserError, match=rf"'first' \(Conv\): the constant 'w' has {kind}"):
        read_model(save(small_net(w=bad), tmp_path))


def test_layers_that_do_not_fit_together(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="do not fit together"):
        read_model(save(small_net(m=weights(99, 5)), tmp_path))
    with pytest.raises(UserError, match=r"'first' \(Conv\): its weights are for 2 inputs"):
        read_model(save(small_net(w=weights(4, 2, 3, 3)), tmp_path))


def test_statistics_that_give_nan(tmp_path: Path) -> None:
    one = np.ones(3, np.float32)
    nodes = [node("BatchNormalization", "x s s s v", "y", "norm")]
    model = make_model(nodes, {"x": [1, 3, 4, 4]}, ["y"], {"s": one, "v": -one})
    with pytest.raises(UserError, match=r"'norm'.*NaN"), np.errstate(all="ignore"):
        read_model(save(model, tmp_path))


def test_all_unsupported_layers_are_listed_first(tmp_path: Path) -> None:
    nodes = [
        node("Mod", "x x", "a", "layer one", fmod=1),
        node("Conv", "a nan", "b", "conv"),
        node("Det", "b", "c", "layer two"),
        node("NonZero", "c", "y", "layer three"),
    ]
    bad = np.full((1, 1, 1, 1), np.nan, np.float32)
    model = make_model(nodes, {"x": ["N", 1, "H", 4]}, ["y"], {"nan": bad}, types={"y": 7})
    with pytest.raises(UnsupportedError) as caught:
        read_model(save(model, tmp_path))
    assert caught.value.op == "Mod"
    for text in ("layer one", "Det in layer 'layer two'", "NonZero in layer 'layer three'"):
        assert text in str(caught.value)


def test_control_flow_is_refused(tmp_path: Path) -> None:
    branch = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["z"])],
        "branch",
        [],
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, [1, 4])],
    )
    nodes = [
        node("ReduceMax", "x", "m", keepdims=0),
        node("Cast", "m", "c", to=TensorProto.BOOL),
        helper.make_node("If", ["c"], ["y"], "choice", then_branch=branch, else_branch=branch),
    ]
    model = make_model(nodes, {"x": [1, 4]}, ["y"])
    with pytest.raises(UnsupportedError, match=r"If in layer 'choice'.*\n.*condition fixed"):
        read_model(save(model, tmp_path))


def test_foreign_domain_is_refused_by_its_full_name(tmp_path: Path) -> None:
    nodes = [helper.make_node("FusedConv", ["x"], ["y"], "f", domain="com.microsoft")]
    model = make_model(nodes, {"x": [1, 4]}, ["y"])
    with pytest.raises(UnsupportedError, match=r"com\.microsoft\.FusedConv in layer 'f'"):
        read_model(save(model, tmp_path))


def shapeless(*dims: int | str) -> onnx.ModelProto:
    return make_model([node("Relu", "x", "y")], {"x": list(dims)}, ["y"])


def test_symbolic_shapes(tmp_path: Path) -> None:
    assert read_model(save(shapeless("batch", 3, 8), tmp_path)).tensor("x").shape == (1, 3, 8)
    path = save(shapeless("batch", 3, "time"), tmp_path)
    with pytest.raises(UserError, match=r"axis 2 \(time\)\n.*--input-shape 1,3,32"):
        read_model(path)
    for given in ((1, 3, 8), (3, 8)):
        for name in ("x", ""):
            graph = read_model(path, input_shapes={name: given})
            assert graph.tensor("x").shape == (1, 3, 8)


def test_a_batch_behind_the_time(tmp_path: Path) -> None:
    """Recurrent layers of PyTorch have (time, batch, features) unless told otherwise."""
    assert read_model(save(shapeless(4, "batch", 6), tmp_path)).tensor("x").shape == (4, 1, 6)
    with pytest.raises(UserError, match=r"axis 1 \(b\)\n.*--input-shape 4,32,6"):
        read_model(save(shapeless(4, "b", 6), tmp_path))


def test_an_example_names_the_input_where_there_are_several(tmp_path: Path) -> None:
    model = make_model([node("Add", "x z", "y")], {"x": [1, 3], "z": [1, "n"]}, ["y"])
    with pytest.raises(UserError, match=r"--input-shape z=1,32$"):
        read_model(save(model, tmp_path))


@pytest.mark.parametrize("shape", [(1, 4, 8), (1, 3), (8,), (1, 3, 0), (1, 3, -2)])
def test_input_shapes_that_do_not_fit(shape: tuple[int, ...], tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"does not fit input 'x', which is [?],3,[?]"):
        read_model(save(shapeless("N", 3, "T"), tmp_path), input_shapes={"": shape})


def test_input_shape_of_an_unknown_input(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="must name the model's inputs, which are 'x'"):
        read_model(save(shapeless(1, 3), tmp_path), input_shapes={"image": (1, 3)})


def test_integer_inputs_are_refused(tmp_path: Path) -> None:
    model = make_model([node("Relu", "x", "y")], {"x": [1, 4]}, ["y"], types={"x": 7, "y": 7})
    with pytest.raises(UnsupportedError, match="'x' has whole numbers"):
        read_model(save(model, tmp_path))
    model = make_model([node("Not", "x", "y")], {"x": [1, 4]}, ["y"], types={"x": 9, "y": 9})
    with pytest.raises(UserError, match="type BOOL; only float"):
        read_model(save(model, tmp_path))


def test_names_are_kept_and_made_unique(tmp_path: Path) -> None:
    odd = 'a "quoted"\nname */ with é, 漢 and \\'
    nodes = [
        helper.make_node("Relu", ["x"], [odd], name=odd),
        helper.make_node("Sigmoid", [odd], ["b"], name=odd),
        helper.make_node("Neg", ["b"], ["y'"]),
    ]
    graph = read_model(
        save(make_model(nodes, {"x": [1, 4]}, ["y'"]), tmp_path, "8 bit/é.onnx"[-6:])
    )
    assert [made.name for made in graph.nodes] == [odd, f"{odd}_2", "Neg_2"]
    assert graph.io_names == {"x": "x", "y'": "y'"}
    after = run_passes(graph)
    assert list(run_graph(after, random_inputs(graph))) == ["y'"]


@pytest.mark.parametrize(
    ("stem", "name"),
    [
        ("ResNet-8 (v1.5)", "ResNet_8_v1_5"),
        ("8bit", "model_8bit"),
        ("int", "model_int"),
        ("string", "model_string"),
        ("__x__", "x"),
        ("漢字", "model"),
        ("é2", "model_2"),
    ],
)
def test_graph_name_is_a_c_identifier(stem: str, name: str, tmp_path: Path) -> None:
    assert c_identifier(stem) == name
    assert read_model(save(small_net(), tmp_path, f"{stem}.onnx")).name == name


def test_legacy_shape_subgraph_feeds_reshape(tmp_path: Path) -> None:
    nodes = [
        node("Relu", "x", "r"),
        node("Shape", "r", "s"),
        node("Gather", "s zero", "batch", axis=0),
        node("Unsqueeze", "batch axes", "batch1"),
        node("Concat", "batch1 minus", "target", axis=0),
        node("Reshape", "r target", "y"),
    ]
    constants = {"zero": np.asarray(0, np.int64), "axes": ints(0), "minus": ints(-1)}
    graph = check_model(make_model(nodes, {"x": ["N", 3, 4, 4]}, ["y"], constants), tmp_path)
    assert set(ops(graph)) <= {"unary", "reshape"}
    assert not any(tensor.is_const for tensor in graph.tensors.values())


def test_legacy_pad_subgraph_becomes_window_padding(tmp_path: Path) -> None:
    """The chain that torch.onnx writes for ZeroPad2d: pads in torch's order, reversed."""
    nodes = [
        node("Shape", "x", "shape"),
        node("Gather", "shape zero", "n", axis=0),
        node("Mul", "n no", "none"),
        node("Add", "none four", "four2"),
        node("ConstantOfShape", "fours", "tail", value=numpy_helper.from_array(ints(0))),
        node("Concat", "pads tail", "all", axis=0),
        node("Reshape", "all pairs", "table"),
        node("Slice", "table begin end axis0 step", "reversed"),
        node("Transpose", "reversed", "turned", perm=[1, 0]),
        node("Reshape", "turned flat", "list"),
        node("Cast", "list", "list64", to=TensorProto.INT64),
        node("Pad", "x list64 value", "p"),
        node("Conv", "p w", "y", strides=[2, 2]),
    ]
    constants = {
        "zero": np.asarray(0, np.int64), "no": np.asarray(0, np.int64),
        "four": np.asarray(4, np.int64), "fours": ints(4), "pads": ints(0, 1, 0, 1),
        "pairs": ints(-1, 2), "flat": ints(-1), "begin": ints(-1), "end": ints(-(2**62)),
        "axis0": ints(0), "step": ints(-1), "value": np.asarray(0.0, np.float32),
        "w": weights(2, 3, 3, 3),
    }  # fmt: skip
    graph = check_model(make_model(nodes, {"x": [1, 3, 8, 8]}, ["y"], constants), tmp_path)
    assert ops(graph) == ["conv2d"]
    params = graph.nodes[0].params
    pads = (params.pad_top, params.pad_bottom, params.pad_left, params.pad_right)
    assert pads == (0, 1, 0, 1)


def test_random_layers_are_not_folded(tmp_path: Path) -> None:
    nodes = [node("RandomNormal", "", "n", shape=[1, 4]), node("Add", "x n", "y")]
    with pytest.raises(UnsupportedError, match="RandomNormal"):
        read_model(save(make_model(nodes, {"x": [1, 4]}, ["y"]), tmp_path))


def test_constant_that_cannot_be_computed(tmp_path: Path) -> None:
    nodes = [node("Gather", "c far", "g", "lookup"), node("Add", "x g", "y")]
    constants = {"c": weights(4), "far": ints(9)}
    with pytest.raises(UserError, match="'lookup'"):
        read_model(save(make_model(nodes, {"x": [1, 4]}, ["y"], constants), tmp_path))


def test_layers_that_do_nothing_vanish(tmp_path: Path) -> None:
    nodes = [
        node("Identity", "x", "a"),
        node("Dropout", "a", "b mask"),
        node("Cast", "b", "c", to=TensorProto.FLOAT),
        node("Relu", "c", "y"),
    ]
    assert ops(check_model(make_model(nodes, {"x": [1, 4]}, ["y"]), tmp_path)) == ["unary"]


def test_squeeze_by_attribute_and_by_input(tmp_path: Path) -> None:
    old = [node("Unsqueeze", "x", "a", axes=[0, -1]), node("Squeeze", "a", "y", axes=[0])]
    check_model(make_model(old, {"x": [1, 4]}, ["y"], opset=11), tmp_path)
    new = [node("Unsqueeze", "x up", "a"), node("Squeeze", "a down", "y")]
    constants = {"up": ints(0, -1), "down": ints(0)}
    check_model(make_model(new, {"x": [1, 4]}, ["y"], constants), tmp_path)


def test_output_that_is_an_input_or_given_twice(tmp_path: Path) -> None:
    nodes = [node("Relu", "x", "a"), node("Identity", "a", "b"), node("Identity", "x", "c")]
    graph = check_model(make_model(nodes, {"x": [1, 4]}, ["a", "b", "c"]), tmp_path)
    assert [graph.io_names[name] for name in graph.outputs] == ["a", "b", "c"]
    assert len({*graph.outputs, *graph.inputs}) == 4


def test_further_outputs_that_are_used_are_refused(tmp_path: Path) -> None:
    nodes = [node("Dropout", "x", "p kept", "drop"), node("Relu", "p", "y")]
    model = make_model(nodes, {"x": [1, 1, 4, 4]}, ["y", "kept"], types={"kept": 9})
    with pytest.raises(UnsupportedError, match=r"Dropout in layer 'drop'.*'kept' is used"):
        read_model(save(model, tmp_path))


def test_initializers_among_the_inputs_are_constants(tmp_path: Path) -> None:
    model = make_model(
        [node("Add", "x b", "y")], {"x": [1, 4], "b": [1, 4]}, ["y"], {"b": weights(1, 4)}
    )
    assert read_model(save(model, tmp_path)).inputs == ("x",)


def test_half_precision_weights(tmp_path: Path) -> None:
    half = {"w": weights(4, 3, 3, 3).astype(np.float16)}
    nodes = [node("Cast", "w", "wf", to=TensorProto.FLOAT), node("Conv", "x wf", "y")]
    graph = check_model(make_model(nodes, {"x": [1, 3, 6, 6]}, ["y"], half), tmp_path)
    assert ops(graph) == ["conv2d"]


def test_model_local_functions_are_inlined(tmp_path: Path) -> None:
    function = helper.make_function(
        "mine", "Twice", ["a"], ["b"], [helper.make_node("Add", ["a", "a"], ["b"])],
        [helper.make_opsetid("", 17)],
    )  # fmt: skip
    model = make_model(
        [helper.make_node("Twice", ["x"], ["y"], domain="mine")], {"x": [1, 4]}, ["y"]
    )
    model.functions.append(function)
    model.opset_import.append(helper.make_opsetid("mine", 1))
    graph = read_model(save(model, tmp_path))
    x = random_inputs(graph)
    np.testing.assert_allclose(run_graph(run_passes(graph), x)["y"], 2 * x["x"])


def test_an_output_that_is_a_sequence_is_named(tmp_path: Path) -> None:
    model = make_model([node("SplitToSequence", "x", "parts")], {"x": [2, 3]}, ["parts"])
    kind = model.graph.output[0].type.sequence_type.elem_type.tensor_type
    kind.elem_type = onnx.TensorProto.FLOAT
    with pytest.raises(UserError, match="'parts' is a sequence, not a tensor"):
        read_model(save(model, tmp_path))


def test_long_names_do_not_fill_the_screen(tmp_path: Path) -> None:
    model = make_model([node("Relu", "x x", "y", "n" * 5000)], {"x": [2, 3]}, ["y"])
    with pytest.raises(UserError, match=r"not a valid ONNX model: .{300}$"):
        read_model(save(model, tmp_path))
