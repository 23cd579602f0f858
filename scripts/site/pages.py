"""Copy the documentation into a folder that a site generator can read, with links that stay inside it.

Pages of the repository link to each other and to source files by their paths in the repository. In the site the README
is the home page, docs/README.md the page of contents, and every linked source file a page with its text.
"""

from __future__ import annotations

import os
import re
import shutil
from collections import deque
from collections.abc import Iterable
from pathlib import Path

from envzoo.errors import EnvzooError

# Pages outside docs/, and their places in the site; docs/README.md gives way to the home page.
PLACES = {
    "README.md": "index.md",
    "docs/README.md": "contents.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "security.md",
}
SOURCES = "source"
LANGUAGES = {".py": "python", ".toml": "toml", ".json": "json", ".cff": "yaml", ".sh": "sh", ".yml": "yaml"}
# Files of docs/ that belong to pages.
COPIED = (".md", ".png", ".gif", ".json", ".ipynb", ".css", ".js", ".woff2")
LEFT_OUT = "/table.md"  # of papers, whose pages contain it
NOT_SEARCHED = "---\nsearch:\n  exclude: true\n---\n\n"
# A link or an image, but not within a code span; fenced code is skipped line by line.
LINK = re.compile(r"(`+[^`]*`+)|(\]\()([^)\s#]+)(#[^)\s]*)?(\))|(\bsrc=\")([^\"]+)(\")")


def place(path: str) -> str:
    """Return where a file of the repository lies in the site."""
    if path in PLACES:
        return PLACES[path]
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    return f"{SOURCES}/{path or 'repository'}.md"


def is_external(target: str) -> bool:
    """Tell whether a link has a scheme, such as https: or mailto:."""
    return re.match(r"[a-z][a-z0-9+.-]*:", target) is not None


class Staging:
    """Pages of the site, copied with their links rewritten.

    Args:
        root: Root of the repository.
        target: Folder to fill; it is emptied first.
    """

    def __init__(self, root: Path, target: Path):
        self.root, self.target = root, target
        self.waiting: deque[str] = deque()
        self.made: set[str] = set()

    def fill(self) -> list[str]:
        """Copy all pages and what they link to; returns the paths of the pages in the site.

        Raises:
            EnvzooError: A link leads to no file.
        """
        shutil.rmtree(self.target, ignore_errors=True)
        docs = (self.root / "docs").rglob("*")
        found = [path.relative_to(self.root).as_posix() for path in docs if path.is_file()]
        self._ask(PLACES)
        wanted = [path for path in found if path.endswith(COPIED) or "/LICENSE" in path]
        self._ask(sorted(path for path in wanted if not path.endswith(LEFT_OUT)))
        while self.waiting:
            self._copy(self.waiting.popleft())
        return sorted(path.relative_to(self.target).as_posix() for path in self.target.rglob("*.md"))

    def _ask(self, paths: Iterable[str]) -> None:
        new = [path for path in paths if path not in self.made]
        self.waiting += new
        self.made.update(new)

    def _copy(self, path: str) -> None:
        source, goal = self.root / path, self.target / place(path)
        goal.parent.mkdir(parents=True, exist_ok=True)
        if path in PLACES or (path.startswith("docs/") and path.endswith(".md")):
            goal.write_text(self.rewrite(path, source.read_text(encoding="utf-8")), encoding="utf-8")
        elif path.startswith("docs/") and source.is_file():
            shutil.copyfile(source, goal)
        elif source.is_dir():
            goal.write_text(self._folder(path), encoding="utf-8")
        else:
            language, text = LANGUAGES.get(source.suffix, "text"), source.read_text(encoding="utf-8").rstrip()
            goal.write_text(f"{NOT_SEARCHED}# {path}\n\n``````{language}\n{text}\n``````\n", encoding="utf-8")

    def _folder(self, path: str) -> str:
        files = sorted(file.name for file in (self.root / path).iterdir() if file.suffix == ".py")
        self._ask(f"{path}/{name}" for name in files)
        name = path.rpartition("/")[2]
        return f"{NOT_SEARCHED}# {path}\n\n" + "".join(f"- [{file}]({name}/{file}.md)\n" for file in files)

    def rewrite(self, page: str, text: str) -> str:
        """Rewrite the links of a page for its place in the site."""
        lines, fence = [], ""
        for line in text.split("\n"):
            opening = re.match(r"\s*(`{3,})", line)
            if opening:
                fence = "" if fence and opening[1].startswith(fence) else fence or opening[1]
            lines.append(line if fence else LINK.sub(lambda match: self._link(page, match), line))
        return "\n".join(lines)

    def _link(self, page: str, match: re.Match[str]) -> str:
        code, before, target, anchor, after, image, file, quote = match.groups()
        if code:
            return code
        before, target, after = (before, target, after) if target else (image, file, quote)
        if is_external(target):
            return match[0]
        path = os.path.normpath(f"{os.path.dirname(page)}/{target}" if "/" in page else target)
        path = "" if path == "." else path
        if path.startswith("..") or not (self.root / path).exists():
            raise EnvzooError(f"{page} links to {target}, which is not in the repository")
        if path.startswith("docs/") and (self.root / path).is_dir():
            path += "/README.md"
        self._ask([path])
        place_of = os.path.relpath(place(path), os.path.dirname(place(page)) or ".")
        return f"{before}{place_of}{anchor or ''}{after}"
