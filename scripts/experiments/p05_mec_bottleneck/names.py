"""Names shared by the experiment on coding games and its figure."""

from __future__ import annotations

MESSAGES = 64
RETURN, ACCURACY, GAP, BITS = "discounted_return", "correct", "gap", "bits"
TEMPERATURES = (-7, -6, -5, -4)  # natural logarithms
RATES = (1.0, 0.75, 0.5, 0.25)  # as fractions of the prior's entropy
BLIND = "blind"
# Code -> encoder and rate.
CODES = {
    "rate 1": ("none", 1.0),
    **{f"EBIM {rate:g}": ("ebim", rate) for rate in RATES[1:]},
    **{f"quantiser {rate:g}": ("quantizer", rate) for rate in RATES[1:]},
    BLIND: ("ebim", 0.0),
}
LONG, SMALL = "FIMEC, 2^40 messages", "MEME, 4x4 grid"
LEARNED_SMALL = "learned, 4x4 grid"
# Pole balanced by PPO: code -> agent and hyperparameters, without the carrier.
CART = "pole, "
CART_CODES = {
    "EBIM 0.5": ("MECB", {"encoder": "ebim", "rate": 0.5}),
    "quantiser 0.5": ("MECB", {"encoder": "quantizer", "rate": 0.5}),
    "FIMEC": ("FIMEC", {"blocks": (32, 32)}),
    BLIND: ("MECB", {"encoder": "ebim", "rate": 0.0}),
}


def arm_name(code: str, log_temperature: int) -> str:
    """Return the name of an arm on the 8x8 grid."""
    return f"{log_temperature}, {code}"
