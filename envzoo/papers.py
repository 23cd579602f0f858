"""The publications that envzoo follows, read from papers.toml: documentation and command line make their lists from it.

A paper has a slug: `09-submodular` when envzoo reproduces it (09 is its number in the zoo), `ppo` when its method
serves as a baseline.
"""

from __future__ import annotations

import functools
import re
import tomllib
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from envzoo.errors import EnvzooError, unknown

FILE = Path(__file__).with_name("papers.toml")


@dataclass(frozen=True)
class Paper:
    """A publication.

    Attributes:
        title: Title.
        authors: Authors, shortened.
        year: Year of the version that is followed.
        arxiv: arXiv number, or None.
        number: Number in the zoo, two digits, or None for a method that serves as a baseline.
        slug: Short name, which begins with the number if there is one.
        theme: Heading under which the paper is listed.
    """

    title: str
    authors: str
    year: int
    arxiv: str | None = None
    number: str | None = None
    slug: str = ""
    theme: str = "Other papers"

    @property
    def url(self) -> str | None:
        """Address of the abstract page, or None when the paper is not on arXiv."""
        return f"https://arxiv.org/abs/{self.arxiv}" if self.arxiv else None

    @property
    def label(self) -> str:
        """Name for `envzoo reproduce`: the number, or else the slug."""
        return self.number or self.slug


def read(path: Path) -> dict[str, Paper]:
    """Read a table of papers from a TOML file, by slug.

    Raises:
        EnvzooError: A file that is not such a table, or two papers with one slug or number.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))  # refuses a slug that occurs twice
        found = {slug: _paper(slug, facts) for slug, facts in table.items()}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise EnvzooError(f"{path} is not a table of papers ({error})") from error
    numbers = [paper.number for paper in found.values() if paper.number]
    twice = sorted({number for number in numbers if numbers.count(number) > 1})
    if twice:
        raise EnvzooError(f"{path} has several papers with the number {twice[0]}")
    return found


def _paper(slug: str, facts: Mapping[str, Any]) -> Paper:
    number = re.match(r"(\d\d)-", slug)
    return Paper(**facts, number=number[1] if number else None, slug=slug)


@functools.cache
def all_papers() -> Mapping[str, Paper]:
    """Return all publications by slug."""
    return MappingProxyType(read(FILE))


def find(slug: str) -> Paper:
    """Return a publication by its slug, or by its number; raises UnknownNameError with the nearest."""
    papers_by_slug = all_papers()
    if slug in papers_by_slug:
        return papers_by_slug[slug]
    numbered = papers()
    if slug in numbered:
        return numbered[slug]
    if slug in _FORMER_SLUGS:
        now = _FORMER_SLUGS[slug]
        warnings.warn(f"the paper {slug!r} is now {now!r}", DeprecationWarning, stacklevel=2)
        return papers_by_slug[now]
    raise unknown("paper", slug, papers_by_slug, where="`envzoo list papers` shows those that are reproduced")


def papers() -> dict[str, Paper]:
    """Return the reproduced papers by number, in order."""
    return {paper.number: paper for _, paper in sorted(all_papers().items()) if paper.number}


# Papers that had no experiment, and so no number, and have one now.
_FORMER_SLUGS = {"preference-degree": "21-preference-degree"}
# Names of the first release, each for the paper with that slug.
_FORMER_NAMES = {
    "SUBMODULAR_RL": "09-submodular",
    "MEC_BOTTLENECK": "05-mec-bottleneck",
    "ADVERSARIAL_SURPRISE": "15-adversarial-surprise",
    "LSD_BANDITS": "30-lsd-bandits",
    "ENTROPY_MECHANISM": "03-entropy-mechanism",
    "AEPO_ARBITRARY": "40-aepo",
    **{name: f"{number}-{name.lower().replace('_', '-')}" for number, name in
       (("06", "STEER"), ("14", "HAPO"), ("19", "SAC"), ("22", "D3S"), ("23", "BAPO"), ("38", "LP_REG"))},
}  # fmt: skip


def __getattr__(name: str) -> Any:
    if name.isupper() and name != "PAPERS":
        slug = _FORMER_NAMES.get(name, name.lower().replace("_", "-"))
        if slug in all_papers():
            warnings.warn(f"envzoo.papers.{name} is now envzoo.papers.find({slug!r})", DeprecationWarning, stacklevel=2)
            return all_papers()[slug]
    if name == "PAPERS":
        warnings.warn("envzoo.papers.PAPERS is now envzoo.papers.papers()", DeprecationWarning, stacklevel=2)
        return papers()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
