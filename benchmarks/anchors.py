"""What others reach with the same networks, measured side by side in QEMU 7.2 with gcc 12.2.

TensorFlow Lite for Microcontrollers at commit 90b983c2b with CMSIS-NN at 99f736a, its own makefile
flags, int8-only registrations; outputs equal to its reference kernels on 20 of 20 inputs.  Modelled
cycles by the Cortex-M4 timing table of docs/cycles.md.
"""

TFLM_INSTRUCTIONS = {
    "mps2-an385-v6m": {"kws": 28_990_000, "ic": 97_560_000, "vww": 86_900_000, "ad": 1_760_000},
    "mps2-an385": {"kws": 10_531_512, "ic": 41_846_730, "vww": 31_958_785, "ad": 955_894},
    "mps2-an386": {"kws": 7_696_779, "ic": 29_863_161, "vww": 24_101_520, "ad": 582_872},
    "mps2-an500": {"kws": 7_642_534, "ic": 30_026_287, "vww": 24_025_135, "ad": 583_170},
    "mps2-an505": {"kws": 7_679_083, "ic": 29_962_077, "vww": 24_046_358, "ad": 583_342},
    "mps3-an547": {"kws": 1_812_523, "ic": 4_910_954, "vww": 6_557_922, "ad": 149_922},
}
"""Instructions of one inference, by board and network."""

TFLM_M4_CYCLES = {"kws": 9_288_613, "ic": 36_863_699, "vww": 29_422_682, "ad": 727_256}
"""Modelled cycles of one inference on the Cortex-M4."""

TFLM_M4_ARENA_BYTES = {"kws": 22_820, "ic": 54_996, "vww": 100_708, "ad": 2_580}
TFLM_ARENA_BYTES = {
    "mps2-an386": TFLM_M4_ARENA_BYTES,
    "mps3-an547": {"kws": 27_348, "ic": 55_028, "vww": 100_772, "ad": 9_268},
}
"""Arena by board, where it was measured."""
TFLM_M4_FLASH_BYTES = {"kws": 107_628, "ic": 150_024, "vww": 386_980, "ad": 305_380}
"""Code and model file."""


def _each(kws: int, ic: int, vww: int, ad: int) -> dict[str, int]:
    return {"kws": kws, "ic": ic, "vww": vww, "ad": ad}


GOALS = {
    "M4, speed: modelled cycles": (
        "mps2-an386/{}/speed", "modelled_cycles", _each(3_300_000, 9_000_000, 4_600_000, 340_000)
    ),
    "M55, speed: instructions": (
        "mps3-an547/{}/speed", "instructions", _each(560_000, 1_550_000, 800_000, 40_000)
    ),
    "M3, speed: instructions": (
        "mps2-an385/{}/speed", "instructions", _each(4_400_000, 14_500_000, 6_500_000, 400_000)
    ),
    "M0, speed: instructions": (
        "mps2-an385-v6m/{}/speed",
        "instructions",
        _each(7_200_000, 23_500_000, 11_000_000, 760_000),
    ),
    "M4, balanced: arena": (
        "mps2-an386/{}/balanced", "arena_bytes", _each(9_200, 34_800, 38_400, 1_024)
    ),
    "M4, ram: arena": ("mps2-an386/{}/ram", "arena_bytes", _each(5_400, 13_800, 28_200, 820)),
    "M4, balanced: code": (
        "mps2-an386/{}/balanced", "code_bytes", _each(12_000, 14_000, 12_000, 6_000)
    ),
    "M4, balanced: flash": (
        "mps2-an386/{}/balanced", "flash_bytes", _each(107_628, 150_024, 386_980, 305_380)
    ),
}  # fmt: skip
"""What we aim for: by title the key of the result, the figure and the numbers."""
