"""The root of the command line: its options, its commands, and the edge where errors become sentences."""

from __future__ import annotations

import logging
import sys
from typing import Annotated, Any

import typer

from agent.cli.options import Home, Model, Owner, State, Stopped
from agent.cli.version import version
from memory.errors import AttuneError
from memory.text import BIDI, as_written

app = typer.Typer(
    name="attune",
    help="A personal agent in your terminal that learns from your thumbs, on your own machine.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    home: Home = None,
    model: Model = None,
    owner: Owner = None,
    show_version: Annotated[bool, typer.Option("--version", help="Show the version and leave.")] = False,
) -> None:
    if show_version:
        print(f"attune {version()}")
        raise typer.Exit
    context.obj = State(home=home, model=model, owner=owner)
    if context.invoked_subcommand is None:
        _chat(context.obj)


@app.command()
def chat(context: typer.Context, home: Home = None, model: Model = None) -> None:
    """Open the terminal screen (the same as `attune` alone)."""
    _chat(context.obj.with_options(home, model))


def _chat(state: State) -> None:
    # Textual draws on stderr: with that one elsewhere nobody would see the screen.
    if not all(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr)):
        raise AttuneError("The chat screen needs a terminal; use `attune ask TEXT` in scripts.")
    with state.runtime(in_process=False) as runtime:
        from agent.tui.app import AttuneApp

        screen = AttuneApp(runtime)
        screen.run()
    if screen.return_code:  # it has said why itself, where there was still a terminal to say it on
        raise typer.Exit(screen.return_code)


def _add_commands() -> None:
    from agent.cli import ask, bench, card, feedback, forget, keep, learn, memory, policy, train

    app.command(name="ask")(ask.ask)
    app.command(name="learn")(learn.learn)
    app.command(name="rate")(feedback.rate)
    app.command(name="train")(train.train)
    policy.app.command(name="delete")(forget.delete)
    app.add_typer(policy.app, name="policy")
    app.add_typer(forget.app, name="forget")
    app.add_typer(memory.app, name="memory")
    app.add_typer(card.app, name="card")
    app.add_typer(bench.app, name="bench")
    app.command(name="doctor")(keep.doctor)
    app.command(name="export")(keep.export)
    app.command(name="import")(keep.import_)


_add_commands()


def run(arguments: list[str]) -> int:
    """Run one command line; every error ends here, as one line on stderr and an exit code.

    Ctrl+C alone goes on, as KeyboardInterrupt, where it has a sentence of its own.
    """
    # Without it Python prints warnings on stderr itself before a home (and its log) is open.
    logging.getLogger("attune").addHandler(logging.NullHandler())
    _speak_utf8()
    try:
        app(_owner_first(arguments), prog_name="attune")
    except SystemExit as done:
        return _code(done.code)
    except Stopped as stopped:
        # a plain one would be caught, and lose its words, before it comes here
        raise KeyboardInterrupt(str(stopped)) from stopped
    except AttuneError as wrong:
        return _fail(str(wrong))
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return 1
    except Exception as wrong:
        return _fail(
            f"Something unexpected happened ({type(wrong).__name__}: {_first_line(wrong)}); "
            "run `attune doctor`, and see the log in the home folder."
        )
    return 0


def _owner_first(arguments: list[str]) -> list[str]:
    """`--owner NAME` is an option of the root; wherever it stands in the line it is moved there.

    Without a name it is left alone: moved, it would take the name of the command for one.
    """
    end = arguments.index("--") if "--" in arguments else len(arguments)
    moved: list[str] = []
    rest: list[str] = []
    at = 0
    while at < end:
        one = arguments[at]
        if one == "--owner" or one.startswith("--owner="):
            taken = 1 if "=" in one else 2
            if at + taken > end:
                return [one]  # wrong usage, and the root says so
            moved += arguments[at : at + taken]
            at += taken
        else:
            rest.append(one)
            at += 1
    return [*moved, *rest, *arguments[end:]]


def _speak_utf8() -> None:
    """Whatever the locale says: replies hold any character, and a bad byte must not end the run."""
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        reconfigure: Any = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(encoding="utf-8", errors="replace")


def _fail(sentence: str) -> int:
    try:
        # it may name what was typed, and that must not drive the terminal
        line = BIDI.sub("", as_written(" ".join(sentence.split())))
        print(f"attune: {line}", file=sys.stderr)
    except OSError:
        pass  # nobody reads stderr any more; the exit code still tells
    return 1


def _code(code: object) -> int:
    return code if isinstance(code, int) else 0 if code is None else 1


def _first_line(wrong: Exception) -> str:
    return (str(wrong).splitlines() or [""])[0][:200]
