"""Names of the arms of the experiment on paper 21."""

from __future__ import annotations

DPO, DEGREE, EQUAL, PROBE, COPIES = "DPO", "DPO + degrees", "equal lengths", "probe", "copies as pairs"
WEIGHT = 0.5  # of the auxiliary loss
# Arm -> agent, and its hyperparameters.
ARMS = {
    DPO: ("DPO", {}),
    DEGREE: ("DPODegree", {"degree_coefficient": WEIGHT}),
    EQUAL: ("DPODegree", {"degree_coefficient": WEIGHT, "equal_length": True}),
    PROBE: ("DPODegree", {"degree_coefficient": WEIGHT, "degree_form": "probe"}),
    COPIES: ("DPODegree", {"degree_coefficient": WEIGHT, "degree_form": "pairs"}),
}
