"""How a module of ours is started in a process of its own: by the same packages, from whatever folder."""

from __future__ import annotations

import os
import sys
from pathlib import Path

# Where our packages lie. A checkout may be importable here thanks to the working folder alone.
ROOT = str(Path(__file__).resolve().parent.parent)


def command(module: str, *arguments: str) -> list[str]:
    """`python -m` of this interpreter, which does not look for modules in the working folder first."""
    return [sys.executable, "-P", "-m", module, *arguments]


def environment(**first: str) -> dict[str, str]:
    """Ours, with `first` where nothing is set, and the path that our own modules came by."""
    path = [entry for entry in sys.path if entry]
    if ROOT not in path:
        path.append(ROOT)
    return {**first, **os.environ, "PYTHONPATH": os.pathsep.join(path)}
