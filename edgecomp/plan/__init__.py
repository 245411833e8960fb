"""Deciding before generating: kernels, order, memory, stack, and whether it fits."""
