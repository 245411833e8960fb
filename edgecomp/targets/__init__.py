"""What firmware is built for: cores (for gcc and kernels) and boards (`boards.yaml`)."""
