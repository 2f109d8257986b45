"""Where trials run: in this process one by one, or several at once in processes of their own."""

import contextlib
import os
import pickle
import queue
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
import time
from multiprocessing.connection import Listener
from pathlib import Path

from .trial import Trials, cause

#: A worker that has grown to so many times what it had after its first trial is replaced by a fresh one.
GROWN = 1.25
#: Seconds that a worker has to save what it does when the search ends.
GRACE = 20
#: What libraries read as the number of their threads.
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")


class Here:
    """Runs trials in this process."""

    count = 1

    def __init__(self, plan, observe):
        self.trials, self.jobs = Trials(plan, observe), []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    @property
    def busy(self):
        return len(self.jobs)

    def start(self, job):
        self.jobs.append(job)

    def wait(self):
        """The number of a trial that has ended; what came out, or None and why it failed."""
        job = self.jobs.pop()
        try:
            return job.number, self.trials.run(job), ""
        except Exception as error:
            return job.number, None, cause(error)

    def stop(self):
        """Ends the trials that run; what they have reached counts."""


class Worker:
    """A process that runs trials, as it is known here: `job` while it has one, `gone` when it is to end."""

    def __init__(self, slot):
        self.slot, self.pid, self.connection, self.job, self.first = slot, None, None, None, None
        self.lock, self.gone = threading.Lock(), False

    def connect(self, connection, pid, plan):
        with self.lock:
            self.connection, self.pid = connection, pid
            connection.send_bytes(plan)
            if self.job:
                self._send(self.job)

    def give(self, job):
        """Now, or when it has connected."""
        with self.lock:
            self.job = job
            self._send(job)

    def tell(self, word):
        with self.lock:
            self._send(word)

    def _send(self, message):
        # That it has died is told by its reader.
        with contextlib.suppress(OSError):
            if self.connection:
                self.connection.send_bytes(pickle.dumps(message))


class Workers:
    """Runs trials in `count` processes, which are used again until one dies or has grown.

    Where the system can, they are forked from one that has imported all and computed nothing, which takes no time. Each
    has its share of the cores, and of the GPUs. What they print goes to `workers.log` in the folder of the search.

    Args:
        plan: as `pickled` gives it; it is read in the processes alone.
    """

    def __init__(self, plan, observe, count, folder):
        self.plan = plan
        self.observe, self.count, self.folder = observe, count, Path(folder)
        self.workers = [None] * count
        self.events, self.processes, self.statuses = queue.Queue(), [], {}
        self.source = None

    def __enter__(self):
        self.place = tempfile.TemporaryDirectory()
        self.key = secrets.token_bytes(32)
        self.listener = Listener(f"{self.place.name}/socket" if os.name != "nt" else None, authkey=self.key)
        self.log = open(self.folder / "workers.log", "ab")  # noqa: SIM115: closed in __exit__
        if sys.platform == "linux":
            self.source = self._spawn("--fork")
            threading.Thread(target=self._read_source, daemon=True).start()
        self.closing = False
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        """Workers that still have a trial save it, so that it can go on."""
        self.closing = True
        for worker in filter(None, self.workers):
            if worker.job and worker.pid:
                _signal(worker.pid, signal.SIGTERM)
            else:
                self._dismiss(worker)
        until = time.monotonic() + GRACE
        while self.busy and time.monotonic() < until:
            self._next(timeout=0.2)
        for worker in filter(None, self.workers):
            _signal(worker.pid, signal.SIGKILL)
        for process in self.processes:
            process.stdin.close()
            process.kill()
            process.wait()
        self.listener.close()
        self.log.close()
        self.place.cleanup()

    # ---- processes

    def _spawn(self, *how):
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        threads = {} if self.count == 1 else dict.fromkeys(THREADS, str(max(1, cores // self.count)))
        process = subprocess.Popen(
            [sys.executable, "-m", f"{__package__}.worker", self.listener.address, *how],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE if how else self.log, stderr=self.log, text=True,
            env={**os.environ, **threads, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            start_new_session=True,  # Control-C is for the search, which tells its workers
        )  # fmt: skip
        self.processes.append(process)
        print(self.key.hex(), file=process.stdin, flush=True)
        return process

    def _begin(self, slot):
        worker = self.workers[slot] = Worker(slot)
        if self.source:
            print(slot, *devices_of(slot, self.count), file=self.source.stdin, flush=True)
        else:
            process = self._spawn()
            print(slot, file=process.stdin, flush=True)
        return worker

    def _read_source(self):
        for line in self.source.stdout:
            what, pid, status = line.split()
            if what == "ended":
                self.statuses[int(pid)] = int(status)
        self.events.put((None, ("gone",)))

    def _accept(self):
        while not self.closing:
            try:
                connection = self.listener.accept()
                slot, pid = pickle.loads(connection.recv_bytes())
            except (OSError, EOFError):
                continue
            worker = self.workers[slot]
            worker.connect(connection, pid, self.plan)
            threading.Thread(target=self._read, args=(worker,), daemon=True).start()

    def _read(self, worker):
        while True:
            try:
                message = pickle.loads(worker.connection.recv_bytes())
            except (EOFError, OSError):
                return self.events.put((worker, ("died",)))
            self.events.put((worker, message))

    def _dismiss(self, worker):
        worker.gone = True
        worker.tell(None)
        self.workers[worker.slot] = None

    # ---- trials

    @property
    def busy(self):
        return sum(worker is not None and worker.job is not None for worker in self.workers)

    def start(self, job):
        slot = next(slot for slot, worker in enumerate(self.workers) if worker is None or worker.job is None)
        (self.workers[slot] or self._begin(slot)).give(job)

    def stop(self):
        """Ends the trials that run; what they have reached counts."""
        for worker in filter(None, self.workers):
            worker.tell("stop")

    def wait(self):
        """The number of a trial that has ended; what came out, or None and why it failed."""
        while True:
            if answer := self._next(timeout=None):
                return answer

    def _next(self, timeout):
        try:
            worker, (what, *message) = self.events.get(timeout=timeout)
        except queue.Empty:
            return None
        if worker is None:
            if self.closing:
                return None
            raise RuntimeError(f"the processes for trials could not be begun; {self.log.name} says why.")
        job = worker.job
        if what == "epoch":
            self.observe(*message[0])
        if worker.gone or what == "epoch" or (job is None and what != "died"):
            return None
        if what == "died":
            self.workers[worker.slot], worker.gone, worker.job = None, True, None
            return job and (job.number, None, f"its process ended: {self._cause(worker.pid)}")
        worker.job = None
        memory = message[1]
        worker.first = worker.first or memory
        if memory > GROWN * worker.first:
            self._dismiss(worker)
        return (job.number, message[0], "") if what == "done" else (job.number, None, message[0])

    def _cause(self, pid):
        for process in self.processes:
            if process.pid == pid:
                self.statuses[pid] = process.wait()
        until = time.monotonic() + 2  # the process that forked it tells a moment later
        while pid not in self.statuses and time.monotonic() < until:
            time.sleep(0.05)
        status = self.statuses.get(pid)
        if status == -signal.SIGKILL:
            return "killed, as the system does when memory runs out"
        if status is not None and status < 0:
            return f"signal {signal.Signals(-status).name}"
        return f"status {status}; {self.log.name} may say why"


def pickled(plan):
    """A plan as bytes; a ValueError if it cannot be sent to other processes."""
    import cloudpickle  # functions and classes of a script have no module to be imported from

    try:
        return cloudpickle.dumps(plan)
    except Exception as error:
        raise ValueError(
            "with workers= the recipe, the data and the callbacks are sent to other processes, and one of them "
            f"cannot be: {type(error).__name__}: {error}"
        ) from error


def _signal(pid, number):
    if pid is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def devices_of(slot, count):
    """Settings that give a worker its GPUs: one of several in turn, or a share of one's memory."""
    seen = os.environ.get("CUDA_VISIBLE_DEVICES")
    gpus = seen.split(",") if seen else [str(n) for n, _ in enumerate(Path("/dev").glob("nvidia[0-9]*"))]
    if not gpus or count == 1:
        return []
    own = gpus[slot % len(gpus)] if count >= len(gpus) else ",".join(gpus[slot::count])
    return [f"CUDA_VISIBLE_DEVICES={own}", "TF_FORCE_GPU_ALLOW_GROWTH=true", "XLA_PYTHON_CLIENT_PREALLOCATE=false"]
