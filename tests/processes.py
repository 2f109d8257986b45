"""Programs in processes of their own, which begin at once: each is forked from a process that has imported everything.

That process has done nothing else: no device is known, no flag of a backend is read before a program begins.
"""

import functools
import multiprocessing
import multiprocessing.connection
import os
import sys
import tempfile
import time
import traceback
from pathlib import Path

import numpy as np


def forked():
    """The means of `multiprocessing` to begin such processes."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["search_to_kill", "training_to_kill"])
    return context


@functools.cache
def folder():
    return tempfile.TemporaryDirectory()


def start(code, *arguments, cwd=None, **environment):
    """A process that runs a program; `process.printed()` is what it has printed so far."""
    handle, path = tempfile.mkstemp(dir=folder().name)
    os.close(handle)
    arguments = [str(argument) for argument in arguments]
    environment = {**os.environ, **environment}  # of now, not of when the first such process began
    given = (code, arguments, str(cwd or os.getcwd()), environment, path)
    process = forked().Process(target=run, args=given, daemon=True)  # one that a failed test leaves is not waited for
    process.printed = functools.partial(Path(path).read_text, encoding="utf-8")
    process.start()
    return process


def run(code, arguments, cwd, environment, path):
    os.environ.update(environment)
    os.chdir(cwd)
    sys.argv = ["-c", *arguments]
    np.random.seed()  # forked processes would all draw the same
    with open(path, "w", buffering=1, encoding="utf-8") as printed:
        for stream in (1, 2):
            os.dup2(printed.fileno(), stream)
        sys.stdout = sys.stderr = printed
        try:
            exec(compile(code, "<program>", "exec"), {"__name__": "__main__"})
        except Exception:
            traceback.print_exc()
            sys.exit(1)


def wait(processes, happened):
    """Until `happened()`, which is asked again and again while all of them run."""
    while not happened():
        assert all(process.is_alive() for process in processes), [process.printed()[-2000:] for process in processes]
        time.sleep(0.01)


def finish(*processes):
    """What they printed; all of them are ended if one fails."""
    running = {process.sentinel: process for process in processes}
    while running:
        for sentinel in multiprocessing.connection.wait(running, timeout=600) or running:
            if running.pop(sentinel).exitcode != 0:
                for process in processes:
                    process.kill()
                raise AssertionError("\n".join(process.printed()[-3000:] for process in processes))
    return [process.printed() for process in processes]
