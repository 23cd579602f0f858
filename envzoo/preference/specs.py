"""Registered environments of the preference family."""

from __future__ import annotations

from envzoo.specs import EnvironmentSpec, kernel

_TILT = "envzoo.preference.text_tilt:TextTilt"
_TILT_SUMMARY = "continue a letter with many different letters, near a bigram model with exact laws"
_ALIGNMENT = "37-asymptotics-alignment"

_SEQ = "envzoo.preference.did_seq:DIDSeq"
_SEQ_SUMMARY = "short sequences whose preferences have a known target, concentrated or spread"
_DID = "26-did-dpo"
_SUMMARY = "envzoo.preference.tiny_summary:TextTinySummary"
_SUMMARY_LINE = "summarise the facts of a short post, with an exact quality and pairs to learn from"

ENVIRONMENTS = (
    kernel(
        "envzoo/PrefBandit-v0",
        "envzoo.preference.pref_bandit:PrefBandit",
        "preference",
        "arms that are only compared in pairs, in a cycle without a best arm",
        paper="20-spo",
    ),
    kernel(
        "envzoo/PrefPoint-v0",
        "envzoo.preference.pref_point:PrefPoint",
        "preference",
        "a point whose paths are compared: by return, by a rule about their course, or in a cycle",
        paper="20-spo",
    ),
    kernel(
        "envzoo/MemorylessAlign-v0",
        "envzoo.preference.memoryless_align:MemorylessAlign",
        "preference",
        "independent tokens with an additive reward: the best policy under a KL budget is known",
        paper=_ALIGNMENT,
    ),
    EnvironmentSpec("envzoo/TextTilt-v0", f"{_TILT}Env", None, "preference", _TILT_SUMMARY, _ALIGNMENT),
    kernel("envzoo/TextTilt-Tokens-v0", f"{_TILT}Tokens", "preference", f"{_TILT_SUMMARY}; token by token"),
    kernel(
        "envzoo/DIDTable-v0",
        "envzoo.preference.did_table:DIDTable",
        "preference",
        "responses without structure, whose preferences have a known target policy",
        paper=_DID,
    ),
    EnvironmentSpec("envzoo/DIDSeq-v0", f"{_SEQ}Env", None, "preference", _SEQ_SUMMARY, _DID),
    kernel("envzoo/DIDSeq-Tokens-v0", f"{_SEQ}Tokens", "preference", f"{_SEQ_SUMMARY}; token by token"),
    EnvironmentSpec(
        "envzoo/TextTinySummary-v0", f"{_SUMMARY}Env", None, "preference", _SUMMARY_LINE, "21-preference-degree"
    ),
    kernel("envzoo/TextTinySummary-Tokens-v0", f"{_SUMMARY}Tokens", "preference", f"{_SUMMARY_LINE}; token by token"),
)
