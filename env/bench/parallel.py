"""Independent pieces of an experiment in spawned processes of one thread each.

Spawned, not forked: a forked copy of a process in which torch or a database is open may hang.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from env.bench.errors import BenchCancelled, BenchError

Job = TypeVar("Job")
Result = TypeVar("Result")
Tick = Callable[[], None]
Task = Callable[[Job, Tick, Callable[[], bool]], Result]

THREAD_SETTINGS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
POLL_SECONDS = 0.2

# set once in each child by _begin, since synchronisation objects cannot travel with a job
_ticks: Any = None
_stop: Any = None


def run(
    task: Task[Job, Result],
    jobs: Sequence[Job],
    workers: int,
    ticked: Callable[[int], None],
    cancelled: Callable[[], bool],
    finished: Callable[[Result], None] = lambda result: None,
) -> list[Result]:
    """`task(job, tick, cancelled)` for every job, in `workers` processes; results in the order of jobs.

    `task` and its results must be picklable. In this process, `ticked` hears how many ticks all tasks
    made so far, and `finished` each result as soon as it is there. Raises what a task raised,
    BenchCancelled, or BenchError if a process died.
    """
    context = multiprocessing.get_context("spawn")
    ticks, stop = context.Value("q", 0), context.Event()
    pool = ProcessPoolExecutor(
        min(workers, len(jobs)), mp_context=context, initializer=_begin, initargs=(ticks, stop)
    )
    try:
        futures = [pool.submit(_work, task, job) for job in jobs]
        waiting = set(futures)
        while waiting:
            done, waiting = wait(waiting, timeout=POLL_SECONDS, return_when=FIRST_EXCEPTION)
            for future in done:
                finished(future.result())
            if cancelled():
                raise BenchCancelled
            ticked(ticks.value)
        return [future.result() for future in futures]
    except BrokenProcessPool as error:
        raise BenchError(
            "A process of the bench was ended from outside, most likely for want of memory; try --workers 1."
        ) from error
    finally:
        stop.set()
        pool.shutdown(cancel_futures=True)


def _begin(ticks: Any, stop: Any) -> None:
    global _ticks, _stop
    _ticks, _stop = ticks, stop
    # read by torch and numpy when they load, which is later than this
    os.environ.update(dict.fromkeys(THREAD_SETTINGS, "1"))
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    # Ctrl+C reaches every process of the terminal; the parent asks us to stop, and says so once
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _work(task: Task[Job, Result], job: Job) -> Result:
    return task(job, _tick, _stop.is_set)


def _tick() -> None:
    with _ticks.get_lock():
        _ticks.value += 1
