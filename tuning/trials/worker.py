"""A process that runs trials for a search: `python -m keras_cookbook.tuning.trials.worker ADDRESS [--fork]`.

It connects to the search's socket, is sent the plan and then jobs, and sends back what came out, pickled. The search
began it and holds the key of the socket, which is read from standard input.

With `--fork` it only imports what a trial needs, and forks a worker, in no time, for each line of standard input. It
writes the number of each process that it began, and of each that ended with its status.
"""

import os
import pickle
import queue
import sys
import threading
from multiprocessing.connection import Client


def work(address, key, number):
    """Serves one search until it hangs up."""
    connection = Client(address, authkey=key)
    connection.send_bytes(pickle.dumps((number, os.getpid())))
    stop, jobs = threading.Event(), queue.SimpleQueue()

    def listen():
        try:
            while (message := pickle.loads(connection.recv_bytes())) is not None:  # noqa: S301: our own parent's
                if message == "stop":
                    stop.set()
                else:
                    stop.clear()
                    jobs.put(message)
        except (EOFError, OSError):
            pass
        os._exit(0)  # the search is gone, or wants no more: nothing here is worth waiting for

    import keras

    from .trial import Trials, cause

    threading.Thread(target=listen, daemon=True).start()
    plan = jobs.get()
    # That of its trials, set once: TensorFlow forgets the kernels of all that is compiled when its seed changes.
    keras.utils.set_random_seed(int(plan.seed))
    trials = Trials(plan, lambda *done: send("epoch", done), stop.is_set)

    def send(*message):
        connection.send_bytes(pickle.dumps(message))

    while True:
        job = jobs.get()
        try:
            outcome = trials.run(job)
        except Exception as error:
            send("failed", cause(error), memory())
        else:
            send("done", outcome, memory())


def memory() -> int:
    """Bytes of memory that this process has now."""
    try:
        with open("/proc/self/statm") as numbers:
            return int(numbers.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:  # no such file on this system
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak * (1 if sys.platform == "darwin" else 1024)


def fork_on_demand(address, key):
    """Forks a worker for each line; TensorFlow may be imported before a fork, but must not have begun to compute."""
    from . import trial  # noqa: F401

    def tell(*words):
        os.write(1, (" ".join(map(str, words)) + "\n").encode())

    def bury():
        while True:
            try:
                pid, status = os.waitpid(-1, 0)
            except ChildProcessError:
                born.acquire()
                continue
            tell("ended", pid, os.waitstatus_to_exitcode(status))

    born = threading.Semaphore(0)
    threading.Thread(target=bury, daemon=True).start()
    for line in sys.stdin:
        number, *settings = line.split()
        pid = os.fork()
        if pid == 0:
            os.dup2(2, 1)  # what is printed is no answer
            os.environ.update(setting.split("=", 1) for setting in settings)
            work(address, key, int(number))
        born.release()
        tell("began", pid, number)


def main():
    address, key = sys.argv[1], bytes.fromhex(sys.stdin.readline())
    if "--fork" in sys.argv:
        fork_on_demand(address, key)
    else:
        work(address, key, int(sys.stdin.readline()))


if __name__ == "__main__":
    main()
