"""Pictures: what a run looks like in a terminal."""
