"""The command line. `main` is the entry point; each group of commands has a file of its own.

Starting is quick because nothing heavy is imported before a command needs it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

# What a shell reports for a command that Ctrl+C ended: 128 + SIGINT.
STOPPED = 130
KEPT = "Stopped; what was done until then is kept."


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code: 0, 1 (one line on stderr), 2 (wrong usage), 130 (Ctrl+C)."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    _open_streams()
    said = KEPT
    try:
        code = _run(arguments)
    except KeyboardInterrupt as stopped:
        # Wherever it came: in the imports, or a second time while everything was being closed.
        code = STOPPED
        said = str(stopped) or KEPT
    if code == STOPPED:
        _say_stopped(said, leaving=argv is None)
    return code


def _open_streams() -> None:
    """A stream that the caller closed (`2>&-`) is None, and what is printed to None lands on stdout.

    In the order of their numbers: each takes the free place, which a database would get otherwise.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115 (as long as we live)


def _run(arguments: list[str]) -> int:
    if arguments == ["--version"]:
        from agent.cli.version import version

        print(f"attune {version()}")
        return 0
    from agent.cli.app import run

    return run(arguments)


def _say_stopped(said: str, leaving: bool) -> None:
    """One sentence. When the process is about to end, a further Ctrl+C cannot break into its end."""
    try:
        if leaving:
            import signal

            signal.signal(signal.SIGINT, signal.SIG_IGN)
        print(f"attune: {said}", file=sys.stderr)
    except (OSError, ValueError, KeyboardInterrupt):
        pass  # nobody reads it, or we are not in the main thread; the exit code still tells


if __name__ == "__main__":
    sys.exit(main())
