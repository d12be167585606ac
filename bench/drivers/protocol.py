"""The harness's protocol for drivers in Python: a JSON object a line in, one out.

bench/README.md describes it. A driver is an object with
  describe() -> {"version": ..., "settings": ...}
  prepare(case, tensors, request) -> job; raises Unsupported with the reason
and a job has check() -> {name: array}, called once and first, and run(), which is timed.
"""

import json
import os
import sys
import time

import numpy as np
from safetensors.numpy import load_file, save_file


class Unsupported(Exception):
    """A case that the library behind the driver cannot do."""


def limit_processors(threads: int) -> None:
    """For libraries whose threads can be limited in no other way; before they are imported."""
    if hasattr(os, "sched_setaffinity"):
        available = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, available[:threads])


def requested_threads() -> int:
    return int(sys.argv[1])


def padding_cleared(y: np.ndarray, lengths: np.ndarray | None) -> np.ndarray:
    """[T, B, F] with zeros beyond each row's length."""
    if lengths is None:
        return y
    beyond = np.arange(len(y))[:, None] >= lengths[None, :]
    return np.where(beyond[:, :, None], np.float32(0), y)


def time_calls(job, request: dict) -> list[float]:
    """Milliseconds of timed calls, after calls that bring code and data back to the caches.

    A call shorter than groupMs is timed in groups, so that the clock's own cost does not count.
    """
    clock, run = time.perf_counter, job.run
    call_ms = calls = 0
    warm_begin = clock()
    while request["warmMs"] > 0 and (
        calls == 0 or (clock() - warm_begin) * 1e3 < request["warmMs"]
    ):
        begin = clock()
        run()
        call_ms = (clock() - begin) * 1e3
        calls += 1
    group = int(request["groupMs"] / call_ms) + 1 if 0 < call_ms < request["groupMs"] else 1
    times = []
    begin = clock()
    while len(times) < request["maxSamples"]:
        if len(times) >= request["minSamples"] and (clock() - begin) * 1e3 >= request["budgetMs"]:
            break
        sample_begin = clock()
        for _ in range(group):
            run()
        times.append((clock() - sample_begin) * 1e3 / group)
    return times


def answer(driver, job, request: dict):
    """The next job and the reply."""
    op = request["op"]
    if op == "describe":
        return job, driver.describe()
    if op == "prepare":
        tensors = load_file(request["data"])
        return driver.prepare(request["case"], tensors, request), {"ok": True}
    if op == "release":
        return None, {"ok": True}
    if job is None:
        raise ValueError(f'Expected "prepare" before "{op}"')
    if op == "check":
        results = {k: np.ascontiguousarray(v, np.float32) for k, v in job.check().items()}
        save_file(results, request["output"])
        return job, {"ok": True}
    if op == "time":
        return job, {"timesMs": time_calls(job, request)}
    raise ValueError(f'Unknown request "{op}"')


def serve(driver) -> None:
    job = None
    for line in sys.stdin:
        try:
            request = json.loads(line)
            if request["op"] == "prepare":
                job = None  # frees its memory before the next one takes its own
            job, reply = answer(driver, job, request)
        except Unsupported as reason:
            reply = {"unsupported": str(reason)}
        except Exception as error:  # the harness reports it and goes on
            reply = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(reply), flush=True)
