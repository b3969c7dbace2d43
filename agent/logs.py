"""The rotating log of a home. It takes what the screen never shows: tracebacks."""

from __future__ import annotations

import logging
import logging.handlers
from pathlib import Path

from agent.config import log_level
from agent.paths import log_file

SIZE = 1_000_000
KEPT = 3


def start_log(home: Path) -> None:
    """Send the loggers below "attune" to logs/attune.log; without a place to write it, nowhere."""
    logger = logging.getLogger("attune")
    stop_log()
    logger.propagate = False
    logger.setLevel(log_level())
    path = log_file(home)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handler = logging.handlers.RotatingFileHandler(
            path, maxBytes=SIZE, backupCount=KEPT, encoding="utf-8", delay=False
        )
    except OSError:
        return
    handler.setFormatter(logging.Formatter("%(asctime)s %(process)d %(levelname)s %(name)s %(message)s"))
    logger.addHandler(handler)
    # A full disk must not print a traceback over the screen.
    logging.raiseExceptions = False


def stop_log() -> None:
    logger = logging.getLogger("attune")
    for handler in list(logger.handlers):
        if isinstance(handler, logging.FileHandler):
            logger.removeHandler(handler)
            handler.close()
