"""edgecomp: from a trained network to verified firmware for Arm Cortex-M."""

__version__ = "0.1.0"
