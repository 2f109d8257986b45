"""Trials on several machines, through Dask: its scheduler hands them out, its workers run them.

This file is imported where `distributed` is installed: by the search, and by Dask's workers.
"""

import dataclasses
import queue
import shutil
import tempfile
import threading
from pathlib import Path

import distributed

from keras_cookbook.callbacks.checkpoint import _replacing

from .processes import Workers
from .trial import cause, model_path


class TrialsPlugin(distributed.WorkerPlugin):
    """Runs the trials of one search on a worker of Dask, one at a time, in a process of their own.

    The scheduler gives it to all workers, also to those that join later.
    """

    def __init__(self, name, plan):
        self.name, self.plan = name, plan

    def setup(self, worker):
        self.worker, self.processes, self.folder = worker, None, None
        self.one_at_a_time, self.over = threading.Lock(), False

    def teardown(self, worker):
        """The search is over, or was killed and has begun anew: what runs here is for nothing."""
        self.over = True
        self.stop()
        if self.one_at_a_time.acquire(blocking=False):
            self._close()
            self.one_at_a_time.release()

    def stop(self):
        if self.processes:
            self.processes.stop()

    def run(self, job, begun_with):
        """What came out, why it failed, and the content of its model's file; each may be None."""
        with self.one_at_a_time:
            try:
                return self._run(job, begun_with)
            finally:
                if self.over:
                    self._close()

    def _run(self, job, begun_with):
        if self.processes is None:
            self.folder = tempfile.TemporaryDirectory(dir=self.worker.local_directory)
            processes = Workers(self.plan, self._observe, 1, self.folder.name)
            self.processes = processes.__enter__()
        job = dataclasses.replace(job, folder=Path(self.folder.name))
        if begun_with is not None:
            model_path(job.folder, job.goes_on).write_bytes(begun_with)
        self.processes.start(job)
        _, outcome, message = self.processes.wait()
        kept = model_path(job.folder, job.number)
        model = kept.read_bytes() if outcome and kept.exists() else None
        for path in job.folder.glob("trial*"):  # models, and what a trial would go on with
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        return outcome, message, model

    def _observe(self, *done):
        self.worker.log_event(self.name, done)

    def _close(self):
        if self.processes:
            self.processes.__exit__(None, None, None)
            self.folder.cleanup()
            self.processes = None


def run(name, job, begun_with):
    return distributed.get_worker().plugins[name].run(job, begun_with)


def stop(name, dask_worker):
    if name in dask_worker.plugins:
        dask_worker.plugins[name].stop()


class Hosts:
    """Runs trials on the workers of a Dask cluster.

    Each runs one trial at a time, in a process of its own. If a worker dies, Dask has its trial run again on another,
    three times at most; one that joins is used from the next trial on. Models travel as bytes: the machines need no
    folder in common.

    Args:
        plan: as `pickled` gives it.
        address: that of Dask's scheduler.
        folder: that of the search, by which a search that was killed is told to the workers that still run its trials.

    Raises:
        ValueError: there is no scheduler.
    """

    def __init__(self, plan, observe, address, folder):
        self.name, self.plan = f"keras_cookbook {Path(folder).absolute()}", plan
        self.observe, self.address, self.folder = observe, address, folder
        self.futures, self.events = {}, queue.Queue()
        try:
            self.client = distributed.Client(address, timeout=20, set_as_default=False)
        except (OSError, ValueError) as error:
            raise ValueError(
                f"workers={address!r}: there is no scheduler of Dask ({error}). Begin one with "
                "`dask scheduler --host 127.0.0.1`, and workers with `dask worker ADDRESS --nthreads 1`."
            ) from error

    def __enter__(self):
        self.client.register_plugin(TrialsPlugin(self.name, self.plan), name=self.name)
        self.client.subscribe_topic(self.name, lambda event: self.events.put(event[1]))
        return self

    def __exit__(self, *_):
        for future in self.futures.values():
            future.cancel()
        if self.client.status == "running":
            self.client.unsubscribe_topic(self.name)
            self.client.unregister_worker_plugin(self.name)
        self.client.close()

    @property
    def count(self):
        return max(1, len(self.client.ncores()))

    @property
    def busy(self):
        return len(self.futures)

    def start(self, job):
        before = job.goes_on and model_path(self.folder, job.goes_on)
        begun_with = before.read_bytes() if before and before.exists() else None
        future = self.client.submit(run, self.name, job, begun_with, pure=False)
        self.futures[job.number] = future
        future.add_done_callback(lambda ended: self.events.put((job.number, ended)))

    def stop(self):
        """Ends the trials that run; what they have reached counts."""
        self.client.run(stop, self.name)

    def wait(self):
        """The number of a trial that has ended; what came out, or None and why it failed."""
        number, ended = self.events.get()
        while not isinstance(ended, distributed.Future):
            self.observe(number, ended)  # the epochs that a trial has done, and their score
            number, ended = self.events.get()
        del self.futures[number]
        if ended.status == "cancelled":
            raise RuntimeError(f"the connection to {self.address} is lost; the same command goes on with the search.")
        try:
            outcome, message, model = ended.result()
        except Exception as error:  # its worker died, again and again
            return number, None, cause(error)
        if model is not None:
            path = model_path(self.folder, number)
            with _replacing(path, "the model") as unfinished:
                unfinished.write_bytes(model)
        return number, outcome, message
