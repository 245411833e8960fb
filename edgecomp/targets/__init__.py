"""What firmware is built for: cores (what gcc and a kernel must know) and boards (`boards.yaml`)."""
