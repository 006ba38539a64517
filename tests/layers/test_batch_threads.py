import numpy as np
import pytest

from edutransformers import speed
from edutransformers.layers import AddNorm, BatchThreads, Checkpoint, DropoutLinear, MultiHeadAttention
from edutransformers.module import Module, inference_mode, keeping
from tests.contract import Case, assert_same, check_layer, separate_run
from tests.layers.test_attention import WithWeights


@pytest.fixture(params=[1, 2, 3])
def threads(request, monkeypatch):
    monkeypatch.setattr(speed, "_batch_threads", request.param)
    return request.param


def x(rng, batch=5):
    return (rng.standard_normal((batch, 3, 4)),)


LAYERS = {
    "a head": (lambda: DropoutLinear(4, 3, 0.4), x),
    "recomputed": (lambda: Checkpoint(DropoutLinear(4, 3, 0.4)), x),
    "two inputs": (lambda: AddNorm(4, 1e-5, 0.4), lambda rng: x(rng) + x(rng)),
    "attention, two outputs": (lambda: WithWeights(MultiHeadAttention(4, 2, 0.3)), x),
    "one example": (lambda: DropoutLinear(4, 3, 0.4), lambda rng: x(rng, batch=1)),
}


@pytest.mark.parametrize("training", [False, True], ids=["evaluation", "training"])
@pytest.mark.parametrize("name", LAYERS)
def test_contract(threads, name, training):
    make, inputs = LAYERS[name]
    options = {"return_weights": True} if name.startswith("attention") else {}
    check_layer(
        lambda: BatchThreads(make()),
        inputs,
        lambda rng: {"generator": rng if training else None, **options},
        training=training,
    )


@pytest.mark.parametrize("name", LAYERS)
def test_the_number_of_threads_changes_nothing(monkeypatch, name):
    """Dropout too: every example gets the mask it would get in one thread."""
    make, inputs = LAYERS[name]
    case = Case(lambda: BatchThreads(make()), inputs, lambda rng: {"generator": rng}, training=True)
    runs, draws_after = [], []
    for count in (1, 2, 3, 8):
        monkeypatch.setattr(speed, "_batch_threads", count)
        runs.append(separate_run(case, 0))
        batch, options = case.feed()
        case.layer().forward(*batch, **options)
        draws_after.append(options["generator"].random())
    for run in runs[1:]:
        assert_same(run, runs[0], "a run with several threads")
    assert len(set(draws_after)) == 1  # the caller's generator goes on from the same place


def test_masks_go_with_their_examples(threads, rng):
    """An array with the batch as first axis is cut, one with an axis of 1 serves every share."""
    inner = MultiHeadAttention(4, 2).astype("float64").eval()
    (inputs,) = x(rng)
    for visible in (rng.random((5, 1, 1, 3)) < 0.7, rng.random((1, 1, 3, 3)) < 0.7, None):
        wanted, _ = inner.forward(inputs, None, visible, return_weights=True)
        got, _ = BatchThreads(inner).forward(inputs, None, visible, return_weights=True, generator=None)
        assert_same(got, wanted, "attention under a mask")


def test_threads_see_inference_mode(threads, rng):
    seen = []

    class Watching(Module):
        def forward(self, inputs, generator=None):
            seen.append(keeping())
            return inputs, ()

        def backward(self, dy, cache):
            return dy

    with inference_mode():
        BatchThreads(Watching()).forward(*x(rng))
    assert seen == [False] * threads


def test_an_error_in_a_thread_arrives(threads, rng):
    class Failing(Module):
        def forward(self, inputs, generator=None):
            if inputs[-1, 0, 0] == 7:  # only the last share holds it
                raise ArithmeticError("the last share failed")
            return inputs, ()

    (inputs,) = x(rng)
    inputs[-1, 0, 0] = 7
    with pytest.raises(ArithmeticError, match="the last share failed"):
        BatchThreads(Failing()).forward(inputs)
    assert BatchThreads(Failing()).forward(np.zeros_like(inputs))[0].shape == inputs.shape
