"""Processes that are measured: on which processor each runs, and what it has used of processor and memory (Linux's /proc)."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from tests.support.processes import children

_TICKS = os.sysconf("SC_CLK_TCK")


class Processors:
    """Who runs where. What is measured has a processor to itself; load and upstream share another, or have one each."""

    def __init__(self) -> None:
        self.all = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []

    @property
    def are_enough(self) -> bool:
        return len(self.all) >= 2

    def served(self, workers: int = 1) -> set[int]:
        """Two workers share one processor where there are only two: then processor time a request means something, their speed does not."""
        return {self.all[0], self.all[3]} if workers > 1 and len(self.all) >= 4 else set(self.all[:1])

    @property
    def asking(self) -> set[int]:
        return set(self.all[1:2])

    @property
    def upstream(self) -> set[int]:
        return {self.all[2]} if len(self.all) >= 4 else self.asking

    @contextlib.contextmanager
    def pinned(self, to: set[int]) -> Iterator[None]:
        """What is started inside the block runs there, with all that it starts."""
        if not self.are_enough:
            yield
            return
        os.sched_setaffinity(0, to)
        try:
            yield
        finally:
            os.sched_setaffinity(0, self.all)


def family(pid: int) -> list[int]:
    """The process and all below it."""
    try:
        below = children(pid)
    except OSError:  # it has ended
        return []
    return [pid, *(each for child in below for each in family(child))]


def cpu_seconds(pid: int) -> float:
    """What the process and all below it have used, to a hundredth of a second."""
    total = 0
    for each in family(pid):
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
            total += int(fields[11]) + int(fields[12])
    return total / _TICKS


def memory_kb(pid: int) -> int:
    """Proportional set size of the process and all below it, in kB: a page that several share counts once.

    Where the system does not tell, what is resident, in which such a page counts for each.
    """
    return sum(_told_of(each, "smaps_rollup", "Pss:") or _told_of(each, "status", "VmRSS:") for each in family(pid))


def _told_of(pid: int, file: str, name: str) -> int:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/{file}").read_text().splitlines():
            if line.startswith(name):
                return int(line.split()[1])
    return 0
