"""Times a case alternately with its peer.

A side of a case is a function that makes what is timed and returns a function, which does the work once and returns the
seconds it took. `Side` runs it in a process of its own, so that ours on one backend can be timed against a peer on
another, each with all cores; `case` registers two sides under a name; `main` runs the cases of a script.
"""

import argparse
import collections
import contextlib
import functools
import importlib
import json
import os
import queue
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

#: Rounds after the warm-up.
ROUNDS = 7
#: Threads of PyTorch spin a while after their last task: a round begins when those of the other side have stopped.
SETTLE = 0.3
#: On a machine that others use, BENCHMARK_CPU_TIME=1 measures CPU time in place of the wall clock, on one thread.
CPU_TIME = bool(os.environ.get("BENCHMARK_CPU_TIME"))
BACKEND = os.environ.get("KERAS_BACKEND", "tensorflow")
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "TF_NUM_INTRAOP_THREADS")
clock = time.process_time if CPU_TIME else time.perf_counter
#: The seconds spent in what is `counted`.
SPENT = collections.Counter()


class Missing(Exception):
    """A peer or a recipe that is not here: the case is skipped, and the message says why."""


def imported(module, name):
    """The module; `Missing`, by the name that people know it by, if it is not installed."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise Missing(f"{name} is not installed: {error}") from None


class Side:
    """A side of a case in a process of its own, begun with the first call.

    Args:
        make: a function of a script in this folder; it is called there, and returns a function that does the work once
            and returns the seconds it took, or None if those of the whole call count.
        backend: the Keras backend there; by default that of the environment variable KERAS_BACKEND, or TensorFlow.
        fresh: whether each call has a new process.
        **arguments: what `make` is called with, plain values.
    """

    def __init__(self, make, backend=BACKEND, fresh=False, **arguments):
        self.call = json.dumps([Path(make.__code__.co_filename).stem, make.__name__, arguments])
        self.backend, self.fresh, self.process = backend, fresh, None

    def __call__(self):
        if self.process is None:
            self.start()
        print("run", file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        if not line:
            self.process.wait()
            self.errors.seek(0)
            raise RuntimeError(f"{self.call} failed:\n{self.errors.read()[-3000:]}")
        answer = json.loads(line)
        if self.fresh:
            self.close()
        if "missing" in answer:
            raise Missing(answer["missing"])
        return answer["seconds"]

    def start(self):
        self.errors = tempfile.TemporaryFile("w+")  # noqa: SIM115
        quiet = {"KERAS_BACKEND": self.backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
        threads = dict.fromkeys(THREADS, "1") if CPU_TIME else {}
        self.process = subprocess.Popen(
            [sys.executable, __file__, self.call],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            env={**os.environ, **quiet, **threads},
        )

    def close(self):
        if self.process is not None:
            self.process.stdin.close()
            self.process.wait()
            self.process.stdout.close()
            self.errors.close()
            self.process = None


def serve(call):
    """The other end of a `Side`."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no answer
    module, function, arguments = json.loads(call)
    run = None
    for _ in sys.stdin:
        try:
            run = run or getattr(importlib.import_module(module), function)(**arguments)
        except Missing as error:
            answer = {"missing": str(error)}
        else:
            time.sleep(SETTLE)
            start = clock()
            seconds = run()
            answer = {"seconds": clock() - start if seconds is None else seconds}
        print(json.dumps(answer), file=answers, flush=True)
    # A `fit` that waits for its next epoch would be waited for.
    os._exit(0)


def epochs_of(model, data, epochs=1000, callbacks=()):
    """A function that lets one more epoch of a single `fit` run, and returns its seconds.

    A second `fit` would plan the learning rate anew and trace its step again, which is no part of a step's time.
    """
    import keras

    asked, answered = queue.Queue(), queue.Queue()

    class Epochs(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            asked.get()
            self.start = clock()

        def on_epoch_end(self, epoch, logs=None):
            answered.put(clock() - self.start)

    def fit():
        try:
            model.fit(data, epochs=epochs, shuffle=False, verbose=0, callbacks=[Epochs(), *callbacks])
        except BaseException as error:
            answered.put(error)

    def run():
        asked.put(True)
        answer = answered.get()
        if isinstance(answer, BaseException):
            raise answer
        return answer

    threading.Thread(target=fit, daemon=True).start()
    return run


def counted(function):
    """The same function; its seconds are added to those that were spent."""

    @functools.wraps(function)
    def run(*arguments, **named):
        began = time.perf_counter()
        try:
            return function(*arguments, **named)
        finally:
            SPENT["seconds"] += time.perf_counter() - began

    return run


def time_with(callback, model, data, epochs):
    """The time of a training with the callback, in units of the same without.

    A machine's own speed may vary by more than a callback costs; times of two trainings then say nothing. What is
    measured here is the time spent in the callback's methods, and in what else is `counted`, beside the rest of the
    same training, from the end of its first epoch.
    """
    import keras

    from keras_cookbook import callbacks

    for name in dir(callback):
        if name.startswith("on_"):
            setattr(callback, name, counted(getattr(callback, name)))
    began = []

    def begin(epoch, logs):
        if not epoch:
            SPENT.clear()
            began.append(time.perf_counter())

    first = keras.callbacks.LambdaCallback(on_epoch_end=begin)
    callbacks.fit(model, data, epochs=epochs, shuffle=False, verbose=0, callbacks=[callback, first])
    whole = time.perf_counter() - began[0]
    return whole / (whole - SPENT["seconds"])


def recipe(name):
    """The factory of that name."""
    from keras_cookbook import recipes

    if not hasattr(recipes, name):
        raise Missing(f"there is no recipe {name!r}")
    return getattr(recipes, name)


@dataclass
class Case:
    name: str
    peer: str
    sides: object
    rounds: int
    warm_up: int
    script: str

    def run(self, rounds=None):
        """The ratio peer/ours, and the lowest and highest of single rounds; `Missing` if one of them is not here."""
        rounds = rounds or self.rounds
        with contextlib.ExitStack() as stack:
            sides = self.sides()
            if isinstance(sides, Side):
                stack.callback(sides.close)
                ratios = [1 / sides() for _ in range(self.warm_up + rounds)][self.warm_up :]
                return statistics.median(ratios), min(ratios), max(ratios)
            for side in sides:
                stack.callback(side.close)
            return judge(alternate(*sides, rounds, self.warm_up))


CASES = []


def case(name, peer, rounds=ROUNDS, warm_up=1):
    """Registers a function without arguments that returns the two sides of a case: ours, and the peer.

    Or a single side, whose function times both itself and returns the time of ours in units of the peer's.
    """

    def register(sides):
        CASES.append(Case(name, peer, sides, rounds, warm_up, Path(sides.__code__.co_filename).name))
        return sides

    return register


def alternate(ours, peer, rounds=ROUNDS, warm_up=1):
    """The times of both in that many rounds, after some that do not count; each begins where the last one ended."""
    for _ in range(warm_up):
        ours(), peer()
    times = []
    for index in range(rounds):
        if index % 2:
            other, mine = peer(), ours()
        else:
            mine, other = ours(), peer()
        times.append((mine, other))
    return times


def judge(times) -> tuple[float, float, float]:
    """The ratio peer/ours, and the lowest and highest of single rounds.

    What else a machine does only ever adds to a time: the ratio is that of the quickest third of each side's rounds.
    """
    mine, other = (sum(sorted(side)[: max(1, len(side) // 3)]) for side in zip(*times, strict=True))
    rounds = [peer / ours for ours, peer in times]
    return other / mine, min(rounds), max(rounds)


def main(arguments=None):
    """Runs the registered cases whose names or scripts contain one of the words given, or all."""
    parser = argparse.ArgumentParser(description="Ratios of the time of a peer to ours; above 1, ours is faster.")
    parser.add_argument("words", nargs="*", metavar="case", help="a part of the name of a case or of its script")
    parser.add_argument("--rounds", type=int, help="rounds after the warm-up")
    parser.add_argument("--markdown", action="store_true", help="print rows of the table in README.md")
    parser.add_argument("--list", action="store_true", help="only name the cases")
    options = parser.parse_args(arguments)
    chosen = [c for c in CASES if not options.words or any(word in f"{c.script} {c.name}" for word in options.words)]
    for c in chosen:
        if options.list:
            print(f"{c.script}: {c.name} against {c.peer}")
            continue
        try:
            ratio, low, high = c.run(options.rounds)
        except Missing as error:
            print(f"{c.name} skipped: {error}", flush=True)
            continue
        spread = f"{low:.2f} to {high:.2f}"
        if options.markdown:
            print(f"| `{c.script}` | {c.name} | {c.peer} | {ratio:.2f} ({spread}) |", flush=True)
        else:
            print(f"{c.name} ratio: {ratio:.2f}  ({spread})", flush=True)


if __name__ == "__main__":
    # The scripts import this file under its name, and `Missing` must be theirs.
    importlib.import_module("harness").serve(sys.argv[1])
