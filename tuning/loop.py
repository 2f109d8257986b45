"""The loop of a search: ask for a trial, run it, tell how good it was; and write all of it down, to be gone on with."""

import math
import re
import shutil
import time

from keras_cookbook.callbacks import save_json
from keras_cookbook.callbacks.checkpoint import remove_unfinished
from keras_cookbook.callbacks.workers import is_chief

from .trials.trial import Job, model_path, reached

#: So many trials in a row that fail for the same reason end the search.
FAILURES = 10
#: What a record has besides, once its trial has ended.
OUTCOME = ("score", "scores", "logs", "curve", "best_epoch", "epochs", "parameters", "seconds")


class Loop:
    """Runs a search to its end.

    `search.json` is written whenever a trial begins or ends: a search that was killed asks and tells again what it did
    before, and runs what was running then. Several processes that train each trial together (TF_CONFIG) do all of this
    alike, since it follows from what they read and what trials give; the first one writes.

    Args:
        found: the `Search`, which may have begun before.
        proposals: `Proposals`.
        where: `Here` or `Workers`, entered.
        limits: dict of `max_trials`, `max_hours`, `max_epochs` and `target`; each may be None.
        keep: the number of models that are kept.
        display: a `Display`, entered.
        hparams: an `HParams`, or None.
    """

    def __init__(self, found, proposals, where, limits, keep, display, hparams=None):
        self.found, self.proposals, self.where, self.display = found, proposals, where, display
        self.hparams = hparams
        self.limits, self.keep = limits, keep
        self.before, self.began = found.elapsed, time.monotonic()

    def run(self):
        found = self.found
        self.settle()
        found.ended = self.spent() or ""
        interrupted = [] if found.ended else list(found.running)
        while not found.ended or self.where.busy:
            while not found.ended and self.where.busy < self.where.count:
                if interrupted:
                    self.start(interrupted.pop(0))
                elif not self.begin():
                    break
            if not self.where.busy:
                break
            self.finish(*self.where.wait())
        self.settle(last=True)
        self.write()

    # ---- budget

    def seconds_left(self):
        hours = self.limits["max_hours"]
        return math.inf if hours is None else hours * 3600 - self.elapsed()

    def elapsed(self):
        return self.before + time.monotonic() - self.began

    def epochs_left(self):
        if self.limits["max_epochs"] is None:
            return None
        running = sum(record["last_epoch"] - record["initial_epoch"] for record in self.found.running)
        return self.limits["max_epochs"] - running - sum(record["epochs"] or 0 for record in self.found.trials)

    def spent(self):
        """Why nothing more is begun, or None."""
        found, limits = self.found, self.limits
        if found.ranked and reached(found.best_score, limits["target"], found.direction):
            return f"The target was reached: {found.objective} {found.best_score:.4g}."
        if self.seconds_left() <= 0:
            return "The time is up."
        if limits["max_trials"] is not None and len(found.trials) >= limits["max_trials"]:
            return f"All {limits['max_trials']} trials were run."
        if limits["max_epochs"] is not None and sum(r["epochs"] or 0 for r in found.trials) >= limits["max_epochs"]:
            return f"All {limits['max_epochs']} epochs were run."
        return None

    # ---- trials

    def begin(self):
        """Begins the next trial; whether there is one now."""
        found, limits = self.found, self.limits
        number = len(found.trials) + len(found.running) + 1
        left = self.epochs_left()
        if (limits["max_trials"] is not None and number > limits["max_trials"]) or (left is not None and left <= 0):
            return False  # those that run are the last
        proposed = self.proposals.begin(number)
        if proposed == "STOPPED" and not self.where.busy:
            found.ended = "There is nothing left to try."
        if isinstance(proposed, str):
            return False
        values, halving = proposed
        first, last = halving.get("initial_epoch", 0), halving.get("epochs", values["epochs"])
        if left is not None:
            last = min(last, first + left)
        record = {
            "trial": number, "status": "running", "values": values, "message": "",
            "goes_on": halving.get("trial_id"), "initial_epoch": first, "last_epoch": last,
            "halving": bool(halving), "ended_before": len(found.trials),
        }  # fmt: skip
        found.running.append(record)
        found.events.append(["begin", number])
        self.write()
        self.start(record)
        return True

    def start(self, record):
        found = self.found
        before = found.trials[: record["ended_before"]]
        ranked = found.ranked[: self.keep]
        self.display.begin(record["values"], record["last_epoch"], self.seconds_left())
        self.where.start(
            Job(
                number=record["trial"],
                values=record["values"],
                folder=found.folder,
                epochs=record["last_epoch"],
                seconds=self.seconds_left(),
                goes_on=record["goes_on"],
                initial_epoch=record["initial_epoch"],
                peers=[other["curve"] for other in before if other["curve"] and not other["goes_on"]],
                keep_from=ranked[-1]["score"] if len(ranked) == self.keep else None,
                keep_all=record["halving"],
            )
        )

    def finish(self, number, outcome, message):
        found = self.found
        record = found.trial(number)
        if outcome:
            record |= outcome | {"status": "completed"}
        else:
            record |= dict.fromkeys(OUTCOME) | {"status": "failed", "message": message}
        found.running.remove(record)
        found.trials.append(record)
        found.events.append(["end", number])
        self.proposals.end(number, record["score"])
        found.ended = found.ended or self.spent() or ""
        if found.ended and self.where.busy:
            self.where.stop()
        self.write()
        self.settle()
        if self.hparams:
            self.hparams.write(record)
        self.display.end(record)
        if reason := same_failures(found.trials):
            raise RuntimeError(f"{FAILURES} trials in a row failed for the same reason, the last one with: {reason}")

    # ---- files

    def write(self):
        if not is_chief():
            return
        self.found.elapsed = self.elapsed()
        save_json(self.found.to_dict(), self.found.folder / "search.json")

    def settle(self, last=False):
        """Brings the files to what `search.json` says; it may be done again after a kill at any moment."""
        if not is_chief():
            return
        found = self.found
        if not self.where.busy:
            remove_unfinished(found.folder)
        running = {record["trial"] for record in found.running}
        for folder in (found.folder / "trials").glob("*"):
            if folder.name not in map(str, running):
                shutil.rmtree(folder, ignore_errors=True)
        kept = found.ranked[: self.keep]
        if kept:
            put_in_place(model_path(found.folder, kept[0]["trial"]), found.best_path)
        wanted = {record["trial"] for record in kept[last and self.keep == 1 :]}
        wanted |= running
        if not last:  # others may go on with them
            gone_on = {record["goes_on"] for record in found.trials}
            wanted |= {record["trial"] for record in found.trials if record["halving"]} - gone_on
        wanted = {model_path(found.folder, number) for number in wanted}
        for path in found.folder.glob("trial-*.keras"):
            if path not in wanted:
                path.unlink(missing_ok=True)
        if last:
            shutil.rmtree(found.folder / "trials", ignore_errors=True)


def put_in_place(file, path):
    """Makes `path` the same as `file`, if there is one, without a moment in which it is neither the old nor the new."""
    if not file.exists() or (path.exists() and path.samefile(file)):
        return
    unfinished = path.with_name(f".{path.stem}.unfinished{path.suffix}")
    unfinished.unlink(missing_ok=True)
    try:
        unfinished.hardlink_to(file)
    except OSError:  # a file system without links
        shutil.copyfile(file, unfinished)
    unfinished.replace(path)


def same_failures(trials):
    """The message of the last trial if it and those before it failed for the same reason, numbers aside."""
    reasons = {record["status"] == "failed" and re.sub(r"\d+", "#", record["message"]) for record in trials[-FAILURES:]}
    return trials[-1]["message"] if len(trials) >= FAILURES and len(reasons) == 1 and False not in reasons else None
