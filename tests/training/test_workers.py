"""Workers change how soon a batch comes, and nothing else: not the order, not the draws, not what errors look like."""

import multiprocessing
import os
import queue
import threading
import time

import numpy as np
import pytest

from edutransformers import BertTokenizer
from edutransformers.training import DataCollatorForLanguageModeling, DataLoader, IterableDataset
from edutransformers.training.workers import Task, in_order
from tests.training.worker_things import Augmented, Numbers, Stream, init_fails

THREADS = {"num_workers": 2}
PROCESSES = {"num_workers": 2, "multiprocessing_context": "forkserver"}
TOKENIZER = BertTokenizer(vocab=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"w{n}" for n in range(45))])
TEXTS = [{"input_ids": [2, *range(5, 6 + n), 3]} for n in range(14)]


def orders(loader):
    return [batch["x"].tolist() for batch in loader]


def masked(workers, epochs=2, **more):
    collator = DataCollatorForLanguageModeling(TOKENIZER, seed=3, mlm_probability=0.5)
    loader = DataLoader(TEXTS, 4, shuffle=True, seed=1, collate_fn=collator, **workers, **more)
    return loader, [list(loader) for _ in range(epochs)]


def assert_same(first, second):
    assert len(first) == len(second)
    for one, other in zip(first, second):
        assert sorted(one) == sorted(other)
        for name in one:
            np.testing.assert_array_equal(one[name], other[name])


# -- the same batches -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [{"num_workers": 1}, {"num_workers": 3, "prefetch_factor": 1}, PROCESSES])
def test_shuffled_masked_batches_are_those_of_no_workers(workers):
    _, plain = masked({})
    _, made_ahead = masked(workers, **({"persistent_workers": True} if workers is PROCESSES else {}))
    for one, other in zip(plain, made_ahead):
        assert_same(one, other)
    assert any((a["labels"] != b["labels"]).any() for a, b in zip(*plain) if a["labels"].shape == b["labels"].shape)


@pytest.mark.parametrize("workers", [{}, THREADS])
def test_each_batch_has_draws_of_its_own(workers):
    collator = DataCollatorForLanguageModeling(TOKENIZER, seed=3, mlm_probability=0.5)
    loader = DataLoader([TEXTS[-1]] * 12, 4, collate_fn=collator, **workers)
    masks = {batch["labels"].tobytes() for _ in range(2) for batch in loader}
    assert len(masks) == 6  # three batches of the same texts, in two epochs


def test_workers_work_at_the_same_time():
    """Two threads meet inside the collator: one alone would wait for the other forever."""
    meeting = threading.Barrier(2, timeout=60)

    def collate(items):
        meeting.wait()
        return {"x": np.array([item["x"] for item in items])}

    loader = DataLoader(Numbers(40), 1, collate_fn=collate, num_workers=2)
    assert orders(loader) == [[number] for number in range(40)]


def test_workers_stay_within_their_lead():
    class Recorder:
        submitted = 0

        def submit(self, task):
            self.submitted += 1

        def result(self, task):
            return task.number

    workers = Recorder()
    batches = in_order(workers, [Task(number, [], None, number == 0) for number in range(9)], ahead=4)
    assert workers.submitted == 0
    assert [(next(batches), workers.submitted) for _ in range(3)] == [(0, 5), (1, 6), (2, 7)]
    assert list(batches) == [3, 4, 5, 6, 7, 8]


@pytest.mark.parametrize("workers", [{}, THREADS])
def test_going_on_in_the_middle(workers):
    """Handed out, not made ahead, is what counts; and the next epoch is the one that would have come."""
    _, expected = masked({}, epochs=3)
    loader, _ = masked(workers, epochs=1)
    running = iter(loader)
    next(running)
    next(running)
    state = loader.state_dict()
    assert state["batches"] == 2
    other, _ = masked(workers, epochs=0)
    other.load_state_dict(state)
    assert other.state_dict() == state
    assert_same(list(other), expected[1][2:])
    assert_same(list(other), expected[2])


def test_going_on_with_one_generator_for_order_and_masks():
    def make(workers):
        generator = np.random.default_rng(5)
        collator = DataCollatorForLanguageModeling(TOKENIZER, generator=generator, mlm_probability=0.5)
        return DataLoader(TEXTS, 4, shuffle=True, generator=generator, collate_fn=collator, **workers)

    whole = make({})
    expected = [list(whole), list(whole)]
    loader = make(THREADS)
    running = iter(loader)
    assert_same([next(running)], expected[0][:1])
    other = make({})
    other.load_state_dict(loader.state_dict())
    assert_same(list(other), expected[0][1:])
    assert_same(list(other), expected[1])


def test_global_generators_in_processes_follow_from_the_seed():
    def noise(count):
        loader = DataLoader(
            Augmented(6), 2, shuffle=True, seed=4, num_workers=count, multiprocessing_context="forkserver"
        )
        return [(batch["x"].tolist(), batch["noise"].tolist()) for batch in loader]

    one = noise(1)
    assert one == noise(2)
    assert len({str(noise) for _, noise in one}) == 3
    order = DataLoader(Augmented(6), 2, shuffle=True, seed=4)
    assert [batch["x"].tolist() for batch in order] == [x for x, _ in one]


# -- iterables --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "workers", [{}, {"num_workers": 1}, {"num_workers": 1, "multiprocessing_context": "forkserver"}]
)
def test_an_iterable_has_batches_too(workers):
    loader = DataLoader(Stream(7), 3, **workers)
    assert orders(loader) == orders(loader) == [[0, 1, 2], [3, 4, 5], [6]]
    assert orders(DataLoader(Stream(7), 3, drop_last=True, **workers)) == [[0, 1, 2], [3, 4, 5]]
    running = iter(loader)
    next(running)
    state = loader.state_dict()
    loader.load_state_dict(state)
    assert orders(loader) == [[3, 4, 5], [6]]
    with pytest.raises(TypeError, match="has no length"):
        len(loader)


def test_a_function_and_an_iterable_data_set():
    def items():
        yield from ({"x": n} for n in range(3))

    assert orders(DataLoader(items, 2)) == [[0, 1], [2]]
    shuffled = IterableDataset.from_generator(items).shuffle(seed=1, buffer_size=10)
    loader = DataLoader(shuffled, 3)
    first = orders(loader)
    loader.set_epoch(1)
    second = orders(loader)
    loader.set_epoch(0)
    assert orders(loader) == first != second


# -- ends -------------------------------------------------------------------------------------------------------------


def no_children():
    return not multiprocessing.active_children()


@pytest.mark.parametrize("workers", [THREADS, PROCESSES])
def test_an_exception_arrives_with_the_workers_traceback(workers):
    loader = iter(DataLoader(Numbers(20, bad=9, does="fails"), 4, **workers))
    assert next(loader)["x"].tolist() == [0, 1, 2, 3]
    next(loader)
    with pytest.raises(KeyError, match="the item is bad") as caught:
        next(loader)
    shown = "".join(map(str, [caught.value.__cause__, *caught.traceback]))
    assert "worker_things.py" in shown
    assert no_children()
    with pytest.raises(StopIteration):
        next(loader)


def test_an_exception_that_can_not_be_sent_is_told_in_words():
    with pytest.raises(RuntimeError, match="Unpicklable: only this"):
        list(DataLoader(Numbers(2, bad=1, does="fails_unpicklably"), **PROCESSES))


@pytest.mark.parametrize("workers", [THREADS, PROCESSES])
def test_an_init_function_that_fails(workers):
    with pytest.raises(OSError, match=r"worker \d finds no file"):
        list(DataLoader(Numbers(4), worker_init_fn=init_fails, **workers))


def test_init_function_gets_the_number():
    numbers = queue.SimpleQueue()
    list(DataLoader(Numbers(8), worker_init_fn=numbers.put, num_workers=3))
    assert sorted(numbers.get(timeout=10) for _ in range(3)) == [0, 1, 2]


def test_spawned_processes():
    loader = DataLoader(Numbers(3), 2, num_workers=1, multiprocessing_context="spawn")
    assert orders(loader) == [[0, 1], [2]]
    assert no_children()


def test_a_dying_worker_is_an_error_and_no_hang():
    loader = DataLoader(Numbers(20, bad=7, does="dies"), 2, **PROCESSES)
    with pytest.raises(RuntimeError, match=r"worker 1 of the DataLoader was killed by signal 9"):
        list(loader)
    assert no_children()


def test_leaving_early_ends_processes_at_once():
    """Even one that hangs."""
    loader = DataLoader(Numbers(20, bad=3, does="hangs"), 1, **PROCESSES)
    start = time.perf_counter()
    for batch in loader:
        assert batch["x"].tolist() == [0]
        assert len(multiprocessing.active_children()) == 2
        break
    assert no_children()
    assert time.perf_counter() - start < 60  # and not forever


def test_ctrl_c_in_the_loop_ends_workers():
    def interrupted():
        for _ in DataLoader(Numbers(20), 1, **PROCESSES):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert no_children()


def test_leaving_early_ends_threads():
    others = set(threading.enumerate())
    loader = iter(DataLoader(Numbers(100), 1, num_workers=2))
    next(loader)
    workers = set(threading.enumerate()) - others
    assert len(workers) == 2
    loader.close()
    for thread in workers:
        thread.join(60)
        assert not thread.is_alive()


def test_persistent_processes_live_on():
    loader = DataLoader(Augmented(4), 2, persistent_workers=True, **PROCESSES)
    first, second = ({pid for batch in loader for pid in batch["pid"].tolist()} for _ in range(2))
    assert first == second
    assert os.getpid() not in first
    loader.close()
    assert no_children()


def test_what_can_not_be_pickled_is_said():
    with pytest.raises(TypeError, match="use functions of a module, or threads"):
        list(DataLoader(Numbers(4), collate_fn=lambda items: items, **PROCESSES))
    assert no_children()


# -- arguments --------------------------------------------------------------------------------------------------------


def test_batch_sampler():
    loader = DataLoader(Numbers(10), batch_sampler=[[0, 5], [7], [1, 2, 3]], num_workers=2)
    assert orders(loader) == [[0, 5], [7], [1, 2, 3]]
    assert len(loader) == 3
    with pytest.raises(ValueError, match="batch_sampler decides alone"):
        DataLoader(Numbers(10), 2, batch_sampler=[[0]])


def test_bad_arguments():
    for count in (-1, 1.5, True):
        with pytest.raises(ValueError, match="num_workers is"):
            DataLoader(Numbers(3), num_workers=count)
    with pytest.raises(ValueError, match="prefetch_factor is 0"):
        DataLoader(Numbers(3), num_workers=1, prefetch_factor=0)
    with pytest.raises(ValueError, match="prefetch_factor=2 is for workers"):
        DataLoader(Numbers(3), prefetch_factor=2)
    with pytest.raises(ValueError, match="persistent_workers=True is for"):
        DataLoader(Numbers(3), num_workers=1, persistent_workers=True)
    with pytest.raises(ValueError, match="by one worker only"):
        DataLoader(Stream(3), num_workers=2)
    with pytest.raises(ValueError, match="comes in its own order"):
        DataLoader(Stream(3), shuffle=True)
    with pytest.raises(ValueError, match="generator and seed were both given"):
        DataLoader(Numbers(3), shuffle=True, seed=1, generator=np.random.default_rng(0))
    with pytest.raises(TypeError, match="int has neither"):
        DataLoader(3)

    class Own:
        generator = np.random.default_rng(0)

        def __call__(self, items):
            return items

    with pytest.raises(ValueError, match="a RandomCollator"):
        DataLoader(Numbers(3), collate_fn=Own(), num_workers=1)
    assert list(DataLoader(Numbers(1), collate_fn=Own())) == [[{"x": 0}]]
