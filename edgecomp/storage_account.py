"""What the report says about the storage of weights: bytes of decoders, and what was refused."""

import re
from dataclasses import asdict
from typing import Any

from edgecomp.build.sizes import ImageSizes
from edgecomp.plan.types import Plan


def storage_report(plan: Plan, sizes: ImageSizes) -> dict[str, Any]:
    """The report's `storage`.

    Args:
        plan: the plan.
        sizes: of the linked image.
    """
    decoders = plan.decoders
    names = re.compile(
        rf"_*ec_(prefix|{'|'.join(sorted(decoders))})_[a-z]+\d*(_[a-z]+)*(\.\w+)*|L\d+_decode"
    )
    found = [s for s in sizes.symbols if decoders and names.fullmatch(s.name)]
    return {
        "decoder_bytes": sum(symbol.size_bytes for symbol in found),
        "decode_ram_bytes": max((plan.decode_bytes(s) for s in plan.stages), default=0),
        "boot_ram_bytes": plan.boot_ram_bytes,
        "choices": [
            {**asdict(choice), "allowed": list(choice.allowed)} for choice in plan.storage_choices
        ],
    }
