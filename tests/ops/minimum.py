"""Cases of the smaller of two tensors."""

from edgecomp.ops.maximum import MaximumParams
from tests.support.binary_cases import binary_cases

CASES = binary_cases("minimum", MaximumParams)
