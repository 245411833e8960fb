"""Reads PyTorch models: exported by `torch.export`, turned into ONNX in memory, read from there.

torch is imported only when a function here is called: edgecomp works without it.
"""

import ast
import collections
import contextlib
import difflib
import importlib.util
import io
import logging
import sys
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import onnx

from edgecomp.errors import EdgecompError, UserError
from edgecomp.frontend.names import c_identifier
from edgecomp.frontend.onnx_file import InputShapes, checked
from edgecomp.frontend.onnx_fold import foldable_nodes
from edgecomp.frontend.onnx_reader import convert
from edgecomp.frontend.torch_quantized import clamp_narrow_ranges, register_quantizers
from edgecomp.frontend.torch_recurrent import recurrent_translations
from edgecomp.ir import Graph, Shape

if TYPE_CHECKING:
    import torch

OPSET = 20
"""The oldest operator set that has Gelu, which would come in pieces otherwise."""

SCOPES = ".name_scopes"
"""Ending of the key under which an exported node keeps the path of its module."""

_FACTORY_HELP = """\
  write a Python file that builds the network and loads its weights, and give FILE.py:FUNCTION:
    import torch
    def model():
        net = MyNet()
        net.load_state_dict(torch.load("weights.pt"))
        return net, torch.zeros(1, 3, 32, 32)        # the example input may be left out"""


def read_torch(
    source: str,
    factory: str = "",
    *,
    input_shapes: InputShapes | None = None,
    sample_shape: Shape | None = None,
) -> Graph:
    """Read a PyTorch model.

    Args:
        source: `file.py:factory`, or the path of a `.pt2` file.
        factory: the function's name, where `source` has one.
        input_shapes: shapes of the inputs, by name or in order; needed where the factory returns
            no example input.
        sample_shape: taken instead of `input_shapes` where that is needed and not given.

    Returns:
        The float graph, as from ONNX.

    Raises:
        UserError: torch is missing, the file or the factory fails, or the module cannot be
            exported.
        UnsupportedError: layers that cannot be compiled.
    """
    suffix = Path(source).suffix.lower()
    if suffix == ".py":
        raise UserError(f"{source}: say which function builds the network\n{_FACTORY_HELP}")
    if suffix in {".pt", ".pth"}:
        raise UserError(
            f"{source} holds weights, not the network that they belong to\n{_FACTORY_HELP}"
        )
    torch = _import_torch()
    shapes = dict(input_shapes or {})
    if suffix == ".pt2":
        program, name = _load_program(torch, Path(source)), Path(source).stem
    else:
        module, example = _call_factory(torch, Path(source[: -len(factory) - 1]), factory)
        if example is None or shapes:
            wanted = shapes or ({"": sample_shape} if sample_shape else {})
            example = _zeros(torch, source, module, wanted)
            shapes = {}
        program, name = _export(torch, source, module, example), factory
        if name in {"model", "factory", "build", "create", "make", "net", "network"}:
            name = Path(source[: -len(factory) - 1]).stem
    model = _to_onnx(torch, source, program)
    return convert(checked(model, source), c_identifier(name), shapes)


def read_any_module(module: "torch.nn.Module", input_shapes: InputShapes | None = None) -> Graph:
    """Read a user's module, which is left in the mode that it was in.

    Args:
        module: an `nn.Module`.
        input_shapes: shapes of its inputs, in order, with or without the batch of 1.

    Raises:
        UserError: a shape is missing, or the module cannot be exported.
        UnsupportedError: layers that cannot be compiled.
    """
    torch = _import_torch()
    name = type(module).__name__
    trained = module.training
    module.eval()
    try:
        example = _zeros(torch, name, module, dict(input_shapes or {}))
        program = _export(torch, name, module, example)
    finally:
        module.train(trained)
    return convert(checked(_to_onnx(torch, name, program), name), c_identifier(name), {})


def read_module(
    source: str, module: "torch.nn.Module", example: "torch.Tensor", name: str
) -> Graph:
    """Read a module that is there already; `source` stands for it in messages.

    Raises:
        UserError: torch's exporter is missing, or the module cannot be exported.
        UnsupportedError: layers that cannot be compiled.
    """
    torch = _import_torch()
    program = _export(torch, source, module, (example,))
    return convert(checked(_to_onnx(torch, source, program), source), c_identifier(name), {})


def _import_torch() -> Any:
    """Import torch, or say what to install."""
    try:
        import onnxscript  # noqa: F401 - torch.onnx needs it and says so only late
        import torch
    except ImportError as error:
        raise UserError(
            f"reading PyTorch models needs {error.name}\n"
            "  install it: pip install 'edgecomp[torch]', or export the model to ONNX"
        ) from error
    return torch


def _call_factory(
    torch: Any, path: Path, name: str
) -> "tuple[torch.nn.Module, tuple[torch.Tensor, ...] | None]":
    """Run the user's factory.

    Returns:
        The module in evaluation mode, and its example inputs if the factory gave any.
    """
    source = f"{path}:{name}"
    module_of_file = _load_module(path)
    factory = getattr(module_of_file, name, None)
    if not callable(factory):
        near = difflib.get_close_matches(name, vars(module_of_file), 1)
        hint = f"; did you mean {near[0]!r}?" if near else f"\n{_FACTORY_HELP}"
        raise UserError(f"{path} has no function {name!r}{hint}")
    try:
        made = factory()
    except Exception as error:
        raise UserError(f"{source} failed: {type(error).__name__}: {error}") from error
    module, example = made if isinstance(made, tuple) and len(made) == 2 else (made, None)
    if isinstance(module, dict):
        raise UserError(f"{source} returned weights, not the network\n{_FACTORY_HELP}")
    if not isinstance(module, torch.nn.Module):
        kind = type(module).__name__
        raise UserError(f"{source} returned {kind}, not an nn.Module\n{_FACTORY_HELP}")
    if example is not None:
        example = tuple(example) if isinstance(example, (tuple, list)) else (example,)
        if not all(isinstance(tensor, torch.Tensor) for tensor in example):
            raise UserError(f"{source}: the example input must be a tensor or a tuple of tensors")
    with contextlib.suppress(NotImplementedError):
        # Programs that were exported once, as quantized ones are, refuse: they are in one mode.
        module.eval()
    return module, example


def _load_module(path: Path) -> ModuleType:
    """Import a Python file by its path; its own folder is searched for what it imports."""
    if not path.is_file():
        raise UserError(f"cannot read {path}: no such file")
    spec = importlib.util.spec_from_file_location(c_identifier(path.stem), path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.resolve().parent))
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise UserError(f"{path} cannot be imported: {type(error).__name__}: {error}") from error
    finally:
        sys.path.pop(0)
    return module


def _zeros(
    torch: Any, source: str, module: "torch.nn.Module", shapes: InputShapes
) -> "tuple[torch.Tensor, ...]":
    """Example inputs of the shapes that the user gave, with or without the batch of 1.

    `1,28,28` may be a picture of one channel or one sequence: what the module accepts decides.
    """
    if not shapes:
        raise UserError(
            f"the shape of {source}'s input is not known\n"
            "  give it, for example --input-shape 1,3,32,32, or let the factory return a pair of "
            "the network and an example input"
        )
    given = tuple(torch.zeros([int(n) for n in shape]) for shape in shapes.values())
    batched = tuple(tensor.unsqueeze(0) for tensor in given)
    likely_batched = all(t.shape[:1] == (1,) and t.ndim in {2, 4} for t in given)
    candidates = [given, batched] if likely_batched else [batched, given]
    # Pictures of one channel are often kept without it.
    candidates.append(tuple(tensor.unsqueeze(0) for tensor in batched))
    # What an embedding wants are whole numbers.
    candidates += [tuple(tensor.long() for tensor in example) for example in candidates]
    for example in candidates:
        with contextlib.suppress(Exception), _quiet(torch), torch.no_grad():
            module(*example)
            return example
    return given


def _export(
    torch: Any, source: str, module: "torch.nn.Module", example: "Sequence[torch.Tensor]"
) -> Any:
    """Trace a module by `torch.export`."""
    tensors = tuple(tensor.detach().cpu() for tensor in example)
    try:
        with _quiet(torch), torch.no_grad():
            module(*tensors)
            return torch.export.export(module.cpu(), tensors)
    except Exception as error:
        shapes = ", ".join("x".join(map(str, tensor.shape)) for tensor in tensors)
        raise UserError(
            f"{source} cannot be exported with an input of {shapes}: "
            f"{type(error).__name__}: {_first_line(error)}\n"
            "  torch.export refuses control flow that depends on data; see its message"
        ) from error


def _load_program(torch: Any, path: Path) -> Any:
    """Load what `torch.export.save` wrote."""
    if not path.is_file():
        raise UserError(f"cannot read {path}: no such file")
    try:
        with _quiet(torch):
            register_quantizers()
            return torch.export.load(str(path))
    except Exception as error:
        raise UserError(
            f"{path} is not a program saved by torch.export.save, or it is truncated: "
            f"{_first_line(error)}"
        ) from error


def _to_onnx(torch: Any, source: str, program: Any) -> onnx.ModelProto:
    """Translate an exported program to ONNX, in memory."""
    try:
        with _quiet(torch), torch.no_grad():
            clamp_narrow_ranges(torch, program)
            # Unoptimized, since the passes do the same with the layers' names kept.
            exported = torch.onnx.export(
                program,
                (),
                dynamo=True,
                opset_version=OPSET,
                verbose=False,
                optimize=False,
                custom_translation_table=recurrent_translations(torch),
            )
            model = exported.model_proto
    except EdgecompError:
        raise
    except Exception as error:
        raise UserError(
            f"{source} cannot be translated to ONNX: {type(error).__name__}: {_first_line(error)}\n"
            "  it has an operation that ONNX does not know"
        ) from error
    assert isinstance(model, onnx.ModelProto)
    _name_layers(model)
    return model


def _name_layers(model: onnx.ModelProto) -> None:
    """Name layers by the modules that they came from: `features.3`, as the user knows them."""
    scopes: dict[int, tuple[str, str]] = {}
    constants = foldable_nodes(model.graph.node, [t.name for t in model.graph.initializer])
    for index, node in enumerate(model.graph.node):
        entries = [entry.value for entry in node.metadata_props if entry.key.endswith(SCOPES)]
        path = ast.literal_eval(entries[0]) if entries else []
        if index not in constants and len(path) > 1:
            scopes[index] = (path[-2], path[-1])
    counts = collections.Counter(module for module, _ in scopes.values())
    for index, (module, call) in scopes.items():
        alone = module and counts[module] == 1
        model.graph.node[index].name = module if alone else f"{module}.{call}".lstrip(".")


def _first_line(error: Exception) -> str:
    """What an exception says, without pages of detail."""
    return next(iter(str(error).strip().splitlines()), "no message")


@contextlib.contextmanager
def _quiet(torch: Any) -> Iterator[None]:
    """Keep exporters from printing progress and warnings that concern their own future."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
