"""`attune forget`: take a rating, a conversation or a memory out for good, and out of the weights too."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agent.cli.options import REPLY_ID, Home, Json, Model, State, Stopped, note, opened, print_json
from agent.cli.train import learn
from memory.errors import AttuneError

if TYPE_CHECKING:
    from agent.runtime import Runtime

app = typer.Typer(
    help="Forget for good, in the weights too; alone, say which adapters still know it.",
    rich_markup_mode=None,
)
Retrain = Annotated[
    bool, typer.Option("--retrain", help="Train an adapter without it now; until then the base speaks.")
]
Purge = Annotated[bool, typer.Option("--purge", help="Delete marked adapters that do not speak.")]
Everything = Annotated[
    bool, typer.Option("--everything", help="Delete all that this owner has here, backups too.")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    retrain: Retrain = False,
    purge: Purge = False,
    everything: Everything = False,
    as_json: Json = False,
    yes: Yes = False,
    home: Home = None,
    model: Model = None,
) -> None:
    """Forget a rating, a conversation or a memory; alone, say which adapters still know it."""
    named = context.invoked_subcommand
    if named is not None:
        if everything or purge:
            alone = "--everything" if everything else "--purge"
            raise AttuneError(f"Nothing was forgotten: `attune forget {alone}` takes no `{named}` beside it.")
        # what stands before the name of the command holds for it as well
        context.obj = opened(context, home, model)
        context.default_map = {named: {"retrain": retrain, "as_json": as_json, "yes": yes}}
        return
    from agent import forget

    state = opened(context, home, model)
    if everything:
        _everything(state, as_json, yes)
        return
    with state.runtime() as runtime:
        if purge and not _sure("Delete the marked adapters for good?", yes):
            return
        told: dict[str, Any] = {"retrained": _retrain(runtime, as_json) if retrain else None}
        told["deleted"] = forget.purge(runtime) if purge else []
        if as_json:
            print_json(told | _standing(runtime))
            return
        if told["deleted"]:
            print(f"Deleted for good: {', '.join(told['deleted'])}.")
        for line in forget.standing(runtime) or ["No adapter knows anything that was forgotten."]:
            print(line)


def _everything(state: State, as_json: bool, yes: bool) -> None:
    """Without a terminal it wants `--yes`: what is gone here comes back from nowhere."""
    from memory.forgetting.erase_home import erase_home

    asked = (
        f"Delete everything in {state.folder} for good: conversations, ratings, memories, adapters, "
        "imports, settings and backups?"
    )
    if not yes and not sys.stdin.isatty():
        raise AttuneError("Nothing was forgotten: `attune forget --everything --yes` deletes all of it.")
    if not _sure(asked, yes):
        return
    deleted = erase_home(state.folder)
    if as_json:
        print_json({"home": str(state.folder), "deleted": [path.name for path in deleted]})
    else:
        print(f"Everything in {state.folder} is deleted: {', '.join(path.name for path in deleted)}.")


@app.command()
def rating(
    context: typer.Context,
    reply_id: Annotated[str, typer.Argument(help=REPLY_ID)],
    retrain: Retrain = False,
    as_json: Json = False,
    yes: Yes = False,
    home: Home = None,
    model: Model = None,
) -> None:
    """Forget all that you thought of a reply: thumbs, edits, picks."""
    _forget(opened(context, home, model), "rating", reply_id, retrain, as_json, yes)


@app.command()
def conversation(
    context: typer.Context,
    conversation_id: Annotated[str, typer.Argument(help="As `attune ask --json` prints it.")],
    retrain: Retrain = False,
    as_json: Json = False,
    yes: Yes = False,
    home: Home = None,
    model: Model = None,
) -> None:
    """Forget a conversation, its replies and their ratings."""
    _forget(opened(context, home, model), "conversation", conversation_id, retrain, as_json, yes)


@app.command()
def memory(
    context: typer.Context,
    memory_id: Annotated[str, typer.Argument(help="As `attune memory list` prints it.")],
    retrain: Retrain = False,
    as_json: Json = False,
    yes: Yes = False,
    home: Home = None,
    model: Model = None,
) -> None:
    """Forget a memory; no adapter is trained on a reply that knew it any more."""
    _forget(opened(context, home, model), "memory", memory_id, retrain, as_json, yes)


def delete(
    context: typer.Context,
    version: Annotated[str, typer.Argument(metavar="V", help="Such as v1.")],
    as_json: Json = False,
    yes: Yes = False,
    home: Home = None,
) -> None:
    """Delete a version for good, its files too."""
    with opened(context, home).runtime() as runtime:
        runtime.registry.get(version)
        if not _sure(f"Delete {version} for good?", yes):
            return
        runtime.registry.delete(version)
        if as_json:
            print_json({"deleted": version})
        else:
            print(f"{version} is deleted for good.")


def _forget(state: State, kind: str, what: str, retrain: bool, as_json: bool, yes: bool) -> None:
    from agent import forget

    with state.runtime() as runtime:
        what = runtime.journal.reply_named(what) if kind == "rating" else what
        if not _sure(forget.question(runtime, kind, what), yes):
            return
        gone = forget.forget(runtime, kind, what)
        if not as_json:
            print(gone.text())
        trained = None
        try:
            trained = _retrain(runtime, as_json) if retrain else None
        finally:
            # it is forgotten, whatever came of the training
            if as_json:
                print_json(gone.to_json() | {"retrained": trained} | _standing(runtime))
        if as_json:
            return
        for line in forget.standing(runtime):
            print(line)


def _retrain(runtime: Runtime, as_json: bool) -> dict[str, Any]:
    """Train without what was forgotten. A marked one does not speak from here on, whatever comes."""
    from agent import forget

    stepped = forget.step_down(runtime)
    if stepped and not as_json:
        note(f"{stepped} {forget.STEP_DOWN}; the base speaks.")
    try:
        result = learn(runtime)
    except Stopped:
        # its words are of the update alone; what was forgotten before it is kept so
        raise KeyboardInterrupt from None
    if not as_json:
        print(f"{result.adapter} ({result.algorithm}, {result.signals} signals): {result.verdict}")
    return result.to_json()


def _standing(runtime: Runtime) -> dict[str, Any]:
    from agent import forget

    active = runtime.active_adapter()
    return {
        "active": active.version if active else None,
        "active_marked": bool(active and active.forgotten),
        "all_marked": {one.version: one.forgotten for one in runtime.registry.marked()},
        "say": forget.standing(runtime),
    }


def _sure(question: str, yes: bool) -> bool:
    """Asked on a terminal only: a script says what it wants by calling."""
    if yes or not sys.stdin.isatty() or typer.confirm(question, err=True):
        return True
    note("Nothing was forgotten.")
    return False
