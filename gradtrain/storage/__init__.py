"""What survives a crash: the run folder, its checkpoints, its journal."""
