"""The Accelerator on one process, and on several ranks that are threads: the same numbers as one large batch."""

import sys

import numpy as np
import pytest

from edutransformers import BertConfig, BertForMaskedLM
from edutransformers.layers import LayerNorm, Linear
from edutransformers.losses import CrossEntropyLoss
from edutransformers.module import Module, keep
from edutransformers.training import AdamW, DataLoader, clip_grad_norm_, decay_groups, get_scheduler, set_seed
from edutransformers.training.accelerator import Accelerator
from edutransformers.training.distributed import MpiCommunicator, communicator, launched_under_mpi, run_in_threads
from tests.training.toy import toy_data, toy_model, weights_of


def train(batch_size, items=20, model=None, shuffle=True, counted=None, clip=0.5, epochs=2, loss_of=None, **options):
    """A loop with everything in it. Returns (each step's mean loss over its items, weights, model)."""
    accelerator = Accelerator(**options)
    model = toy_model(dropout=0.0).astype("float64") if model is None else model()
    model.train()
    data = toy_data(items) if isinstance(items, int) else items
    loader = DataLoader(data, batch_size, shuffle=shuffle, generator=np.random.default_rng(3))
    optimizer = AdamW(decay_groups(model, 0.1), lr=1e-2)
    factor = 1 if accelerator.split_batches else accelerator.num_processes  # how many steps a prepared schedule makes
    scheduler = get_scheduler("linear", optimizer, 0, 100 * factor)
    model, optimizer, loader, scheduler = accelerator.prepare(model, optimizer, loader, scheduler)
    losses, sums = [], np.zeros(2)
    for _ in range(epochs):
        for batch in loader:
            with accelerator.accumulate(model):
                out, cache = model.forward(**batch)
                count = loader.counted if counted is None else min(loader.counted, 1) * counted(batch)
                accelerator.backward(model, {"loss": 1.0}, cache, counted=None if counted is None else counted(batch))
                accelerator.clip_grad_norm_(model, clip)
                optimizer.step()
                scheduler.step()
                optimizer.zero_grad()
            sums += [float(out.loss) * count if count else 0.0, count]
            if accelerator.sync_gradients:
                total = accelerator.reduce(sums)
                losses.append(total[0] / total[1])
                sums[:] = 0
    return np.array(losses), weights_of(model), model


def assert_same_training(first, second, rtol=1e-9):
    np.testing.assert_allclose(first[0], second[0], rtol=rtol)
    for name, value in first[1].items():
        np.testing.assert_allclose(value, second[1][name], rtol=0, atol=rtol, err_msg=name)


def on_ranks(size, **arguments):
    """All ranks' results must be equal, bit for bit; returns one."""
    results = run_in_threads(lambda: train(**arguments), size)
    for other in results[1:]:
        np.testing.assert_array_equal(other[0], results[0][0])
        for name, value in other[1].items():
            np.testing.assert_array_equal(value, results[0][1][name], err_msg=name)
    return results[0]


# -- one process ------------------------------------------------------------------------------------------------------


def test_one_process_is_the_native_loop_bit_for_bit():
    """Dropout, shuffling and a smaller last batch, in float32."""

    def native():
        model, optimizer, loader, scheduler = parts()
        for batch in loader:
            out, cache = model.forward(**batch)
            model.backward({"loss": 1.0}, cache)
            clip_grad_norm_(model, 0.5)
            optimizer.step()
            scheduler.step()
            optimizer.zero_grad()
        return weights_of(model)

    def accelerated():
        accelerator = Accelerator()
        model, optimizer, loader, scheduler = accelerator.prepare(*parts())
        for batch in loader:
            out, cache = model.forward(**batch)
            accelerator.backward(model, {"loss": 1.0}, cache)
            accelerator.clip_grad_norm_(model, 0.5)
            optimizer.step()
            scheduler.step()
            optimizer.zero_grad()
        return weights_of(model)

    def parts():
        set_seed(7)
        model = toy_model().train()
        optimizer = AdamW(decay_groups(model, 0.1), lr=1e-2)
        return model, optimizer, DataLoader(toy_data(11), 4, shuffle=True), get_scheduler("linear", optimizer, 2, 20)

    first, second = native(), accelerated()
    for name, value in first.items():
        np.testing.assert_array_equal(value, second[name], err_msg=name)


def test_one_process_is_everything():
    accelerator = Accelerator()
    assert (accelerator.process_index, accelerator.num_processes, accelerator.local_process_index) == (0, 1, 0)
    assert accelerator.is_main_process
    assert accelerator.is_local_main_process
    assert accelerator.is_last_process
    assert accelerator.device == "cpu"
    assert repr(communicator()) == "Communicator(rank 0 of 1)"
    accelerator.wait_for_everyone()
    with accelerator.main_process_first():
        pass
    assert accelerator.on_main_process(lambda x: x + 1)(2) == 3
    with accelerator.split_between_processes([1, 2, 3]) as part:
        assert part == [1, 2, 3]


def test_a_list_of_batches_will_do_on_one_process():
    batches = [{"x": np.zeros((3, 2))}, {"x": np.zeros((1, 2))}]
    loader = Accelerator().prepare(batches)
    assert len(loader) == 2
    assert [(loader.counted, loader.end_of_dataloader) for _ in loader] == [(3, False), (1, True)]


def test_loaders_of_all_kinds_on_one_process():
    """An iterable has no length: its last batch is known by looking one ahead."""
    items = [{"x": n} for n in range(5)]
    for loader in (
        DataLoader(lambda: iter(items), 2),
        DataLoader(items, batch_sampler=[[0, 1], [2, 3], [4]]),
        DataLoader(items, 2, num_workers=1),
    ):
        accelerator = Accelerator(gradient_accumulation_steps=2)
        loader, seen = accelerator.prepare(loader), []
        for batch in loader:
            with accelerator.accumulate():
                seen.append((batch["x"].tolist(), loader.counted, loader.end_of_dataloader, accelerator.sync_gradients))
        assert seen == [([0, 1], 2, False, False), ([2, 3], 2, False, True), ([4], 1, True, True)]


def test_workers_bring_each_rank_its_batches():
    def run(workers):
        loader = DataLoader([{"x": n} for n in range(11)], 2, shuffle=True, seed=3, num_workers=workers)
        loader = Accelerator().prepare(loader)
        return [batch["x"].tolist() for _ in range(2) for batch in loader]

    assert run_in_threads(lambda: run(2), 2) == run_in_threads(lambda: run(0), 2)


def test_what_can_not_be_shared_out():
    for loader in (
        DataLoader(lambda: iter([1]), 2),
        DataLoader([1, 2], batch_sampler=[[0], [1]]),
        [{"x": np.zeros(2)}],
    ):
        with pytest.raises(TypeError, match="can't be shared out to 2 ranks: expected an edutransformers DataLoader"):
            run_in_threads(lambda: Accelerator().prepare(loader), 2)  # noqa: B023


def test_accumulation_is_the_large_batch():
    """20 items as 10 batches of 2, 3 a step, the last step of an epoch shorter; and as steps of 6."""
    large = train(batch_size=6)
    assert len(large[0]) == 8
    assert_same_training(train(batch_size=2, gradient_accumulation_steps=3), large)
    assert_same_training(train(batch_size=3, gradient_accumulation_steps=2), large)  # its last batch has 2 items


# -- several ranks ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize("items", [24, 23, 19, 13], ids=lambda n: f"{n} items")
def test_ranks_are_one_process_with_the_large_batch(size, items):
    """Also where the last round has too few items for all ranks (13 on 3 ranks of 2: one is left)."""
    large = train(batch_size=2 * size, items=items)
    assert_same_training(on_ranks(size, batch_size=2, items=items), large, rtol=1e-6)


def test_the_schedule_goes_on_as_fast_as_the_data():
    """N ranks make N times fewer steps of the schedule's length; with split_batches as many as one process."""

    def rate(split):
        accelerator = Accelerator(split_batches=split)
        model = toy_model()
        optimizer = AdamW(model, lr=1.0)
        schedule = get_scheduler("linear", optimizer, 0, 10)
        loader = DataLoader(toy_data(20), 2)
        _, optimizer, loader, schedule = accelerator.prepare(model, optimizer, loader, schedule)
        for _ in loader:
            optimizer.step()
            schedule.step()
        return len(loader), schedule.get_last_lr()[0]

    assert run_in_threads(lambda: rate(False), 2) == [(5, 0.0)] * 2
    assert run_in_threads(lambda: rate(True), 2) == [(10, 0.0)] * 2
    assert rate(False) == (10, 0.0)


def test_split_batches_changes_no_number():
    """The script as it is, on 1, 2 and 3 ranks: the batch of 6 is shared out."""
    alone = train(batch_size=6)
    for size in (2, 3):
        assert_same_training(on_ranks(size, batch_size=6, split_batches=True), alone, rtol=1e-6)
    with pytest.raises(ValueError, match="splits a batch of 5 over 2 ranks"):
        run_in_threads(lambda: train(batch_size=5, split_batches=True), 2)


def test_ranks_with_accumulation():
    large = train(batch_size=12, items=31)
    for size, batch in ((2, 3), (3, 2)):
        result = on_ranks(size, batch_size=batch, items=31, gradient_accumulation_steps=2)
        assert_same_training(result, large, rtol=1e-6)


def masked_language_model():
    config = BertConfig(vocab_size=20, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8,
                        max_position_embeddings=6, hidden_dropout_prob=0.0,
                        attention_probs_dropout_prob=0.0)  # fmt: skip
    return BertForMaskedLM(config, generator=np.random.default_rng(0)).astype("float64")


def language_data(count=21):
    """Very different numbers of labels; a tied table, looked up and multiplied by."""
    rng = np.random.default_rng(1)
    data = []
    for number in range(count):
        ids = rng.integers(0, 20, 6)
        data.append({"input_ids": ids, "labels": np.where(np.arange(6) < 1 + number % 5, ids, -100)})
    return data


def test_token_losses_count_tokens():
    counted = lambda batch: int((batch["labels"] != -100).sum())  # noqa: E731
    common = {"model": masked_language_model, "items": language_data()}
    large = train(batch_size=6, counted=counted, **common)
    assert_same_training(on_ranks(2, batch_size=3, counted=counted, **common), large, rtol=1e-6)
    in_parts = on_ranks(2, batch_size=1, counted=counted, gradient_accumulation_steps=3, **common)
    assert_same_training(in_parts, large, rtol=1e-6)
    by_items = on_ranks(2, batch_size=3, **common)
    assert abs(by_items[1]["bert.embeddings.word_embeddings.weight"]
               - large[1]["bert.embeddings.word_embeddings.weight"]).max() > 1e-4  # fmt: skip


def frozen_model():
    model = toy_model(dropout=0.0).astype("float64")
    model.bert.embeddings.requires_grad_(False)
    return model


def test_a_frozen_layer():
    large = train(batch_size=4, model=frozen_model)
    result = on_ranks(2, batch_size=2, model=frozen_model)
    assert_same_training(result, large, rtol=1e-6)
    before = weights_of(frozen_model())["bert.embeddings.word_embeddings.weight"]
    np.testing.assert_array_equal(result[1]["bert.embeddings.word_embeddings.weight"], before)


class TwoWays(Module):
    """Items of kind 0 and of kind 1 go through different layers; a third layer is never used."""

    def __init__(self):
        rng = np.random.default_rng(0)
        self.ways = [Linear(4, 3, generator=rng), Linear(4, 3, generator=rng)]
        self.first, self.second = self.ways
        self.never, self.loss = LayerNorm(3), CrossEntropyLoss()
        self.astype("float64")

    def forward(self, x, kind, labels):
        kind = int(kind[0])
        logits, cache = self.ways[kind].forward(x)
        loss, loss_cache = self.loss.forward(logits, labels)
        return {"loss": loss}, keep(kind, cache, loss_cache)[:3]

    def backward(self, d_output, cache):
        kind, linear_cache, loss_cache = cache
        return self.ways[kind].backward(self.loss.backward(d_output["loss"], loss_cache), linear_cache)


def two_ways_data():
    """Rank 0 gets kind 0, rank 1 kind 1, in every round but the last, where both get kind 1: no gradient for kind 0."""
    rng = np.random.default_rng(2)
    kinds = [0, 0, 1, 1] * 3 + [1, 1, 1, 1]
    return [{"x": rng.standard_normal(4), "kind": k, "labels": int(rng.integers(3))} for k in kinds]


def columns(items):
    return {name: np.array([item[name] for item in items]) for name in items[0]}


def train_two_ways():
    accelerator, model = Accelerator(), TwoWays()
    optimizer = AdamW(model, lr=0.1, weight_decay=0.3)
    loader = DataLoader(two_ways_data(), 2, collate_fn=columns)
    model, optimizer, loader = accelerator.prepare(model, optimizer, loader)
    for batch in loader:
        optimizer.zero_grad()
        _, cache = model.forward(**batch)
        accelerator.backward(model, {"loss": 1.0}, cache)
        optimizer.step()
    assert model.never.weight.grad is None
    assert model.first.weight.grad is None
    return weights_of(model)


def two_ways_alone():
    """The same on one process, written out."""
    data, model = two_ways_data(), TwoWays()
    optimizer = AdamW(model, lr=0.1, weight_decay=0.3)
    for begin in range(0, 16, 4):
        optimizer.zero_grad()
        for part in (data[begin : begin + 2], data[begin + 2 : begin + 4]):
            _, cache = model.forward(**columns(part))
            model.backward({"loss": 0.5}, cache)
        optimizer.step()
    return weights_of(model)


def test_a_layer_that_one_rank_does_not_use():
    alone = two_ways_alone()
    for weights in run_in_threads(train_two_ways, 2):
        for name, value in alone.items():
            np.testing.assert_allclose(weights[name], value, rtol=0, atol=1e-12, err_msg=name)


def test_two_losses_of_one_batch_add_up():
    """backward twice before the step, alone, on two ranks, and with accumulation over batches of different sizes."""

    def run(batch_size, accumulation):
        accelerator = Accelerator(accumulation)
        model = toy_model(dropout=0.0).astype("float64")
        model, loader = accelerator.prepare(model, DataLoader(toy_data(10), batch_size))
        gradients = []
        for batch in loader:
            with accelerator.accumulate(model):
                for share in (1.0, 0.25):
                    _, cache = model.forward(**batch)
                    accelerator.backward(model, {"loss": share}, cache)
            if accelerator.sync_gradients:
                gradients.append([p.grad.copy() for p in model.parameters() if p.grad is not None])
                model.zero_grad()
        return gradients

    model = toy_model(dropout=0.0).astype("float64")
    expected = []
    for batch in DataLoader(toy_data(10), 6):
        model.zero_grad()
        model.backward({"loss": 1.25}, model.forward(**batch)[1])
        expected.append([p.grad.copy() for p in model.parameters() if p.grad is not None])
    results = [run(6, 1), run(2, 3), run(3, 2)]
    results += run_in_threads(lambda: run(3, 1), 2) + run_in_threads(lambda: run(1, 3), 2)
    for gradients in results:
        assert len(gradients) == 2
        for mine, theirs in zip(gradients, expected):
            for g, e in zip(mine, theirs, strict=True):
                np.testing.assert_allclose(g, e, rtol=0, atol=1e-12)


def test_forgotten_zero_grad():
    accelerator = Accelerator()
    model, loader = accelerator.prepare(toy_model(), DataLoader(toy_data(4), 2))
    batches = iter(loader)
    accelerator.backward(model, {"loss": 1.0}, model.forward(**next(batches))[1])
    _, cache = model.forward(**next(batches))
    with pytest.raises(ValueError, match="call optimizer.zero_grad"):
        accelerator.backward(model, {"loss": 1.0}, cache)


def test_no_sync():
    """Gradients of two batches, added on each rank, averaged with the second."""

    def run():
        accelerator = Accelerator()
        model = toy_model(dropout=0.0).astype("float64")
        model, optimizer, loader = accelerator.prepare(model, AdamW(model), DataLoader(toy_data(8), 2))
        first, second = loader
        before = weights_of(model)
        with accelerator.no_sync(model):
            assert not accelerator.sync_gradients
            accelerator.backward(model, {"loss": 1.0}, model.forward(**first)[1])
            optimizer.step()
            optimizer.zero_grad()
            assert accelerator.clip_grad_norm_(model, 1e-9) is None
        np.testing.assert_array_equal(before["classifier.weight"], model.head.linear.weight.data)
        own = model.head.linear.weight.grad.copy()
        accelerator.backward(model, {"loss": 1.0}, model.forward(**second)[1])
        return own, model.head.linear.weight.grad

    model = toy_model(dropout=0.0).astype("float64")
    (batch,) = DataLoader(toy_data(8), 8)
    model.backward({"loss": 1.0}, model.forward(**batch)[1])
    (own0, first), (own1, second) = run_in_threads(run, 2)
    assert np.abs(own0 - own1).max() > 1e-6
    np.testing.assert_array_equal(first, second)
    np.testing.assert_allclose(first, model.head.linear.weight.grad, rtol=0, atol=1e-12)


# -- what prepare makes alike, and what not ---------------------------------------------------------------------------


def test_all_ranks_begin_with_rank_0s_weights():
    def run():
        accelerator = Accelerator()
        model = accelerator.prepare(toy_model(seed=accelerator.process_index))
        assert accelerator.prepare(model) is model
        assert accelerator.unwrap_model(model) is model
        return weights_of(model)

    for weights in run_in_threads(run, 2):
        for name, value in weights_of(toy_model(seed=0)).items():
            np.testing.assert_array_equal(weights[name], value)


def test_other_models_on_other_ranks_are_refused():
    def run():
        accelerator = Accelerator()
        accelerator.prepare(toy_model(hidden_size=16 if accelerator.is_main_process else 8))

    with pytest.raises(ValueError, match="rank 1 has a model with other parameters than rank 0"):
        run_in_threads(run, 2)


def test_ranks_share_the_order_and_not_the_dropout():
    def run():
        accelerator = Accelerator()
        mine = np.random.default_rng(5)
        loader = DataLoader([{"x": n} for n in range(12)], 2, shuffle=True, generator=np.random.default_rng(1))
        _, loader, generator = accelerator.prepare(toy_model(), loader, mine)
        assert generator is mine
        seen = [batch["x"].tolist() for _ in range(2) for batch in loader]
        return seen, generator.random(4)

    (first, draws0), (second, draws1) = run_in_threads(run, 2)
    plain = DataLoader([{"x": n} for n in range(12)], 4, shuffle=True, generator=np.random.default_rng(1))
    assert [a + b for a, b in zip(first, second)] == [batch["x"].tolist() for _ in range(2) for batch in plain]
    np.testing.assert_array_equal(draws0, np.random.default_rng(5).random(4))
    assert not np.isin(draws0, draws1).any()


def test_ranks_without_seeds_share_the_order_too():
    def run():
        loader = DataLoader([{"x": n} for n in range(12)], 2, shuffle=True, generator=np.random.default_rng())
        return [n for batch in Accelerator().prepare(loader) for n in batch["x"].tolist()]

    first, second = run_in_threads(run, 2)
    assert sorted(first + second) == list(range(12))


def test_what_can_not_be_prepared():
    with pytest.raises(TypeError, match="got int: expected models, optimizers"):
        Accelerator().prepare(3)
    with pytest.raises(TypeError, match="this list can.t be shared out to 2 ranks"):
        run_in_threads(lambda: Accelerator().prepare([{"x": np.zeros(2)}]), 2)
    with pytest.raises(TypeError, match="SFC64 can't make a stream for each rank"):
        run_in_threads(lambda: Accelerator().prepare(np.random.Generator(np.random.SFC64(0))), 2)
    with pytest.raises(ValueError, match="a model that accelerator.prepare has not seen"):
        Accelerator().backward(toy_model(), {"loss": 1.0}, None)
    for wrong in (0, 1.5):
        with pytest.raises(ValueError, match="gradient_accumulation_steps is"):
            Accelerator(wrong)


def test_free_memory():
    accelerator = Accelerator()
    model = accelerator.prepare(toy_model())
    accelerator.free_memory()
    with pytest.raises(ValueError, match="has not seen"):
        accelerator.backward(model, {"loss": 1.0}, None)


# -- results of all ranks ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("even", [False, True])
@pytest.mark.parametrize("items", [12, 11, 9, 7, 5, 1])
def test_gathered_for_metrics_each_item_comes_once_and_in_order(items, even):
    def run():
        accelerator = Accelerator(even_batches=even)
        loader = accelerator.prepare(DataLoader([{"x": n, "y": [n, -n]} for n in range(items)], 2))
        gathered = [accelerator.gather_for_metrics((batch["x"], {"y": batch["y"]})) for batch in loader]
        lengths = {len(batch["x"]) for batch in loader}
        objects = [accelerator.gather_for_metrics([str(x) for x in batch["x"]]) for batch in loader]
        x = np.concatenate([x for x, _ in gathered])
        y = np.concatenate([rest["y"] for _, rest in gathered])
        return x.tolist(), y.tolist(), sum(objects, []), lengths

    for x, y, objects, lengths in run_in_threads(run, 3):
        assert x == list(range(items))
        assert y == [[n, -n] for n in range(items)]
        assert objects == [str(n) for n in range(items)]
        assert lengths == {2} or not even


def test_gather_reduce_and_pad():
    def run():
        accelerator = Accelerator()
        rank = accelerator.process_index
        rows = np.full((rank + 1, 2), rank)
        padded = accelerator.pad_across_processes(np.full((1, rank + 1), rank), dim=1, pad_index=-1)
        in_front = accelerator.pad_across_processes(np.full((1, rank + 1), rank), dim=1, pad_index=-1, pad_first=True)
        with pytest.raises(ValueError, match="make them alike by pad_across_processes"):
            accelerator.gather(np.zeros((1, rank + 1)))
        with pytest.raises(ValueError, match="reduction is 'max'"):
            accelerator.reduce(rows, "max")
        return (
            accelerator.gather(rows).tolist(),
            accelerator.gather(np.float32(rank)).tolist(),
            accelerator.gather([rank, {"a": 2.5}]),
            accelerator.gather(padded).tolist(),
            accelerator.gather(in_front).tolist(),
            accelerator.reduce({"sum": np.array([rank, 1.0])})["sum"].tolist(),
            float(accelerator.reduce(3.0 * rank, "mean", scale=2.0)),
        )

    for rows, numbers, mixed, padded, in_front, total, mean in run_in_threads(run, 2):
        assert rows == [[0, 0], [1, 1], [1, 1]]
        assert numbers == [0.0, 1.0]
        assert mixed[0].tolist() == [0, 1]
        assert mixed[1]["a"].tolist() == [2.5, 2.5]
        assert padded == [[0, -1], [1, 1]]
        assert in_front == [[-1, 0], [1, 1]]
        assert total == [1.0, 2.0]
        assert mean == 3.0


def test_split_between_processes():
    def run(inputs, padding=False):
        with Accelerator().split_between_processes(inputs, apply_padding=padding) as part:
            return part

    split = lambda *args: run_in_threads(lambda: run(*args), 3)  # noqa: E731
    assert split(list("abcde")) == [["a", "b"], ["c", "d"], ["e"]]
    assert split(list("abcde"), True) == [["a", "b"], ["c", "d"], ["e", "e"]]
    assert split(["a"], True) == [["a"], ["a"], ["a"]]
    parts = split({"x": np.arange(4), "y": (1, 2, 3, 4)}, True)
    assert [part["x"].tolist() for part in parts] == [[0, 1], [2, 2], [3, 3]]
    assert [part["y"] for part in parts] == [(1, 2), (3, 3), (4, 4)]


def test_main_process_first_and_printing(capsys):
    order = []

    def run():
        accelerator = Accelerator()
        with accelerator.main_process_first():
            order.append(accelerator.process_index)
        accelerator.print("once")
        return accelerator.on_main_process(lambda: "main")()

    assert run_in_threads(run, 2) == ["main", None]
    assert order == [0, 1]
    assert capsys.readouterr().out == "once\n"


def test_an_exception_in_a_rank_ends_the_others():
    def run():
        accelerator = Accelerator()
        if accelerator.process_index == 1:
            raise ZeroDivisionError("rank 1's own")
        accelerator.wait_for_everyone()

    with pytest.raises(ZeroDivisionError, match="rank 1's own"):
        run_in_threads(run, 3)


# -- saving and going on ----------------------------------------------------------------------------------------------


def toy_batch():
    return next(iter(DataLoader(toy_data(2), 2)))


class Counter:
    """Something of the loop's own to be saved."""

    def __init__(self):
        self.epoch = self.step = 0

    def state_dict(self):
        return {"epoch": self.epoch, "step": self.step}

    def load_state_dict(self, state):
        self.epoch, self.step = state["epoch"], state["step"]


def run_until(stop, folder, resume=False, own_generator=True):
    """Three epochs of 5 batches, dropout and shuffling; saves its state after step `stop` and ends there."""
    set_seed(99 if resume else 4)
    accelerator = Accelerator()
    generator = np.random.default_rng(99 if resume else 8) if own_generator else None
    loader = DataLoader(toy_data(19), 4, shuffle=True, generator=generator)
    model = toy_model(seed=99 if resume else 0).train()
    optimizer = AdamW(model, lr=1e-2)
    parts = (model, optimizer, loader, get_scheduler("cosine", optimizer, 3, 30))
    model, optimizer, loader, scheduler = accelerator.prepare(*parts)
    counter, seen = Counter(), []
    accelerator.register_for_checkpointing(counter)
    if resume:
        accelerator.load_state(folder)
    while counter.epoch < 3:
        for batch in loader:
            out, cache = model.forward(**batch)
            accelerator.backward(model, {"loss": 1.0}, cache)
            optimizer.step()
            scheduler.step()
            optimizer.zero_grad()
            seen.append(float(out.loss))
            counter.step += 1
            if counter.step == stop and stop % 5:
                accelerator.save_state(folder)
                return seen
        counter.epoch += 1
        if counter.step == stop:
            accelerator.save_state(folder)
            return seen
    return seen, weights_of(model), scheduler.get_last_lr()


@pytest.mark.parametrize("own_generator", [True, False])
@pytest.mark.parametrize("stop", [7, 10])  # in an epoch's middle; between epochs
def test_a_loaded_state_goes_on_bit_for_bit(tmp_path, stop, own_generator):
    losses, weights, rate = run_until(0, tmp_path / "never", own_generator=own_generator)
    first = run_until(stop, tmp_path / "state", own_generator=own_generator)
    rest, resumed_weights, resumed_rate = run_until(0, tmp_path / "state", resume=True, own_generator=own_generator)
    assert first + rest == losses
    assert resumed_rate == rate
    for name, value in weights.items():
        np.testing.assert_array_equal(resumed_weights[name], value, err_msg=name)
    names = {"config.json", "model.safetensors", "optimizer.safetensors", "scheduler.json", "rank_0.json"}
    assert {path.name for path in (tmp_path / "state").iterdir()} == names | {"custom_checkpoint_0.safetensors"}


def test_what_can_not_be_saved_or_loaded(tmp_path):
    accelerator = Accelerator(gradient_accumulation_steps=2)
    model, loader = accelerator.prepare(toy_model(), DataLoader(toy_data(8), 2))
    for _ in loader:
        with accelerator.accumulate(model):
            if not accelerator.sync_gradients:
                with pytest.raises(ValueError, match="in the middle of a step"):
                    accelerator.save_state(tmp_path / "state")
    with pytest.raises(ValueError, match="expected a folder that accelerator.save_state wrote"):
        accelerator.load_state(tmp_path)
    accelerator.save_state(tmp_path / "state")
    accelerator.backward(model, {"loss": 1.0}, model.forward(**toy_batch())[1])
    accelerator.load_state(tmp_path / "state")
    assert all(parameter.grad is None for parameter in model.parameters())
    with pytest.raises(ValueError, match=r"saved by 1 rank\(s\), and there are 2"):
        run_in_threads(lambda: Accelerator().load_state(tmp_path / "state"), 2)
    with pytest.raises(TypeError, match="register_for_checkpointing got int"):
        accelerator.register_for_checkpointing(3)


def test_only_the_main_process_writes(tmp_path):
    def run():
        accelerator = Accelerator()
        first = accelerator.prepare(toy_model(seed=accelerator.process_index))
        second = accelerator.prepare(toy_model(seed=5))
        accelerator.save_model(first, tmp_path / "model")
        accelerator.save_state(tmp_path / "state")
        first.zero_grad()
        for parameter in first.parameters():
            parameter.data = parameter.data + 1
        accelerator.load_state(tmp_path / "state")
        return weights_of(first), weights_of(second)

    for first, second in run_in_threads(run, 2):
        for name, value in weights_of(toy_model(seed=0)).items():
            np.testing.assert_array_equal(first[name], value)
        for name, value in weights_of(toy_model(seed=5)).items():
            np.testing.assert_array_equal(second[name], value)
    expected = {"config.json", "model.safetensors", "model_1", "rank_0.json", "rank_1.json"}
    assert {path.name for path in (tmp_path / "state").iterdir()} == expected


# -- launching --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environment", "several"),
    [
        ({}, False),
        ({"PMI_RANK": "1", "PMI_SIZE": "2"}, True),  # MPICH, Intel MPI, srun --mpi=pmi2
        ({"PMI_RANK": "0", "PMI_SIZE": "1"}, False),
        ({"OMPI_COMM_WORLD_RANK": "0", "OMPI_COMM_WORLD_SIZE": "4", "PMIX_RANK": "0"}, True),  # Open MPI
        ({"OMPI_COMM_WORLD_RANK": "0", "OMPI_COMM_WORLD_SIZE": "1", "PMIX_RANK": "0"}, False),
        ({"PMIX_RANK": "0"}, True),  # srun --mpi=pmix: the size is known to MPI alone
        ({"SLURM_NTASKS": "2", "SLURM_PROCID": "0"}, False),  # a shell that salloc has opened
    ],
)
def test_who_was_launched_by_mpi(environment, several):
    assert launched_under_mpi(environment) is several


def test_without_mpi4py(monkeypatch):
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    with pytest.raises(ImportError, match=r"needs mpi4py: pip install 'edutransformers\[distributed\]'"):
        MpiCommunicator()
