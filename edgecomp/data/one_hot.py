"""Class numbers that a data set has as rows with a single 1."""

import numpy as np

from edgecomp.ir import Array

_AXES = 2


def class_numbers(target: Array) -> Array | None:
    """Class numbers `(samples,)` int64 of one-hot rows; None for targets that are none.

    >>> class_numbers(np.array([[0, 1, 0], [1, 0, 0]]))
    array([1, 0])
    """
    if target.ndim != _AXES or target.shape[1] < _AXES or not len(target):
        return None
    is_hot = target == 1
    if not ((target == 0) | is_hot).all() or not (is_hot.sum(axis=1) == 1).all():
        return None
    return np.asarray(is_hot.argmax(axis=1))
