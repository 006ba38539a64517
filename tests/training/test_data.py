"""Samplers and the DataLoader: every item once, the same order for the same seed, and continuing in the middle."""

import numpy as np
import pytest

from edutransformers.training import DataLoader
from edutransformers.training.samplers import LengthGroupedSampler, LengthSortedSampler, RandomSampler, lengths_of

ITEMS = [{"x": n} for n in range(10)]


def orders(loader):
    return [batch["x"].tolist() for batch in loader]


def test_batches_in_order_and_the_last_is_smaller():
    loader = DataLoader(ITEMS, batch_size=4)
    assert orders(loader) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert len(loader) == 3
    without_rest = DataLoader(ITEMS, batch_size=4, drop_last=True)
    assert orders(without_rest) == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert len(without_rest) == 2
    assert len(DataLoader(ITEMS, batch_size=5)) == len(DataLoader(ITEMS, batch_size=5, drop_last=True)) == 2


def test_shuffling_is_the_seeds_alone():
    def two_epochs(seed):
        loader = DataLoader(ITEMS, batch_size=3, shuffle=True, generator=np.random.default_rng(seed))
        return orders(loader), orders(loader)

    first, second = two_epochs(5)
    assert (first, second) == two_epochs(5) != two_epochs(6)
    assert first != second
    for epoch in (first, second):
        assert sorted(sum(epoch, [])) == list(range(10))
    assert first == [[7, 6, 1], [3, 2, 4], [0, 9, 5], [8]]  # frozen: the same on every system and NumPy version


def test_sampler_and_collate_fn():
    loader = DataLoader(ITEMS, batch_size=2, sampler=[3, 1, 3], collate_fn=lambda items: [i["x"] for i in items])
    assert list(loader) == [[3, 1], [3]]


def test_items_may_be_fetched_together():
    class Together(list):
        def __getitems__(self, indices):
            self.asked = indices
            return [self[index] for index in indices]

    data = Together(ITEMS)
    assert orders(DataLoader(data, batch_size=7, drop_last=True)) == [list(range(7))]
    assert data.asked == list(range(7))


def test_continues_in_the_middle_of_an_epoch():
    make = lambda: DataLoader(ITEMS, batch_size=3, shuffle=True, generator=np.random.default_rng(1))  # noqa: E731
    loader = make()
    first, second = orders(loader), orders(loader)

    loader = make()
    orders(loader)
    running = iter(loader)
    assert [next(running)["x"].tolist(), next(running)["x"].tolist()] == second[:2]
    state = loader.state_dict()
    assert state["batches"] == 2

    other, fetched = make(), []
    other.collate_fn = lambda items: fetched.append(len(items)) or {"x": np.array([item["x"] for item in items])}
    other.load_state_dict(state)
    assert other.state_dict() == state
    assert orders(other) == second[2:]
    assert len(fetched) == 2  # batches that were skipped are not made
    assert len(orders(other)) == 4  # and the next epoch is a whole one
    assert first != second


def test_state_between_epochs_and_after_leaving_one_early():
    make = lambda: DataLoader(ITEMS, batch_size=3, shuffle=True, generator=np.random.default_rng(1))  # noqa: E731
    loader, other = make(), make()
    for _ in loader:
        break
    state = loader.state_dict()
    assert state["batches"] == 0
    other.load_state_dict(state)
    assert orders(other) == orders(loader)


@pytest.mark.parametrize("count", [1, 7, 8, 60, 1000])
def test_grouping_by_length(rng, count):
    lengths, size = rng.integers(1, 500, count), 4
    order = list(LengthGroupedSampler(lengths, size, np.random.default_rng(0)))
    assert sorted(order) == list(range(count))
    assert order == list(LengthGroupedSampler(lengths, size, np.random.default_rng(0)))
    batches = [lengths[order[start : start + size]] for start in range(0, count, size)]
    if count >= size:
        assert max(lengths[order[: count // size * size]]) in batches[0]
    if count == 1000:
        grouped = sum(batch.max() * len(batch) for batch in batches)
        shuffled = rng.permutation(lengths).reshape(-1, size)
        assert grouped < 1.1 * lengths.sum() < 1.3 * lengths.sum() < (shuffled.max(axis=1) * size).sum()
        means = [batch.mean() for batch in batches[:50]]
        assert np.corrcoef(means, np.arange(50))[0, 1] > -0.5  # batches are shuffled, not longest first throughout


def test_longest_first_for_evaluation():
    sampler = LengthSortedSampler([3, 9, 3, 5])
    assert list(sampler) == list(sampler) == [1, 3, 0, 2]
    assert len(sampler) == 4


def test_lengths():
    items = [{"input_ids": [1, 2, 3]}, {"input_ids": [1], "length": 8}]
    assert lengths_of(items) == [3, 8]
    with pytest.raises(ValueError, match=r"item 0 has only \['x'\]"):
        lengths_of(ITEMS)


def test_bad_arguments():
    with pytest.raises(TypeError, match="needs len"):
        DataLoader(iter(ITEMS))
    for size in (0, -1, 2.5, True):
        with pytest.raises(ValueError, match="batch_size is"):
            DataLoader(ITEMS, batch_size=size)
    with pytest.raises(ValueError, match="the sampler alone"):
        DataLoader(ITEMS, shuffle=True, sampler=RandomSampler(10, np.random.default_rng(0)))
