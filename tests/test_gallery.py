"""The committed gallery shows what its captions say, and is small."""

import re
from pathlib import Path

from envzoo.scripts.docs.links import environments
from envzoo.scripts.gallery import MARK, MOST_BYTES, caption, player, transcript

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "gallery"


def test_every_picture_is_shown_and_all_are_small():
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert MARK in text
    shown = re.findall(r"!\[[^]]*\]\(([^)]+)\)", text)
    files = {file.name: file.stat().st_size for file in FOLDER.glob("*.gif")}
    assert sorted(shown) == sorted(files)
    assert len(files) >= 20
    assert sum(files.values()) <= MOST_BYTES


def test_captions_name_the_players_and_scores_of_now():
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    for environment in environments():
        if f"]({environment.name}.gif)" in text:
            assert f"{caption(*player(environment))}." in text, environment.name


def test_a_transcript_is_text():
    assert len(transcript("envzoo/TextSumTo-Tokens-v1", "Random")) > 10
