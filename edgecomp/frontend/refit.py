"""Weights that a file has as asymmetric codes, made symmetric: the kernels know no other.

Codes about their zero point may need nine bits (-255 to 255).  Output channels that need only
eight keep their codes; the others are rounded once more, to a coarser scale.
"""

import numpy as np

from edgecomp.ir import Array, QParams

INT8_LIMITS = (-128, 127)


def refitted(scale: Array, centred: Array, axis: int) -> QParams:
    """Symmetric int8 scales per channel for codes about their zero point, of up to nine bits.

    Args:
        scale: one, or one per index of `axis`.
        centred: codes minus zero points, -255 to 255.
        axis: of the channels.

    Returns:
        The given scale for channels within -128 to 127, whose codes stay; for the others the
        least that gives their largest code 127.
    """
    others = tuple(i for i in range(centred.ndim) if i != axis)
    low, high = centred.min(axis=others), centred.max(axis=others)
    fits = (low >= INT8_LIMITS[0]) & (high <= INT8_LIMITS[1])
    factor = np.where(fits, 1.0, np.maximum(-low, high) / INT8_LIMITS[1])
    return QParams.per_channel(scale.astype(np.float64).reshape(-1) * factor, axis)
