"""Names of the arms of the experiment on paper 26."""

from __future__ import annotations

IDENTITIES = "identities"
LOG_PROB = "log-prob reward"
# Arm -> loss and settings; the sampler's beta is 0.5.
LOSSES = {
    "DPO": ("dpo", {"beta": 0.5}),
    LOG_PROB: ("cpo", {"beta": 0.5, "nll_coefficient": 0.0}),
    "IPO": ("ipo", {"beta": 0.5}),
    "SLiC": ("slic", {}),
    "ORPO": ("orpo", {"beta": 0.5}),
    "SimPO": ("simpo", {"beta": 0.5}),
    "CPO": ("cpo", {"beta": 0.5}),
    "KTO": ("kto", {"beta": 0.5}),
}
OTHERS = tuple(name for name in LOSSES if name != "DPO")
SAMPLERS = ("optimal", "uniform", "reference", "target")
TARGETS = {"boosted": "low-entropy DID", "tempered": "high-entropy DID"}
