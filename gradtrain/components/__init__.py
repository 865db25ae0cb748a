"""The registry's shelves: one folder a family, one file a component; the file's stem is the name in YAML."""
