"""Compact networks as torch modules."""
