"""Cases of addition."""

from edgecomp.ops.add import AddParams
from tests.support.binary_cases import binary_cases

CASES = binary_cases("add", AddParams)
