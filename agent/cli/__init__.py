"""The command line. `main` is the entry point; each group of commands has a file of its own.

Starting is quick because nothing heavy is imported before a command needs it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code: 0, 1 (one line on stderr), 2 (wrong usage), 130 (Ctrl+C)."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments == ["--version"]:
        from agent.cli.version import version

        print(f"attune {version()}")
        return 0
    from agent.cli.app import run

    return run(arguments)


if __name__ == "__main__":
    sys.exit(main())
