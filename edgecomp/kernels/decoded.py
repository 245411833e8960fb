"""Plain kernels on weights that are decoded as a whole: before their layer runs, or once at boot.

What is coded are the weights in the order in which the plain kernel reads them (`packing.py`); what
stands between them, biases and multipliers, lies beside.  The device puts both together, word by
word what the plain kernel would have in flash, and calls its function.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, ClassVar

from edgecomp.ir import Array
from edgecomp.ir.weights import WEIGHTS
from edgecomp.kernels.base import Constant, Decode, Kernel, Layer
from edgecomp.kernels.packing import Packing, packing_of
from edgecomp.kernels.schedule import Schedule
from edgecomp.kernels.stored import Stored
from edgecomp.storage import STORAGES
from edgecomp.targets.cores import Core


class Decoded(Stored):
    """A plain kernel that reads decoded weights.

    Attributes:
        plain: the kernel.
    """

    plain: ClassVar[Kernel]

    def packing(self, layer: Layer) -> Packing:
        """Where the weights lie in the array that is decoded."""
        found = packing_of(self.plain, layer)
        assert found is not None, "the kernel applies"
        return found

    def ordered(self, layer: Layer) -> Array:
        """By records of the plain kernel's array."""
        return self.packing(layer).weights

    def applies(self, layer: Layer, core: Core) -> str | None:
        """What the plain kernel computes from an array that holds the weights as bytes."""
        if reason := self.plain.applies(layer, core):
            return reason
        if packing_of(self.plain, layer) is None:
            return f"{self.plain.name} does not keep the weights as they are"
        return STORAGES[self.storage].refusal(self.ordered(layer))

    def beside(self, layer: Layer) -> list[Constant]:
        """The words between the weights; what all records have alike is kept once."""
        packing = self.packing(layer)
        if not packing.in_words:
            return []
        names = ("head", "before", "after")
        comments = ("words in front", "words before weights", "words behind weights")
        found = []
        for name, words, comment in zip(names, packing.beside(), comments, strict=True):
            alike = name != "head" and bool((words == words[:1]).all())
            if words.size:
                text = f"{comment} of every channel" if alike else comment
                found.append(Constant(name, "uint32_t", words[:1] if alike else words, True, text))
        return found

    def constants(self, layer: Layer) -> Sequence[Constant]:
        """Coded weights, the words between them, and the plain kernel's other arrays."""
        decoded = self.packing(layer).constant.name
        others = [one for one in self.plain.constants(layer) if one.name != decoded]
        return [*self.coded_constants(layer), *self.beside(layer), *others]

    @property
    def at_boot(self) -> bool:
        """Whether the weights are decoded before the first inference."""
        return self.decode == "boot"

    def boot_bytes(self, layer: Layer) -> int:
        """The decoded array."""
        return self.packing(layer).size_bytes if self.at_boot else 0

    def decode_bytes(self, layer: Layer) -> int:
        """The decoded array, where it lies in the scratch."""
        return 0 if self.at_boot else -(-self.packing(layer).size_bytes // 4) * 4

    def own_scratch(self, layer: Layer) -> int:
        """What the plain kernel needs, up to the next word."""
        return -(-self.plain.scratch_bytes(layer) // 4) * 4

    def scratch_bytes(self, layer: Layer) -> int:
        """What the plain kernel needs, and behind it the decoded array."""
        if self.at_boot:
            return self.plain.scratch_bytes(layer)
        return self.own_scratch(layer) + self.decode_bytes(layer)

    def schedule(self, layer: Layer) -> Schedule | None:
        """As with plain weights."""
        return self.plain.schedule(layer)

    def overlap(self, layer: Layer, index: int) -> int | None:
        """As with plain weights."""
        return self.plain.overlap(layer, index)

    def behind(self, layer: Layer, index: int) -> int | None:
        """As with plain weights."""
        return self.plain.behind(layer, index)

    def in_place_inputs(self, layer: Layer) -> tuple[int, ...]:
        """As with plain weights."""
        return self.plain.in_place_inputs(layer)

    def context(self, layer: Layer) -> dict[str, Any]:
        """That of the plain kernel."""
        return self.plain.context(layer)

    def decoding(self, layer: Layer) -> dict[str, Any]:
        """Values for the template of the function that decodes."""
        packing = self.packing(layer)
        sizes = {constant.name: constant.values for constant in self.beside(layer)}
        return {
            "e": self.encoded(layer),
            "p": packing,
            "steps": {
                name: int(words.shape[1]) if len(words) == packing.records > 1 else 0
                for name, words in sizes.items()
                if name != "head"
            },
            "has": frozenset(sizes),
            "at_boot": self.at_boot,
            "own_scratch": self.own_scratch(layer),
        }


TIMES: tuple[Decode, ...] = ("layer", "boot")
"""When whole layers are decoded."""


def decoded_kernels(kernels: Iterable[Kernel]) -> Iterator[Kernel]:
    """Yield for every plain kernel of weights one for each storage and each of `TIMES`."""
    for plain in kernels:
        if plain.op not in WEIGHTS or plain.storage != "dense8" or plain.is_lean:
            continue
        for storage in STORAGES:
            for time in TIMES if storage != "dense8" else ():
                name = f"{plain.name}_{storage}_{time}"
                yield type(
                    "".join(part.capitalize() for part in name.split("_")),
                    (Decoded,),
                    {
                        "__doc__": f"`{plain.name}` on `{storage}` weights.",
                        "name": name,
                        "op": plain.op,
                        "template": plain.template,
                        "storage": storage,
                        "decode": time,
                        "goals": plain.goals,
                        "numerics": plain.numerics,
                        "code_type": plain.code_type,
                        "plain": plain,
                    },
                )()
