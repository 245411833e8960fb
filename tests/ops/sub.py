"""Cases of subtraction."""

from edgecomp.ops.add import AddParams
from tests.support.binary_cases import binary_cases

CASES = binary_cases("sub", AddParams)
