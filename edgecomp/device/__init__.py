"""Running samples: the check image on this host and in QEMU, the firmware on boards.

A check image gets all samples as one request and gives one reply; the firmware is asked sample by
sample over a serial line, by the protocol of docs/protocol.md.

```
layout = ModelLayout(build_id, arena_bytes, input_bytes, output_bytes, stage_output_bytes)
engine = QemuEngine(board, images.check)      or HostEngine(executable), SerialBench(sessions)
result = run_samples(engine, layout, inputs, stage_crcs=True, dump=False, parallel=2, timeout_s=300)
```

`inputs` is an int8 array [samples, sum(input_bytes)]: the inputs of a sample one behind the
other. `result` is a `CheckResult`:

```
outputs                    list, one int8 array [samples, output_bytes[i]] per output
stage_crcs                 uint32 array [samples, stages], or None
dumps                      list, one int8 array [samples, stage_output_bytes[s]] per stage, or None
stack_high_water_bytes     int, 0 where it is not measured (host)
arena_high_water_bytes     int
guard_ok                   True if no byte around the arena was written
```

Everything that goes wrong on the device (fault, lockup, hang, early exit, foreign image) is a
`DeviceError` that says which, with program counter and fault registers where there are any.

| module | what it holds |
|---|---|
| `records` | the byte format of request, reply and fault record |
| `host`, `qemu` | the two engines |
| `session` | `run_samples`, and `run_firmware`, which talks to the firmware image in QEMU |
| `cobs`, `protocol` | frames and messages between host and firmware |
| `serial_port`, `link` | a line, and requests over it that are repeated until they are answered |
| `connection`, `serial_session` | a board at the end of a line: greeting, resets, running samples |
| `bench`, `journal` | several boards as an engine; answers on disk, to go on with |
| `virtual`, `frame_text` | a board in QEMU with a port; what a line carries, for people |
"""

from edgecomp.device.host import HostEngine
from edgecomp.device.qemu import QemuEngine
from edgecomp.device.records import CheckResult, ModelLayout
from edgecomp.device.session import run_firmware, run_samples

__all__ = [
    "CheckResult",
    "HostEngine",
    "ModelLayout",
    "QemuEngine",
    "run_firmware",
    "run_samples",
]
