"""Time that is compared: one run of each way after the other, so that the machine's noise meets all alike."""

import time
from collections.abc import Callable
from statistics import median

RUNS = 5

Work = Callable[[], object]


def interleaved(works: dict[str, Work]) -> dict[str, float]:
    """Median seconds of each over RUNS rounds, after one to warm up."""
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for round_number in range(RUNS + 1):
        for name, work in works.items():
            started = time.perf_counter()
            work()
            if round_number:
                seconds[name].append(time.perf_counter() - started)
    return {name: median(values) for name, values in seconds.items()}
