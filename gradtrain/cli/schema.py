"""gradtrain schema."""

from __future__ import annotations


def schema() -> None:
    """Print the JSON Schema of configs, for editors."""
    from gradtrain.cli.terminal import print_json
    from gradtrain.config.schema import json_schema

    print_json(json_schema())
