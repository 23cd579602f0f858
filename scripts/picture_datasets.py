"""Write the numbers and pictures of the pages of datasets, from which `make docs` makes the pages.

`python -P -m envzoo.scripts.picture_datasets ID...`, started in the root of the repository; datasets that are not in
the Minari root are made first.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from envzoo.datasets.store import is_local
from envzoo.errors import EnvzooError
from envzoo.scripts.docs.builder import check_root
from envzoo.scripts.docs.datasets import folder_of, write_facts
from envzoo.scripts.make_dataset import make_dataset


def main(ids: Sequence[str], root: Path = Path()) -> int:
    """Run the command; returns the exit status."""
    try:
        check_root(root)
        for dataset_id in ids:
            if not is_local(dataset_id):
                make_dataset(dataset_id, quiet=True)
            write_facts(root, dataset_id)
            print(f"docs/{folder_of(dataset_id)}")
    except EnvzooError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
