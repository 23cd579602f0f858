"""Write the documentation that is made from the code: pages of environments, agents, papers and functions, and tables.

    python -P -m envzoo.scripts.build_docs            # in the root of the repository
    python -P -m envzoo.scripts.build_docs --check    # exits 1 when a page is not what the code says

Everything comes from docstrings, the tables of environments, agents and papers, the config dataclasses and the
experiments, so that a page cannot say anything else than the code. What a person adds to a paper's page below the
`NOTES` marker is kept.
"""

from __future__ import annotations

import sys

from envzoo.scripts.docs.builder import build_docs, main
from envzoo.scripts.docs.links import GENERATED, NOTES, paper_page

__all__ = ["GENERATED", "NOTES", "build_docs", "main", "paper_page"]

if __name__ == "__main__":
    sys.exit(main())
