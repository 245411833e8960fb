"""What was made and measured, for people and for scripts."""
