"""Several things at a time, one a thread: the layers of an image on their way in or out."""

from __future__ import annotations

import threading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeVar

    Item = TypeVar("Item")

_END_SECONDS = 2.0


def each(items: Sequence[Item], act: Callable[[Item], object], end: Callable[[], object], threads: int) -> None:
    """Calls `act` with each, so many at a time, the first ones first. All have ended when this returns or raises.

    The first failure, or the user's interrupt, calls `end`, which has the calls under way fail soon; it is raised.
    """
    if len(items) == 1:
        act(items[0])
        return
    pending = iter(items)
    turn = threading.Lock()
    ended = threading.Semaphore(0)
    failures: list[BaseException] = []

    def work() -> None:
        try:
            while not failures:
                with turn:
                    item = next(pending, None)
                if item is None:
                    return
                act(item)
        except BaseException as error:
            failures.append(error)
            end()
        finally:
            ended.release()

    workers = [threading.Thread(target=work, daemon=True) for _ in range(min(threads, len(items)))]
    left = len(workers)
    try:
        for worker in workers:
            worker.start()
        while left:
            # Not Thread.join: before Python 3.13 a thread whose join was interrupted passes for ended.
            ended.acquire()
            left -= 1
    except BaseException as error:  # the user's interrupt
        failures.append(error)
        end()
        while left and ended.acquire(timeout=_END_SECONDS):
            left -= 1
        raise
    for worker in workers:
        worker.join()
    if failures:
        raise failures[0]
