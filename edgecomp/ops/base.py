"""What every operator answers: its meaning in real numbers and in integers.

Arrays of activations carry a leading *sample* axis: `(samples, *tensor.shape)`.  Constants come
without it, as they lie in the graph.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import numpy as np

from edgecomp.errors import UnsupportedError
from edgecomp.ir import Array, OpParams, Shape, Tensor
from edgecomp.ops.advice import advice

P = TypeVar("P", bound=OpParams)


@dataclass(frozen=True)
class ImportedNode:
    """A node as a model file has it, free of the file format's own types.

    Attributes:
        op_type: the operator's name in the file (`Conv`, `Gemm`, …).
        name: the layer's name, unique in the file.
        inputs: tensor names; an absent optional input is the empty string.
        outputs: tensor names.
        attrs: attributes as plain Python and numpy values; strings are `str`.
        opset: version of the operator set.
    """

    op_type: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attrs: Mapping[str, Any] = field(default_factory=dict)
    opset: int = 17

    def has_input(self, index: int) -> bool:
        """Whether the optional input `index` is given."""
        return index < len(self.inputs) and self.inputs[index] != ""


class Builder(Protocol):
    """What a front end offers to the `from_onnx` functions.

    Names are those of `ImportedNode.inputs`, or names that `emit` and `constant` returned.
    """

    def shape(self, name: str) -> Shape:
        """Shape of a tensor, the batch of 1 included."""

    def value(self, name: str) -> Array | None:
        """The elements of a constant, or None for an activation."""

    def constant(self, data: Array, hint: str, layout: str = "", like: str = "") -> str:
        """Add a constant and return its name.

        `like` names the constant that it is a rearranged copy of: its quantization parameters are
        kept, the channels being on axis 0 now.
        """

    def emit(
        self, op: str, inputs: Sequence[str], params: OpParams, node: ImportedNode, suffix: str = ""
    ) -> str:
        """Add a node and return the name of its output."""

    def transpose(self, name: str, perm: Sequence[int], node: ImportedNode) -> str:
        """Add a transpose of an activation (or fold it into a constant)."""

    def reshape(self, name: str, shape: Shape, node: ImportedNode) -> str:
        """Add a reshape of an activation (or fold it into a constant)."""

    def unsupported(
        self, node: ImportedNode, limit: str, suggestion: str = "", attribute: str = ""
    ) -> UnsupportedError:
        """Build the error for a node that cannot be imported."""


SingleImporter = Callable[[ImportedNode, Builder], str]
"""Imports one node and returns the name of the tensor that stands for its first output."""

Importer = Callable[[ImportedNode, Builder], str | list[str]]
"""Imports one node; a list has one name per output, an absent one the empty string."""


class Op(ABC, Generic[P]):
    """An operator.  One subclass and one instance in `OPS` per operator."""

    name: ClassVar[str]
    same_qparams: ClassVar[bool] = False
    """Whether the codes are only moved: inputs and output share their quantization parameters."""

    @abstractmethod
    def infer(self, params: P, inputs: Sequence[Tensor]) -> Shape:
        """Return the output's shape."""

    @abstractmethod
    def float_ref(self, params: P, inputs: Sequence[Tensor], arrays: Sequence[Array]) -> Array:
        """Compute real outputs `(samples, *shape)` in the arrays' own float type."""

    @abstractmethod
    def prepare(self, params: P, inputs: Sequence[Tensor], output: Tensor) -> Any:
        """Return the integer constants that the device needs: bias, multiplier, shift, clamp."""

    @abstractmethod
    def int_ref(
        self, params: P, prepared: Any, inputs: Sequence[Tensor], arrays: Sequence[Array]
    ) -> Array:
        """Compute output codes (int8) exactly as the device must, bit for bit."""

    def macs(self, params: P, inputs: Sequence[Tensor], output: Tensor) -> int:
        """Multiply-accumulates of one inference."""
        return 0

    def constraints(self) -> Sequence["Constraint[P]"]:
        """Limits that a node must keep; checked before anything is generated."""
        return ()


Constraint = Callable[[P, Sequence[Tensor]], bool]
"""A limit: returns whether it holds.  Its docstring is the error message and the manual line."""


def check_constraints(op: Op[Any], params: OpParams, inputs: Sequence[Tensor], layer: str) -> None:
    """Raise `UnsupportedError` for the first limit of `op` that `layer` breaks."""
    error = broken_limit(op, params, inputs, layer)
    if error is not None:
        raise error


def broken_limit(
    op: Op[Any], params: OpParams, inputs: Sequence[Tensor], layer: str
) -> UnsupportedError | None:
    """The error for the first limit of `op` that `layer` breaks; None where it keeps all."""
    for constraint in op.constraints():
        if not constraint(params, inputs):
            limit = " ".join((constraint.__doc__ or constraint.__name__).split())
            return UnsupportedError(op.name, layer, limit, advice(limit))
    return None


def as_nhwc(shape: Shape) -> tuple[int, int, int, int]:
    """Read an NHWC, NWC or NC shape as NHWC."""
    if len(shape) == 4:
        n, h, w, c = shape
        return n, h, w, c
    if len(shape) == 3:
        n, w, c = shape
        return n, 1, w, c
    n, c = shape
    return n, 1, 1, c


def like_rank(rank: int, n: int, h: int, w: int, c: int) -> Shape:
    """Give an NHWC shape the rank of the input it came from."""
    return {4: (n, h, w, c), 3: (n, w, c), 2: (n, c)}[rank]


def exact_matmul(a: Array, b: Array, bound: int) -> Array:
    """Multiply integer matrices exactly by BLAS, quickly.

    Args:
        a: integers `(..., m, k)`.
        b: integers `(..., k, n)`.
        bound: proved upper bound of every partial sum's absolute value.

    Returns:
        The product as int64.  Sums of integers below 2^24 (2^53) are exact in float32 (float64)
        in whatever order they are added.
    """
    if bound < 2**24:
        product = np.matmul(a.astype(np.float32), b.astype(np.float32))
    elif bound < 2**53:
        product = np.matmul(a.astype(np.float64), b.astype(np.float64))
    else:
        return np.asarray(np.matmul(a.astype(np.int64), b.astype(np.int64)))
    return np.asarray(product.astype(np.int64))
