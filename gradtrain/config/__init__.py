"""YAML text → marked tree → validated `Run` record."""
