"""Check the links of a built website."""

from __future__ import annotations

import os
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

# Tags whose address the browser fetches by itself.
FETCHED = ("script", "img", "link", "source", "iframe")


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        values = dict(attributes)
        self.anchors |= {values[name] for name in ("id", "name") if values.get(name)}
        fetched = tag in FETCHED and not (tag == "link" and values.get("rel") in ("canonical", "next", "prev"))
        for name in ("href", "src"):
            if values.get(name):
                self.links.append(("fetched" if fetched else "link", values[name]))


def broken_links(site: Path) -> list[str]:
    """Find links of a built site that lead to no file or anchor in it, and what pages fetch from other hosts."""
    pages = {}
    for path in sorted(site.rglob("*.html")):
        pages[path] = _Page()
        pages[path].feed(path.read_text(encoding="utf-8"))
    faults = []
    for path, page in pages.items():
        if path.name == "404.html":  # its links are absolute, for a site at the root of a host
            continue
        name = path.relative_to(site).as_posix()
        for kind, link in page.links:
            url = urlsplit(link)
            if url.scheme == "data":
                continue
            if url.scheme or url.netloc:
                faults += [f"{name} fetches {link}"] if kind == "fetched" else []
                continue
            goal = Path(os.path.normpath(path.parent / unquote(url.path))) if url.path else path
            goal = goal / "index.html" if goal.is_dir() else goal
            if not goal.exists():
                faults.append(f"{name} links to {link}, which does not exist")
            elif url.fragment and goal in pages and unquote(url.fragment) not in pages[goal].anchors | {"__skip"}:
                faults.append(f"{name} links to {link}, but that page has no such heading")
    return faults
