"""The loop, and what it speaks to."""
