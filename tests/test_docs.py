"""The documentation says what the code does."""

import ast
import dataclasses
import json
import re
import shlex
from pathlib import Path

import gymnasium as gym
import pytest

import envzoo  # noqa: F401  (registers the environments)
from envzoo import papers
from envzoo.agents import registry
from envzoo.datasets import is_dataset_id
from envzoo.scripts import build_docs, experiments, reference
from envzoo.scripts.cli import COMMANDS
from envzoo.scripts.docs.agents import example_source
from envzoo.scripts.experiments.core.renewal import awaits_run
from envzoo.scripts.markdown import field_docstrings, manual, table
from envzoo.specs import AgentSpec, Example

pytestmark = pytest.mark.any_arithmetic

ROOT = Path(__file__).resolve().parents[1]
WRITTEN = ("README.md", "CONTRIBUTING.md")  # by people; the other pages are generated


def code_blocks(name, language):
    return re.findall(rf"^```{language}\n(.*?)^```", (ROOT / name).read_text(encoding="utf-8"), re.M | re.S)


def copy_of_docs(target):
    # The tutorials become pages, and the test files are counted.
    sources = [*(ROOT / "examples" / "tutorials").glob("*.py"), *(ROOT / "tests").rglob("test_*.py")]
    for file in [ROOT / "pyproject.toml", ROOT / "README.md", *(ROOT / "docs").rglob("*"), *sources]:
        if file.is_file() and file.suffix in (".md", ".json", ".toml", ".png", ".gif", ".py", ".ipynb"):
            copy = target / file.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(file.read_bytes())
    return target


def test_generated_pages_are_current(capsys):
    assert build_docs.build_docs(ROOT, check=True) == 0, capsys.readouterr().err


def test_a_build_renews_what_is_stale_removes_what_is_gone_and_keeps_notes(tmp_path, capsys):
    root = copy_of_docs(tmp_path)
    page, gone = (root / "docs" / "agents" / f"{name}.md" for name in ("PPO", "Gone"))
    page.write_text("old", encoding="utf-8")
    gone.write_text(f"# Gone\n\n{build_docs.GENERATED}\n", encoding="utf-8")
    noted = root / "docs" / build_docs.paper_page(papers.papers()["09"])
    noted.write_text(noted.read_text(encoding="utf-8") + "\nA note by a person.\n", encoding="utf-8")
    assert build_docs.main(["--root", str(root), "--check"]) == 1
    said = capsys.readouterr().err
    assert "docs/agents/PPO.md" in said
    assert "make docs" in said
    assert page.read_text(encoding="utf-8") == "old"
    assert gone.exists()

    assert build_docs.main(["--root", str(root)]) == 0
    assert page.read_bytes() == (ROOT / "docs" / "agents" / "PPO.md").read_bytes()
    assert not gone.exists()
    assert noted.read_text(encoding="utf-8").endswith(f"{build_docs.NOTES}\n\nA note by a person.\n")
    assert build_docs.main(["--root", str(root), "--check"]) == 0


def test_another_folder_is_refused_with_a_sentence(tmp_path, capsys):
    assert build_docs.main(["--root", str(tmp_path)]) == 2
    assert "is not envzoo's repository" in capsys.readouterr().err


def test_every_hyperparameter_has_a_docstring():
    for name in registry.specs():
        config = registry.agent_class(name).Config
        missing = {field.name for field in dataclasses.fields(config)} - set(field_docstrings(config))
        assert not missing, f"{name}: {missing}"


def test_reference_pages_show_every_public_function_with_its_call():
    shown = {}
    for package in reference.REFERENCES:
        text = reference.reference_page(package, "")
        names = re.findall(r"^### (\w+)$", text, re.M)
        assert len(set(names)) == len(names), f"{package.title} shows a name twice"
        shown |= dict.fromkeys(names, text)
    assert {"VisitationMask", "soft_value_iteration", "generalized_advantages", "FacilityLocation"} <= set(shown)
    assert "soft_policy(q: np.ndarray, alpha: float) -> np.ndarray" in shown["soft_policy"]
    assert "    generator: torch.Generator | None = None,\n" in shown["sample_squashed_gaussian"]
    assert not [name for name in shown if name.startswith("_")]


@pytest.mark.parametrize(("actions", "source"), [("discrete", "CartPole-v1"), ("continuous", "Pendulum-v1")])
def test_an_agent_of_a_paper_without_an_environment_is_shown_on_its_example(actions, source):
    paper = papers.Paper("A paper", "Somebody", 2024, "2400.00000", "99", "99-a-paper")
    entry, example = "envzoo.agents.actor_critic.ppo:PPO", Example(source)
    spec = AgentSpec("Agent", entry, "custom", "Learns.", actions=(actions,), paper=paper, example=example)
    assert example_source(spec) == source


def test_docstrings_become_markdown():
    text = manual("""First line.

    ## Section
    Prose.

    Args:
        x: One thing
            that goes on.
        y: Another.
    """)
    assert text == (
        "First line.\n\n## Section\n\nProse.\n\n## Arguments\n\n- `x`: One thing\n  that goes on.\n- `y`: Another."
    )
    assert table(("a",), [("p(a|s)\nnext",)]) == "| a |\n| --- |\n| p(a\\|s) next |"


_PAGES = "encoders games glossary language-models losses neighbours preferences resume scaling training trl"
HANDWRITTEN = (
    *_PAGES.split(),
    *(f"neighbours/{name}" for name in ("stable-baselines3", "cleanrl", "d3rlpy", "trl")),
)


@pytest.mark.parametrize(
    "name", [*WRITTEN, "SECURITY.md", "docs/README.md", *(f"docs/{page}.md" for page in HANDWRITTEN)]
)
def test_links_lead_somewhere(name):
    page = ROOT / name
    for target in re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), f"{name} links to {target}"


def test_worked_examples_show_the_code_as_it_is():
    """Each Python or TOML block of CONTRIBUTING is a passage of the file linked last before it, if that is one.

    The line `...` leaves lines out.
    """
    text, followed = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"), set()
    for match in re.finditer(r"^```(python|toml)\n(.*?)^```", text, re.M | re.S):
        file = re.findall(r"\]\(([\w/]+\.(?:py|toml))\)", text[: match.start()])[-1]
        if not file.endswith({"python": ".py", "toml": ".toml"}[match[1]]):
            assert match[1] == "toml", "a Python block follows no Python file"
            continue
        followed.add(file)
        rest = (ROOT / file).read_text(encoding="utf-8")
        for passage in re.split(r"^\.\.\.\n", match[2], flags=re.M):
            assert passage in rest, f"{file} no longer has:\n{passage}"
            rest = rest.partition(passage)[2]
    examples = {file.relative_to(ROOT).as_posix() for file in (ROOT / "examples").glob("*.py")}
    named = re.findall(r"\]\(\.\./(examples/\w+\.py)\)", (ROOT / "docs" / "losses.md").read_text(encoding="utf-8"))
    assert examples | {"envzoo/papers.toml", "agents/coverage/subpo.py"} <= followed | set(named)


def test_committed_results_are_of_the_present_claim():
    comparisons = {name: experiments.find_experiment(name) for name in experiments.comparisons()}
    for number, experiment in {**experiments.experiments(), **comparisons}.items():
        file = ROOT / "docs" / "papers" / number / "results.json"
        if file.exists():
            results = json.loads(file.read_text(encoding="utf-8"))
            assert not results["quick"]
            if awaits_run(experiment, results):
                continue  # its page says so
            assert results["claim"] == experiment.claim
            judged = [(check["sentence"], check["operator"], check["threshold"]) for check in results["checks"]]
            present = [[check.sentence, check.operator, check.threshold] for check in experiment.checks]
            assert json.dumps(judged) == json.dumps(present)


def test_the_readme_is_short():
    """At most 130 lines beside the generated table of papers."""
    text = re.sub(
        r"<!-- papers -->\n.*?<!-- /papers -->", "", (ROOT / "README.md").read_text(encoding="utf-8"), flags=re.S
    )
    assert len(text.splitlines()) <= 130


def test_python_examples_name_things_that_exist():
    pages = ("README.md", "docs/games.md", "docs/language-models.md", "docs/neighbours.md", "docs/offline.md")
    for block in (block for page in pages for block in code_blocks(page, "python")):
        tree = ast.parse(block)  # raises when an example is not Python
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith("envzoo/"):
                assert node.value in gym.registry or is_dataset_id(node.value), node.value
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "envzoo.agents.make":
                config = registry.agent_class(ast.literal_eval(node.args[0])).Config
                given = {keyword.arg for keyword in node.keywords} - {"seed", "device", "env_kwargs"}
                assert given <= set(config.__dataclass_fields__)


@pytest.mark.parametrize("name", WRITTEN)
def test_shell_examples_name_things_that_exist(name):
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)
    for line in "".join(code_blocks(name, "sh")).splitlines():
        words = shlex.split(line, comments=True)
        if words[:1] == ["make"]:
            assert words[1] in targets, line
        if words[:1] == ["envzoo"]:
            assert words[1] in COMMANDS, line
        if words[:2] == ["envzoo", "train"]:
            registry.spec(words[2])
            assert "--help" in words or words[3] in gym.registry or is_dataset_id(words[3]), line
        if words[:2] == ["envzoo", "make-dataset"]:
            assert is_dataset_id(words[2]), line
        if words[:2] == ["envzoo", "reproduce"]:
            assert words[2] in [*papers.papers(), *experiments.comparisons()], line
