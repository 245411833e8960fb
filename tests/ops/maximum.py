"""Cases of the larger of two tensors."""

from dataclasses import replace

from edgecomp.ops.maximum import MaximumParams
from tests.support.binary_cases import binary_cases

# One constant per channel may be larger than all that the other operand can be.
CASES = tuple(
    replace(case, few_codes=case.name == "constant-per-channel")
    for case in binary_cases("maximum", MaximumParams)
)
