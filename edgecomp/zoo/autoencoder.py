"""The dense autoencoder for anomaly detection, as MLPerf Tiny has it.

Source: Y. Koizumi et al., "Description and discussion on DCASE2020 challenge task 2" (2020);
C. Banbury et al., "MLPerf Tiny benchmark" (2021).
"""

import itertools
from typing import Any

from edgecomp.zoo.design import Design


def autoencoder(torch: Any, design: Design) -> Any:
    """Four dense layers down to 8 values, and five up again.

    Input (1, values), output of the same shape; the anomaly score is their mean squared difference.
    """
    nn = torch.nn
    (values,) = design.shape
    hidden, middle = design.channels(128), max(2, design.channels(8))
    sizes = [values, *[hidden] * design.repeats(4), middle, *[hidden] * design.repeats(4)]
    layers: list[Any] = []
    for before, after in itertools.pairwise(sizes):
        layers += [nn.Linear(before, after, bias=False), nn.BatchNorm1d(after), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(hidden, values))
