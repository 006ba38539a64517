"""Workers that make batches ahead of the loop: threads, or processes.

Threads cost nothing to start, share the data set, and need nothing to be picklable. They run at the same time only
while code outside Python works: pillow decoding a picture, NumPy computing, a file being read. Processes run whatever
they do at the same time, but each needs a copy of the data set and of the collator (which must be picklable), takes a
while to start, and sends its batches back through a pipe.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import queue
import random
import signal
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from itertools import islice
from multiprocessing.connection import wait
from typing import NamedTuple

import numpy as np

from ..backend import seed_default_generator
from .collators import RandomCollator


class Sign(Enum):
    """Stands for a batch where there is none. (An enumeration: the same object also in another process.)"""

    END = "the data set is at its end"


END = Sign.END


class Task(NamedTuple):
    """A batch to be made."""

    number: int  # within the epoch
    indices: list[int] | None  # None: the next items of an iterable data set
    seed: int | None  # of the epoch
    begins: bool  # is it the first one to be made of this epoch?


class BatchMaker:
    """A task -> its batch, the same one wherever it is made."""

    def __init__(self, dataset, collate_fn: Callable, batch_size: int, drop_last: bool):
        self.dataset = dataset
        self.collate_fn = collate_fn
        self.batch_size = batch_size
        self.drop_last = drop_last
        self._items = None  # of an iterable data set, in the running epoch

    def __call__(self, task: Task):
        items = self._next_items(task) if task.indices is None else self._at(task.indices)
        if items is END:
            return END
        if isinstance(self.collate_fn, RandomCollator):
            return self.collate_fn.collate(items, np.random.default_rng([task.seed, task.number]))
        return self.collate_fn(items)

    def _at(self, indices: list[int]) -> list:
        if hasattr(self.dataset, "__getitems__"):  # data sets that fetch several at once
            return self.dataset.__getitems__(indices)
        return [self.dataset[index] for index in indices]

    def _next_items(self, task: Task):
        if task.begins:
            self._items = iter(self.dataset if hasattr(self.dataset, "__iter__") else self.dataset())
            deque(islice(self._items, task.number * self.batch_size), maxlen=0)  # a resumed epoch: what was seen
        items = list(islice(self._items, self.batch_size))
        return END if not items or (self.drop_last and len(items) < self.batch_size) else items


def in_order(workers, tasks: Iterable[Task], ahead: int) -> Iterator:
    """The tasks' batches in order, while `ahead` of them are being made or wait."""
    waiting: deque[Task] = deque()
    for task in tasks:
        workers.submit(task)
        waiting.append(task)
        if len(waiting) > ahead:
            batch = workers.result(waiting.popleft())
            if batch is END:
                break
            yield batch
    while waiting:
        batch = workers.result(waiting.popleft())
        if batch is not END:  # after the end of an iterable the remaining tasks give END too
            yield batch


# ---------------------------------------------------------------------------------------------------------------------
# Threads
# ---------------------------------------------------------------------------------------------------------------------


class ThreadWorkers:
    """Threads that take tasks from one queue."""

    def __init__(self, maker: BatchMaker, count: int, init_fn: Callable[[int], None] | None):
        self._maker = maker
        self._init_fn = init_fn
        self._tasks: queue.SimpleQueue = queue.SimpleQueue()
        self._answers: dict[int, queue.SimpleQueue] = {}
        self._closed = False
        # Daemons: a thread that hangs must not keep Python from ending.
        self._threads = [threading.Thread(target=self._work, args=(n,), daemon=True) for n in range(count)]
        for thread in self._threads:
            thread.start()

    def submit(self, task: Task) -> None:
        answer = self._answers[task.number] = queue.SimpleQueue()
        self._tasks.put((task, answer))

    def result(self, task: Task):
        batch, error = self._answers.pop(task.number).get()
        if error is not None:
            raise error  # it carries the traceback from the thread
        return batch

    def close(self) -> None:
        """No more batches; a thread that is making one ends after it."""
        self._closed = True
        for _ in self._threads:
            self._tasks.put(None)

    def _work(self, number: int) -> None:
        failure = _call_init(self._init_fn, number)
        while (got := self._tasks.get()) is not None and not self._closed:
            task, answer = got
            if failure is not None:
                answer.put((None, failure))
                continue
            try:
                answer.put((self._maker(task), None))
            except BaseException as error:
                answer.put((None, error))


def _call_init(init_fn, number: int) -> BaseException | None:
    try:
        if init_fn is not None:
            init_fn(number)
    except BaseException as error:
        return error
    return None


# ---------------------------------------------------------------------------------------------------------------------
# Processes
# ---------------------------------------------------------------------------------------------------------------------


class WorkerTraceback(Exception):
    """Where in a worker process an exception came from: the cause of the one that the loop gets."""

    def __init__(self, text: str):
        super().__init__(f"in a worker process of the DataLoader:\n\n{text}")


class ProcessWorkers:
    """Processes, each with a pipe for tasks and one for batches. Task n goes to worker n modulo their number."""

    def __init__(self, maker: BatchMaker, count: int, init_fn: Callable[[int], None] | None, method: str):
        context = multiprocessing.get_context(method)
        if method == "forkserver":  # a process without threads, from which workers are forked: it imports once for all
            context.set_forkserver_preload(["__main__", __name__])
        self._processes, self._tasks, self._answers = [], [], []
        self._of_task: dict[int, int] = {}
        try:
            for number in range(count):
                task_end, tasks = context.Pipe(duplex=False)
                answers, answer_end = context.Pipe(duplex=False)
                process = context.Process(
                    target=_work, args=(task_end, answer_end, maker, number, init_fn), daemon=True
                )
                self._tasks.append(tasks)
                self._answers.append(answers)
                process.start()
                self._processes.append(process)
                task_end.close()
                answer_end.close()
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            self.close()
            raise TypeError(
                f"worker processes ({method!r}) need a data set, a collate_fn and a worker_init_fn that can be "
                f"pickled, and these can't ({error}): use functions of a module, or threads "
                "(multiprocessing_context=None)"
            ) from error
        except BaseException:
            self.close()
            raise

    def submit(self, task: Task) -> None:
        number = task.number % len(self._processes)
        self._of_task[task.number] = number
        try:
            self._tasks[number].send(task)
        except (BrokenPipeError, ConnectionError):
            self._raise_death(number)

    def result(self, task: Task):
        number = self._of_task.pop(task.number)
        answers, process = self._answers[number], self._processes[number]
        if answers not in wait([answers, process.sentinel]):
            self._raise_death(number)
        try:
            batch, error, text = answers.recv()
        except EOFError:
            self._raise_death(number)
        if error is not None:
            raise error from WorkerTraceback(text)
        return batch

    def close(self) -> None:
        """End the processes at once, whatever they are doing."""
        for process in self._processes:
            process.kill()
        for process in self._processes:
            process.join()
            process.close()
        for end in (*self._tasks, *self._answers):
            end.close()
        self._processes, self._tasks, self._answers = [], [], []

    def _raise_death(self, number: int):
        process = self._processes[number]
        process.join()
        code = process.exitcode
        how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        raise RuntimeError(
            f"worker {number} of the DataLoader {how}: what it printed tells more; signal 9 often means that the "
            "memory was full, and a script that starts processes needs `if __name__ == '__main__':`"
        )


def _work(tasks, answers, maker: BatchMaker, number: int, init_fn) -> None:
    """What a worker process does, until its pipe is closed or it is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes: the main one decides
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    waiting: queue.SimpleQueue = queue.SimpleQueue()
    threading.Thread(target=_take_in, args=(tasks, waiting), daemon=True).start()
    failure = _call_init(init_fn, number)
    while True:
        task = waiting.get()
        try:
            if failure is not None:
                raise failure
            if task.seed is not None:
                _seed_global_generators(task)
            answer = pickle.dumps((maker(task), None, None), protocol=pickle.HIGHEST_PROTOCOL)
        except BaseException as error:
            answer = _failed(error)
        answers.send_bytes(answer)


def _take_in(tasks, waiting: queue.SimpleQueue) -> None:
    """Empty the pipe at once, so that the main process never waits when it sends; and end when that is no more."""
    while True:
        try:
            waiting.put(tasks.recv())
        except (EOFError, OSError):
            os._exit(0)


def _seed_global_generators(task: Task) -> None:
    """Random changes to items that draw from global generators: the same for a seed, however many workers there are."""
    words = np.random.SeedSequence([task.seed, task.number]).generate_state(1)
    seed = int(words[0])
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 (the data set's own code may draw from it)
    seed_default_generator(seed)


def _failed(error: BaseException) -> bytes:
    """An exception as bytes; one that does not survive that is told in words."""
    text = "".join(traceback.format_exception(error))
    try:
        answer = pickle.dumps((None, error, text))
        pickle.loads(answer)
    except Exception:
        answer = pickle.dumps((None, RuntimeError(f"{type(error).__name__}: {error}"), text))
    return answer
