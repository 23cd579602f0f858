"""Generate the documentation from the code: pages of environments, agents, papers and functions, and tables.

    python -P -m envzoo.scripts.build_docs            # in the root of the repository
    python -P -m envzoo.scripts.build_docs --check    # exits with 1 when a page is out of date

Pages are built from docstrings, the registries of environments, agents and papers, the config dataclasses and the
experiments, so that they cannot disagree with the code. Handwritten text below the `NOTES` marker of a paper's page is
kept.
"""

from __future__ import annotations

import sys

from envzoo.scripts.docs.builder import build_docs, main
from envzoo.scripts.docs.links import GENERATED, NOTES, paper_page

__all__ = ["GENERATED", "NOTES", "build_docs", "main", "paper_page"]

if __name__ == "__main__":
    sys.exit(main())
