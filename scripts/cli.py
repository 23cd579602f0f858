"""The `envzoo` command: finds the subcommand, and turns every error of bad input into one sentence."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import importlib
import io
import sys
import typing
from typing import Any, TypeVar

from envzoo.errors import EnvzooError, UnknownNameError, unknown
from envzoo.scripts.flags import OTHER_NAMES, normalize
from envzoo.scripts.import_modules import HELP as IMPORT_HELP
from envzoo.scripts.import_modules import import_modules, take_imports
from envzoo.version import __version__

T = TypeVar("T")

COMMANDS = {
    "list": ("envzoo.scripts.list", "Show the environments, agents, datasets or papers."),
    "train": ("envzoo.scripts.train", "Train an agent on an environment or a dataset."),
    "tune": ("envzoo.scripts.tune", "Search hyperparameters of an agent."),
    "evaluate": ("envzoo.scripts.evaluate", "Play episodes with a trained agent, and film one."),
    "compare": ("envzoo.scripts.compare", "Compare the final scores of runs, with intervals over seeds."),
    "plot": ("envzoo.scripts.plot", "Draw the learning curves of runs."),
    "make-dataset": ("envzoo.scripts.make_dataset", "Build an offline dataset in Minari format."),
    "reproduce": ("envzoo.scripts.reproduce", "Rerun the central claim of a paper."),
    "check": ("envzoo.scripts.check", "Check an environment against Gymnasium's API."),
    "convert": ("envzoo.scripts.convert", "Convert an agent of Stable-Baselines3."),
    "bench": ("envzoo.scripts.bench", "Measure speed against peers."),
}


# Commands that look names up in the tables, and so take `--import`.
IMPORTING = ("list", "train", "tune", "evaluate", "make-dataset", "reproduce")


# What a disk can refuse at any moment, also to the libraries we use; no mistake of the program.
FULL_OR_READ_ONLY = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)


def split_positional(argv: list[str]) -> tuple[list[str], list[str]]:
    """Split arguments into the leading ones that are no flags, and the rest."""
    for i, argument in enumerate(argv):
        if argument.startswith("-"):
            return argv[:i], argv[i:]
    return argv, []


def _flag_names(cls: type) -> list[str]:
    names = []
    hints = typing.get_type_hints(cls)
    for field in dataclasses.fields(cls):
        name = field.name.replace("_", "-")
        names += [name, f"no-{name}"] if hints[field.name] is bool else [name]
    return names


def _read_flags(cls: type[T], flags: list[str], prog: str, description: str) -> T:
    """Let tyro read the flags, with its boxed error reports turned into one sentence."""
    import tyro

    report = io.StringIO()
    try:
        with contextlib.redirect_stderr(report):
            return tyro.cli(cls, args=flags, prog=prog, description=description)
    except SystemExit as end:
        if not end.code:  # help was asked for
            raise
    lines = [line.strip("│╭╮╰╯ ") for line in report.getvalue().splitlines()]
    body = lines[1:] if lines and lines[0].startswith("─") else lines
    if len(body) > 1 and body[1].startswith("---"):  # without a terminal, a title over a rule in place of a box
        body = body[2:]
    rule = next((i for i, line in enumerate(body) if line.startswith(("─", "---"))), len(body))
    text = " ".join(" ".join(body[:rule]).split()).removeprefix("Error parsing ").rstrip(".")
    words = text.removeprefix("Unrecognized options: ")
    if words != text and not words.startswith("-"):
        raise EnvzooError(f"unexpected {words}: arguments come before the options, as in `{prog} [options]`")
    raise EnvzooError(f"{text}; `{prog} --help` explains every option")


def flags_given(flags: list[str]) -> set[str]:
    """List the names of the fields that flags set, whatever their values."""
    names = {flag[2:].split("=")[0].replace("-", "_") for flag in flags if flag.startswith("--")}
    return names | {name.removeprefix("no_") for name in names}


def parse(
    cls: type[T], flags: list[str], *, prog: str, config: type | None = None, agent: str = "", description: str = ""
) -> tuple[T, dict[str, Any]]:
    """Read flags into a dataclass, and those of an agent's config into a dict of the hyperparameters given.

    Args:
        cls: Dataclass of the command's options; field docstrings become help texts.
        flags: Command-line arguments without positional ones.
        prog: Command as shown in help texts.
        config: Config dataclass of an agent, whose fields become flags as well.
        agent: Its name, for errors.
        description: Text of `--help`; None takes the docstring of `cls`.

    Raises:
        UnknownNameError: A flag that neither has; the sentence names the nearest.
        EnvzooError: A flag without its value, or with one of another type.
    """
    import tyro

    known = _flag_names(cls) + (_flag_names(config) if config else [])
    for flag in flags:
        if flag.startswith("--") and flag != "--help":
            name = flag[2:].split("=")[0].replace("_", "-")
            if name not in known:
                kind = f"option or hyperparameter of {agent}" if agent else "option"
                if OTHER_NAMES.get(name) in known:
                    raise UnknownNameError(f"unknown {kind} {name!r}; did you mean {OTHER_NAMES[name]!r}?")
                raise unknown(kind, name, known)
    flags = normalize(flags, cls, *([config] if config else []))
    description = description or (cls.__doc__ or "")
    if prog.split()[1] in IMPORTING:
        description = f"{description.strip()}\n\n{IMPORT_HELP}"
    if config is None or not dataclasses.fields(config):
        return _read_flags(cls, flags, prog, description), {}
    both = dataclasses.make_dataclass(
        "Arguments",
        [
            # The field names become the titles of the two groups in the help text.
            ("run", tyro.conf.OmitArgPrefixes[cls], dataclasses.field(default_factory=cls)),
            ("hyperparameter", tyro.conf.OmitArgPrefixes[config], dataclasses.field(default_factory=config)),
        ],
    )
    parsed = _read_flags(both, flags, prog, description)
    named = flags_given(flags)
    given = {
        field.name: getattr(parsed.hyperparameter, field.name)
        for field in dataclasses.fields(config)
        if field.name in named
    }
    return parsed.run, given


def parse_help(usage: str, text: str, choices: dict[str, str], flags: list[str]) -> int:
    """Print a short help text with a table of choices; exit code 0 if help was asked for, 2 otherwise."""
    from rich.console import Console
    from rich.table import Table

    asked = "--help" in flags or "-h" in flags
    console = Console(stderr=not asked)
    console.print(f"usage: {usage}\n\n{text}", highlight=False, markup=False)
    table = Table(box=None, show_header=False, pad_edge=True)
    for name, summary in choices.items():
        table.add_row(f"[bold]{name}[/bold]", summary)
    console.print(table)
    return 0 if asked else 2


def run(argv: list[str]) -> int:
    """Run a command line without the program's name; errors of bad input are raised."""
    if not argv or argv[0] in ("-h", "--help"):
        summaries = {name: summary for name, (_, summary) in COMMANDS.items()}
        text = "Environments in which information, entropy and history matter, and a zoo of agents.\n\nCommands "
        return parse_help("envzoo COMMAND ...", f"{text}(each has --help):", summaries, argv or ["--help"])
    if argv[0] == "--version":
        print(f"envzoo {__version__}")
        return 0
    name, *rest = argv
    if name not in COMMANDS:
        raise unknown("command", name, COMMANDS)
    if name in IMPORTING:
        modules, rest = take_imports(rest)
        import_modules(modules)
    return importlib.import_module(COMMANDS[name][0]).command(rest)


def main(argv: list[str] | None = None) -> int:
    """Run the command line of this process, with errors of bad input as one sentence.

    Returns:
        The exit code: 0 for success, 1 for a claim that does not hold, 2 for bad input, 130 for Ctrl-C.
    """
    try:
        return run(sys.argv[1:] if argv is None else argv)
    except EnvzooError as error:
        # Spaces and reasons quoted in a sentence can hold line breaks.
        print(f"envzoo: error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except OSError as error:
        if isinstance(error, BrokenPipeError):  # the reader of our output (`| head`) has gone
            sys.stderr.close()
            return 0
        if error.errno not in FULL_OR_READ_ONLY:
            raise
        where = f"{error.filename}: " if error.filename else ""
        print(f"envzoo: error: {where}{error.strerror}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("envzoo: stopped", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
