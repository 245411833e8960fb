"""Data sets: samples and targets from `.npz` files, Python functions, or the built-in digits."""

from edgecomp.data.dataset import Dataset, load_dataset, split_calibration
from edgecomp.data.layout import LAYOUTS
from edgecomp.data.preprocessing import Preprocessing

__all__ = ["LAYOUTS", "Dataset", "Preprocessing", "load_dataset", "split_calibration"]
