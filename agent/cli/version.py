"""Which Attune this is."""

from __future__ import annotations


def version() -> str:
    """The installed version; "0 (not installed)" when run from a bare checkout."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed

    try:
        return installed("attune")
    except PackageNotFoundError:
        return "0 (not installed)"
