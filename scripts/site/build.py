"""Build the website into build/site (`make site`); nothing is fetched from another host, then or later.

python -P -m envzoo.scripts.site.build    # in the root of the repository; needs the extra `site`
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import tyro

from envzoo.errors import EnvzooError
from envzoo.scripts.docs.builder import check_root
from envzoo.scripts.site.links import broken_links
from envzoo.scripts.site.navigation import compare, configuration
from envzoo.scripts.site.pages import Staging


def build_site(root: Path = Path(), out: Path = Path("build")) -> int:
    """Build the website, and check its navigation and its links.

    Args:
        root: Root of envzoo's repository.
        out: Folder for the pages in Markdown (`site-source`) and the website (`site`).

    Returns:
        The exit status: 1 when a page is missing or a link leads nowhere.
    """
    check_root(root)
    try:
        metadata.version("zensical")
    except metadata.PackageNotFoundError:
        raise EnvzooError("the website is built by Zensical; install it with `pip install -e '.[site]'`") from None
    out = out.resolve()
    source, site, file = out / "site-source", out / "site", out / "mkdocs.yml"
    pages = Staging(root.resolve(), source).fill()
    settings = configuration(source.name, site.name)  # Zensical takes relative paths
    faults = compare(settings["nav"], pages)
    if not faults:
        file.write_text(json.dumps(settings, indent=2), encoding="utf-8")  # JSON is YAML
        shutil.rmtree(site, ignore_errors=True)
        command = [sys.executable, "-P", "-m", "zensical", "build", "--clean", "--strict", "--config-file", str(file)]
        result = subprocess.run(command, cwd=out, capture_output=True, text=True)
        if result.returncode:
            faults = [f"zensical refuses the pages:\n{result.stdout}{result.stderr}"]
        else:
            faults = broken_links(site)
    for fault in faults:
        print(fault, file=sys.stderr)
    if not faults:
        print(f"{len(pages)} pages in {site}; look at them with: python -m http.server --directory {site}")
    return int(bool(faults))


def main() -> int:
    """Run the command; returns the exit status."""
    try:
        return tyro.cli(build_site, prog="build_site")
    except (EnvzooError, OSError) as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
