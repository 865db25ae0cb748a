"""What the weights of gradtrain's networks are called in the plain programs."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor, nn

Rules = Mapping[str, str]
"""Patterns of names in gradtrain, whole, → names in the program."""

GPT: Rules = {
    r"model\.(?:tokens|head)\.weight": "symbols.weight",
    r"model\.positions\.weight": "places.weight",
    r"model\.norm\.weight": "norm.weight",
    r"model\.blocks\.(\d+)\.block\.attention\.body\.norm\.weight": r"blocks.\1.before_attention.weight",
    r"model\.blocks\.(\d+)\.block\.attention\.body\.attention\.qkv\.weight": r"blocks.\1.qkv.weight",
    r"model\.blocks\.(\d+)\.block\.attention\.body\.attention\.proj\.weight": r"blocks.\1.out.weight",
    r"model\.blocks\.(\d+)\.block\.mlp\.body\.norm\.weight": r"blocks.\1.before_mlp.weight",
    r"model\.blocks\.(\d+)\.block\.mlp\.body\.up\.weight": r"blocks.\1.widen.weight",
    r"model\.blocks\.(\d+)\.block\.mlp\.body\.proj\.weight": r"blocks.\1.narrow.weight",
}
VAE: Rules = {
    r"encoder\.0\.(\w+)": r"read.\1",
    r"encoder\.2\.(mean|log_variance)\.(\w+)": r"\1.\2",
    r"decoder\.0\.(\w+)": r"unfold.\1",
    r"decoder\.2\.(\w+)": r"paint.\1",
}
GENERATOR: Rules = {r"generator\.(\d\.\w+)": r"\1"}
DISCRIMINATOR: Rules = {r"discriminator\.(\d\.\w+)": r"\1"}
SINES: Rules = {
    r"model\.0\.(\w+)_l0": r"first.\1_l0",
    r"model\.0\.(\w+)_l1": r"second.\1_l0",
    r"model\.1\.(\w+)": r"answer.\1",
}


def renamed(networks: Mapping[str, nn.Module], rules: Rules) -> dict[str, Tensor]:
    """Copies of the weights and statistics that the rules name, under the program's names."""
    found: dict[str, Tensor] = {}
    for role, network in networks.items():
        for name, tensor in network.state_dict().items():
            for pattern, program in rules.items():
                if match := re.fullmatch(pattern, f"{role}.{name}"):
                    found[match.expand(program)] = tensor.detach().clone()
    return found


def copied(networks: Mapping[str, nn.Module], program: nn.Module, rules: Rules) -> None:
    """Give the program gradtrain's weights: every one of them, no other."""
    weights = renamed(networks, rules)
    program.to(next(tensor.dtype for tensor in weights.values() if tensor.is_floating_point()))
    program.load_state_dict(weights)
