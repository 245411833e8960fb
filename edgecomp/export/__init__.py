"""What edgecomp quantized, in the files of other runtimes."""
