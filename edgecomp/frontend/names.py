"""Names: a C identifier for the network, unique names for everything in it."""

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx

STANDARD_DOMAINS = frozenset({"", "ai.onnx"})
"""Of the operators of ONNX itself."""

# Keywords of C99, C11 and C++ (the header must serve both), and the standard headers, beside
# which a generated `string.h` would be found first; and the files that are written beside it.
_WORDS = """
alignas alignof and and_eq asm auto bitand bitor bool break case catch char class compl complex
const constexpr const_cast continue decltype default delete do double dynamic_cast else enum
explicit export extern false float for friend goto if imaginary inline int long mutable namespace
new noexcept not not_eq nullptr operator or or_eq private protected public register
reinterpret_cast restrict return short signed sizeof static static_assert static_cast struct switch
template this thread_local throw true try typedef typeid typename typeof union unsigned using
virtual void volatile wchar_t while xor xor_eq
assert ctype errno fenv inttypes iso646 limits locale main math setjmp signal stdarg stdbool stddef
stdint stdio stdlib string tgmath time wctype
app_model app_stages edgecomp
"""
_RESERVED = frozenset(_WORDS.split())


def c_identifier(text: str) -> str:
    """Turn a file's name into a C identifier that may begin a file's name and external names.

    >>> c_identifier("ResNet-8 (v1.5)")
    'ResNet_8_v1_5'
    >>> c_identifier("8bit"), c_identifier("int"), c_identifier("")
    ('model_8bit', 'model_int', 'model')
    """
    name = re.sub(r"[^0-9A-Za-z]+", "_", text).strip("_")
    if not name:
        return "model"
    if name[0].isdigit() or name.lower() in _RESERVED:
        return f"model_{name}"
    return name


class UniqueNames:
    """Hands out names that were not handed out before."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        """Begin with the names that are `taken`."""
        self._taken = set(taken)

    def __contains__(self, name: str) -> bool:
        """Whether `name` is taken."""
        return name in self._taken

    def take(self, name: str) -> str:
        """Return `name`, or `name_2`, `name_3`, … where it is taken."""
        candidate, count = name, 1
        while candidate in self._taken:
            count += 1
            candidate = f"{name}_{count}"
        self._taken.add(candidate)
        return candidate


def qualified(node: "onnx.NodeProto") -> str:
    """Operator name, with its domain where that is not the standard one."""
    return node.op_type if node.domain in STANDARD_DOMAINS else f"{node.domain}.{node.op_type}"
