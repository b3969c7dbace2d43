"""The child of an UpdateJob: `python -m policies.update.worker ORDER`, ORDER being one JSON object.

Reports JSON lines on standard output: {"event": "progress", "fraction", "text"}, and at the end
{"event": "result", "result"} or {"event": "error", "text"}. Whatever else is printed goes to standard
error. Stops when its standard input closes or on SIGTERM. Exit status 0, or 1 after an error.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import traceback
import warnings
from dataclasses import asdict
from typing import Any, TextIO

from memory.errors import AttuneError


def main(order: dict[str, Any]) -> int:
    out = _private_stdout()
    _step_back()
    cancel = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: cancel.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_watch_parent, args=(cancel,), daemon=True).start()
    warnings.simplefilter("ignore")

    def tell(event: str, **body: Any) -> None:
        try:
            print(json.dumps({"event": event, **body}), file=out, flush=True)
        except OSError:
            cancel.set()

    tell("progress", fraction=0.0, text="starting")
    try:
        from policies.learners.lora import LearningSettings
        from policies.update.run import run_update

        _few_threads()
        result = run_update(
            order["home"],
            order.get("model"),
            order.get("algorithm", "auto"),
            LearningSettings(**order.get("settings", {})),
            lambda fraction, text: tell("progress", fraction=fraction, text=text),
            cancel,
            device=order.get("device", "auto"),
        )
    except AttuneError as error:
        tell("error", text=str(error))
        return 1
    except Exception as error:
        # the last edge of this process: the trace is for the log, the sentence for the person
        traceback.print_exc()
        tell(
            "error",
            text=f"The update failed ({type(error).__name__}); nothing was changed: see logs/update.log.",
        )
        return 1
    tell("result", result=asdict(result))
    return 0


def _private_stdout() -> TextIO:
    """The real standard output for our lines alone; everybody else's prints go to standard error."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return out


def _step_back() -> None:
    """Lowest priority for the processor and, where there is such a thing, for the disk."""
    import psutil

    try:
        os.nice(19)
        psutil.Process().ionice(psutil.IOPRIO_CLASS_IDLE)
    except (OSError, AttributeError, psutil.Error):
        pass  # a sandbox may forbid it, other systems lack it; the update is right all the same


def _few_threads() -> None:
    import torch

    torch.set_num_threads(max(1, int(os.environ.get("OMP_NUM_THREADS", "1"))))


def _watch_parent(cancel: threading.Event) -> None:
    # read() returns when the parent closes the pipe: because it wants us to stop, or because it died
    sys.stdin.read()
    cancel.set()


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1])))
