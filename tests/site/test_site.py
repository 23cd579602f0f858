"""The website is built, its navigation names every page, its links lead somewhere, and it works in a browser."""

import functools
import http.server
import importlib.util
import os
import threading
from pathlib import Path

import pytest
from webdriver_client import Browser, missing

from envzoo.errors import EnvzooError
from envzoo.scripts.docs.tutorials import TUTORIALS, tutorial_page
from envzoo.scripts.site.build import build_site
from envzoo.scripts.site.links import broken_links
from envzoo.scripts.site.navigation import compare, navigation, pages_of
from envzoo.scripts.site.pages import Staging, place

pytestmark = pytest.mark.any_arithmetic

ROOT = Path(__file__).resolve().parents[2]

# All elements, those in shadow trees included, in which the search lies.
ALL = (
    "const all = (node = document) => [...node.querySelectorAll('*')]"
    ".flatMap(e => [e, ...(e.shadowRoot ? all(e.shadowRoot) : [])]);"
)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    if importlib.util.find_spec("zensical") is None:
        assert "ENVZOO_ALL_EXTRAS" not in os.environ, "the extra `site` is not installed"
        pytest.skip("Zensical builds the website; install it with `pip install -e '.[site]'`")
    out = tmp_path_factory.mktemp("build")
    assert build_site(ROOT, out) == 0
    return out / "site"


@pytest.fixture(scope="module")
def address(site):
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=site))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    if missing():
        pytest.skip(f"the website is not tried in a browser: {missing()}")
    browser = Browser(tmp_path_factory.mktemp("browser"))
    yield browser
    browser.close()


@pytest.fixture
def visit(browser, address):
    """A function that opens a page; at the end, no page may have had an error or asked another host for anything."""
    browser.errors(), browser.requests()
    yield lambda path: browser.open(address + path)
    assert browser.errors() == []
    local = (address, "data:", "chrome:", "blob:", "about:")
    assert [url for url in browser.requests() if not url.startswith(local)] == []


def test_every_page_of_the_navigation_is_built(site):
    for page in pages_of(navigation()):
        folder, _, name = page.rpartition("/")
        short = folder if name in ("README.md", "index.md") else page.removesuffix(".md")
        assert (site / short / "index.html").exists(), page


def test_pages_that_are_missing_or_left_out_are_found(tmp_path):
    pages = ["index.md", "a.md", "source/x.py.md"]
    assert compare([{"Home": "index.md"}, {"More": [{"A": "a.md"}]}], pages) == []
    assert compare([{"Home": "index.md"}], pages) == ["a.md is missing from the navigation"]
    assert compare([{"Home": "index.md"}, {"A": "a.md"}, {"B": "a.md"}], pages) == ["the navigation names a.md twice"]
    found = compare([{"Home": "index.md"}, {"A": "a.md"}, {"B": "b.md"}], pages)
    assert found == ["the navigation names b.md, which does not exist"]


def test_the_navigation_names_every_page_of_the_repository(tmp_path):
    assert compare(navigation(), Staging(ROOT, tmp_path / "pages").fill()) == []


def test_links_that_lead_nowhere_and_what_is_fetched_elsewhere_are_found(tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "index.html").write_text('<h1 id="here"></h1>')
    good = '<a href="b/">b</a> <a href="b/#here">b</a> <a href="https://arxiv.org/abs/1">paper</a>'
    (tmp_path / "index.html").write_text(good)
    assert broken_links(tmp_path) == []
    bad = '<a href="c/">c</a> <a href="b/#there">b</a> <img src="https://example.org/x.png"> <img src="x.png">'
    (tmp_path / "index.html").write_text(bad)
    assert broken_links(tmp_path) == [
        "index.html links to c/, which does not exist",
        "index.html links to b/#there, but that page has no such heading",
        "index.html fetches https://example.org/x.png",
        "index.html links to x.png, which does not exist",
    ]


def test_links_of_pages_are_rewritten_for_their_place(tmp_path):
    staging = Staging(ROOT, tmp_path)
    text = (
        "[a](docs/agents/PPO.md#metrics) [b](CONTRIBUTING.md) `[c](none.md)` [d](https://x.org) [e](agents/learner.py)"
    )
    assert staging.rewrite("README.md", text) == (
        "[a](agents/PPO.md#metrics) [b](contributing.md) `[c](none.md)` [d](https://x.org)"
        " [e](source/agents/learner.py.md)"
    )
    assert staging.rewrite("docs/agents/PPO.md", "[readme](../../README.md)") == "[readme](../index.md)"
    assert staging.rewrite("README.md", "```\n[c](none.md)\n```") == "```\n[c](none.md)\n```"
    with pytest.raises(EnvzooError, match=r"links to none\.md"):
        staging.rewrite("README.md", "[c](none.md)")
    with pytest.raises(EnvzooError, match="not in the repository"):
        staging.rewrite("README.md", "[c](../secret.md)")


def test_places_of_pages_differ():
    paths = ["README.md", "docs/README.md", "CONTRIBUTING.md", "docs/speed.md", "agents/learner.py", "agents"]
    assert len({place(path) for path in paths}) == len(paths)


@pytest.mark.parametrize("path", ["", "papers/", "papers/09-submodular/", "environments/GridCoverage/", "agents/PPO/"])
def test_a_page_opens_with_its_pictures_and_fonts(visit, browser, path):
    visit(path)
    browser.wait("return document.readyState === 'complete'")
    assert browser.run("return [...document.images].filter(i => i.complete && !i.naturalWidth).map(i => i.src)") == []
    assert browser.run("return document.fonts.ready.then(() => document.fonts.check('16px Inter'))")
    assert browser.run("return document.querySelector('h1').innerText").strip()


@pytest.mark.parametrize("tutorial", TUTORIALS, ids=lambda tutorial: tutorial.name)
def test_formulas_of_a_tutorial_are_rendered(visit, browser, tutorial):
    visit(tutorial_page(tutorial).removesuffix(".md") + "/")
    browser.wait("return document.querySelector('.arithmatex .katex') !== null")
    assert browser.run("return document.querySelectorAll('.katex-error').length") == 0
    assert browser.run("return [...document.querySelectorAll('.arithmatex')].every(e => e.querySelector('.katex'))")


def test_the_search_finds_a_page(visit, browser):
    visit("")
    browser.wait("return document.querySelector('.md-search__button') !== null")
    browser.run("document.querySelector('.md-search__button').click()")
    field = "all().find(e => e.tagName === 'INPUT' && e.type === 'text')"
    browser.wait(f"{ALL} return {field} !== undefined")
    browser.run(f"{ALL} const e = {field}; e.value = 'SubPO'; e.dispatchEvent(new Event('input', {{bubbles: true}}))")
    hits = f"{ALL} return all().filter(e => e.tagName === 'A' && e.getRootNode() !== document).map(e => e.href)"
    found = browser.wait(f"const hits = (() => {{ {hits} }})(); return hits.length ? hits : null")
    assert any("/agents/SubPO/" in hit for hit in found)
