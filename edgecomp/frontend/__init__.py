"""Front ends: a trained model, as its tool saved it, becomes a float graph."""

from pathlib import Path

from edgecomp.errors import UserError
from edgecomp.frontend.onnx_file import InputShapes
from edgecomp.ir import Graph

__all__ = ["InputShapes", "read_model"]


def read_model(
    path: str | Path,
    *,
    input_shapes: InputShapes | None = None,
    sample_shape: tuple[int, ...] | None = None,
) -> Graph:
    """Read a model file of any kind that is supported.

    Args:
        path: `model.onnx`; `model.tflite`; `model.pt2`, saved by `torch.export.save`;
            `file.py:factory`, a function that returns an `nn.Module`, or a pair of it and an
            example input; `zoo:NAME`, an untrained network; or `model.npz`, a graph that
            `edgecomp compress` wrote.
        input_shapes: shapes by input name, where the file leaves them open; the name `""` stands
            for the only input.  The batch of 1 may be left out.
        sample_shape: shape of a sample, for a factory that gives no example input where
            `input_shapes` gives none, either.

    Returns:
        The float graph, as the model has it: `edgecomp.passes.run_passes` comes next.

    Raises:
        UserError: the file cannot be read or used.
        UnsupportedError: it has layers that cannot be compiled.
    """
    text = str(path)
    if text.startswith("zoo:"):
        from edgecomp.frontend.torch_reader import read_module
        from edgecomp.zoo import zoo_module

        if input_shapes:
            raise UserError(
                f"{text}: give the input's shape as {text.partition('?')[0]}?input=C,H,W"
            )
        return read_module(text, *zoo_module(text))
    file, colon, factory = text.rpartition(":")
    suffix = Path(file if colon and file.endswith(".py") else text).suffix.lower()
    if suffix in {".py", ".pt2", ".pt", ".pth"}:
        from edgecomp.frontend.torch_reader import read_torch

        return read_torch(text, factory, input_shapes=input_shapes, sample_shape=sample_shape)
    if suffix == ".onnx":
        from edgecomp.frontend.onnx_reader import read_onnx

        return read_onnx(Path(text), input_shapes=input_shapes)
    if suffix == ".tflite":
        from edgecomp.frontend.tflite_reader import read_tflite

        if input_shapes:
            raise UserError(f"{text}: a TFLite file has its own input shapes; leave them out")
        return read_tflite(Path(text))
    if suffix == ".npz":
        from edgecomp.ir.serialize import load_graph
        from edgecomp.ops import PARAMS

        if input_shapes:
            raise UserError(f"{text}: a compressed model has its own input shapes; leave them out")
        return load_graph(Path(text), PARAMS)
    raise UserError(
        f"{text}: unknown kind of model\n"
        "  give model.onnx, model.tflite, model.pt2 (torch.export), file.py:factory, zoo:NAME or "
        "the model.npz of edgecomp compress"
    )
