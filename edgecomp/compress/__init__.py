"""Compression of float graphs: techniques that prune, share and retrain weights."""
