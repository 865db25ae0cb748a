"""What follows from what: the most fundamental finding speaks, and its consequences stay silent while it stands."""

from __future__ import annotations

SCALE = ("growing_activations", "exploding", "gradient_spike", "vanishing", "zero_gradient")
STANDSTILL = ("rate_too_low", "lost_updates", "small_moments", "targets")
"""Why nothing moves, where nothing else is the reason."""

EXPLAINS: dict[str, tuple[str, ...]] = {
    "no_gradient": ("zero_gradient", "targets"),
    "frozen": ("targets",),
    "unscaled_inputs": (
        "first_loss", "saturation", "dead_units", *SCALE, "rate_too_high", "always_clipped", "oscillation",
        *STANDSTILL,
    ),
    "saturation": ("first_loss", *SCALE, "rate_too_high", "always_clipped", *STANDSTILL),
    "dead_units": (*SCALE, "first_loss", "rate_too_high", *STANDSTILL),
    "growing_activations": (
        "first_loss", "exploding", "gradient_spike", "vanishing", "rate_too_high", "always_clipped", "oscillation",
        *STANDSTILL,
    ),
    "exploding": ("gradient_spike", "first_loss", "rate_too_high", "always_clipped", "oscillation", *STANDSTILL),
    "rate_too_high": (
        "saturation", "dead_units", *SCALE, "entropy_collapse", "always_clipped", "oscillation", "lost_updates",
        "targets",
    ),
    "vanishing": ("zero_gradient", *STANDSTILL),
    "entropy_collapse": ("targets",),
    "penalty_dominates": ("rate_too_high", "rate_too_low", "dead_units", "targets", "vanishing"),
    "gradient_spike": ("rate_too_high", "always_clipped", "oscillation"),
    "tiny_batches": ("oscillation", "targets"),
    "always_clipped": ("rate_too_low", "lost_updates", "targets"),
    "first_loss": ("always_clipped",),
    "zero_gradient": STANDSTILL,
    "oscillation": ("targets",),
    "rate_too_low": ("lost_updates", "targets"),
    "lost_updates": ("targets",),
    "small_moments": ("rate_too_low", "targets"),
    "targets": (),
}  # fmt: skip
"""Finding → what it may bring about. Of two that explain one another the earlier is the cause, else the first here."""

ORDER = tuple(EXPLAINS)
"""From the most fundamental to the least."""
