"""Gradient-flow health while a run trains: what to look at, when, and what it means."""
