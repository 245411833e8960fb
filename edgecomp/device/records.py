"""The bytes that host and check image exchange; `firmware/app/check.c` is the other side.

All numbers are 32-bit and little-endian:

```
request  "ECK1", build id (0 = any), flags (1: CRCs, 2: tensors), samples; inputs of each sample
reply    "ECK1", build id, stages, arena bytes
         per sample, per stage: [CRC-32 of its output] [its output]; then the outputs
         "DONE", samples, stack high water, arena high water, guard ok, counter kind
```
"""

import struct
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edgecomp.errors import BadFrame

FLAG_CRC = 1
FLAG_DUMP = 2
_MAGIC = 0x314B4345
_DONE = 0x454E4F44
_HEADER = struct.Struct("<4I")
_TRAILER = struct.Struct("<6I")
_COUNTERS: tuple[Literal["none", "dwt", "systick"], ...] = ("none", "dwt", "systick")


@dataclass(frozen=True)
class ModelLayout:
    """What the host must know of a model to talk to its check image; sizes in bytes.

    `build_id` 0 accepts any image.  Where there are states, samples depend on those before them.
    """

    build_id: int
    arena_bytes: int
    input_bytes: tuple[int, ...]
    output_bytes: tuple[int, ...]
    stage_output_bytes: tuple[int, ...]
    state_bytes: int = 0

    def sample_bytes(self, flags: int) -> int:
        """Return how many bytes the reply has per sample."""
        crcs = 4 * len(self.stage_output_bytes) if flags & FLAG_CRC else 0
        dumps = sum(self.stage_output_bytes) if flags & FLAG_DUMP else 0
        return crcs + dumps + sum(self.output_bytes)


@dataclass(frozen=True)
class CheckResult:
    """What the check image reports of a run over S samples.

    `outputs` has one int8 array [S, bytes] per output; `stage_crcs` is uint32 [S, stages] and
    `dumps` one int8 array [S, bytes] per stage, both None where they were not asked for.
    """

    outputs: list[NDArray[np.int8]]
    stage_crcs: NDArray[np.uint32] | None
    dumps: list[NDArray[np.int8]] | None
    stack_high_water_bytes: int
    arena_high_water_bytes: int
    guard_ok: bool
    counter: Literal["none", "dwt", "systick"]


def encode_request(layout: ModelLayout, flags: int, inputs: NDArray[np.int8]) -> bytes:
    """Return the request for `inputs` [S, sum of the input bytes]."""
    header = _HEADER.pack(_MAGIC, layout.build_id, flags, len(inputs))
    return header + np.ascontiguousarray(inputs).tobytes()


def samples_done(reply_bytes: int, layout: ModelLayout, flags: int, samples: int) -> int:
    """Return how many of `samples` a reply of that length, perhaps cut short, holds in full."""
    body = max(0, reply_bytes - _HEADER.size)
    return min(samples, body // max(1, layout.sample_bytes(flags)))


def decode_reply(reply: bytes, layout: ModelLayout, flags: int, samples: int) -> CheckResult:
    """Take a whole reply apart.

    Raises:
        BadFrame: it comes from another model or is not what the request asks for.
    """
    check_header(reply, layout)
    size = layout.sample_bytes(flags)
    expected = _HEADER.size + samples * size + _TRAILER.size
    if len(reply) != expected:
        raise BadFrame(
            f"the reply has {len(reply)} bytes instead of {expected}\n"
            f"  {samples_done(len(reply), layout, flags, samples)} of {samples} samples are there"
        )
    done, count, stack, arena, guard, counter = _TRAILER.unpack(reply[-_TRAILER.size :])
    if done != _DONE or count != samples or counter >= len(_COUNTERS):
        raise BadFrame("the reply does not end as it should: host and image disagree on its layout")

    body = np.frombuffer(reply, np.int8, samples * size, _HEADER.size).reshape(samples, size)
    crcs: list[NDArray[np.uint32]] = []
    dumps: list[NDArray[np.int8]] = []
    at = 0
    for stage_bytes in layout.stage_output_bytes:
        if flags & FLAG_CRC:
            crcs.append(np.ascontiguousarray(body[:, at : at + 4]).view("<u4"))
            at += 4
        if flags & FLAG_DUMP:
            dumps.append(body[:, at : at + stage_bytes].copy())
            at += stage_bytes
    outputs = []
    for output_bytes in layout.output_bytes:
        outputs.append(body[:, at : at + output_bytes].copy())
        at += output_bytes
    return CheckResult(
        outputs=outputs,
        stage_crcs=np.hstack(crcs).astype(np.uint32) if flags & FLAG_CRC else None,
        dumps=dumps if flags & FLAG_DUMP else None,
        stack_high_water_bytes=stack,
        arena_high_water_bytes=arena,
        guard_ok=bool(guard),
        counter=_COUNTERS[counter],
    )


def check_header(reply: bytes, layout: ModelLayout) -> None:
    """Raise a BadFrame unless the reply begins as one of this model's image does."""
    if len(reply) < _HEADER.size:
        raise BadFrame("the image gave no answer: it never reached its harness")
    magic, build_id, stages, arena = _HEADER.unpack(reply[: _HEADER.size])
    if magic != _MAGIC:
        raise BadFrame(f"the answer does not begin with a check image's mark but {magic:#010x}")
    if layout.build_id not in {0, build_id}:
        raise BadFrame(
            f"the image is of another build: {build_id:#010x} instead of {layout.build_id:#010x}\n"
            "  build the model again, or give the folder that this image belongs to"
        )
    if (stages, arena) != (len(layout.stage_output_bytes), layout.arena_bytes):
        raise BadFrame(
            f"the image has {stages} stages and an arena of {arena} bytes, "
            f"expected {len(layout.stage_output_bytes)} and {layout.arena_bytes}"
        )


def merge_results(parts: list[CheckResult]) -> CheckResult:
    """Join the results of consecutive runs of the same image into one."""
    crcs = [part.stage_crcs for part in parts if part.stage_crcs is not None]
    dumps = [part.dumps for part in parts if part.dumps is not None]
    return CheckResult(
        outputs=[
            np.concatenate(arrays) for arrays in zip(*(p.outputs for p in parts), strict=True)
        ],
        stage_crcs=np.concatenate(crcs) if crcs else None,
        dumps=[np.concatenate(arrays) for arrays in zip(*dumps, strict=True)] if dumps else None,
        stack_high_water_bytes=max(part.stack_high_water_bytes for part in parts),
        arena_high_water_bytes=max(part.arena_high_water_bytes for part in parts),
        guard_ok=all(part.guard_ok for part in parts),
        counter=parts[0].counter,
    )
