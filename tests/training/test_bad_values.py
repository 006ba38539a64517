"""The first bad layer is found: nan and inf are put in at known places."""

import numpy as np
import pytest

from edutransformers import speed
from edutransformers.layers import Linear, Sequential
from edutransformers.module import Module, keep
from edutransformers.training import DataLoader
from edutransformers.training.bad_values import explain, first_bad_layer, watch
from tests.training.toy import toy_data, toy_model

BATCH = next(iter(DataLoader(toy_data(4), 4)))


def parameter(model, name):
    return dict(model.named_parameters())[name].data


@pytest.mark.parametrize(
    ("name", "place", "path", "kind"),
    [
        ("bert.embeddings.word_embeddings.weight", BATCH["input_ids"][2, 3], "bert.embeddings.word_embeddings",
         "Embedding"),
        ("bert.encoder.layer.1.attention.self.query.weight", (3, 2), "bert.encoder.layer.1.attention.query", "Linear"),
        ("bert.encoder.layer.0.output.LayerNorm.bias", 5, "bert.encoder.layer.0.output_norm.norm", "LayerNorm"),
        ("classifier.weight", (1, 0), "head.linear", "Linear"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("threads", [1, 2])
def test_a_nan_in_a_weight(name, place, path, kind, training, threads, request):
    request.addfinalizer(lambda: speed.use_batch_threads(1))
    speed.use_batch_threads(threads)
    model = toy_model(num_hidden_layers=2).train(training)
    assert first_bad_layer(model, BATCH, np.random.default_rng(0)) is None
    parameter(model, name)[place] = np.nan
    call = first_bad_layer(model, BATCH, np.random.default_rng(0))
    assert speed.use_batch_threads() == threads
    assert (call.path, type(call.module).__name__) == (path, kind)
    assert call.bad_input is None
    assert f"{path} ({kind}) gives" in str(call)
    assert "holds" in str(call)
    text = explain(model, BATCH, lambda: model.forward(**BATCH))
    assert f"The first layer to go bad: {call}." in text
    assert f"1 of the model's weights were bad already: {name} holds" in text


def test_a_row_that_was_not_looked_up_does_no_harm():
    model = toy_model()
    parameter(model, "bert.embeddings.word_embeddings.weight")[0] = np.nan
    assert first_bad_layer(model, BATCH) is None
    assert "all layers give finite numbers" in explain(model, BATCH, lambda: model.forward(**BATCH))


def test_an_overflow_in_a_layer():
    """Finite weights, finite inputs, and a product that is too large: no RuntimeWarning, but an answer."""
    model = toy_model()
    parameter(model, "bert.encoder.layer.0.intermediate.dense.weight")[:] = 3e38
    call = first_bad_layer(model, BATCH)
    assert call.path == "bert.encoder.layer.0.feed_forward.up"
    assert "its weights are finite, and so are its inputs, the largest" in str(call)
    assert "inf" in call.bad_output


class Exponential(Module):
    """y = x + exp(W x): the exponential is taken in the lines between two layers."""

    def __init__(self):
        self.first, self.second = Linear(3, 3), Linear(3, 3)

    def forward(self, x):
        h, first_cache = self.first.forward(x)
        y, second_cache = self.second.forward(np.exp(h) + x)
        return {"y": y}, keep(first_cache, second_cache)


def test_an_overflow_between_two_layers():
    model = Sequential(Exponential())
    x = np.ones((2, 3), dtype="float32")
    assert first_bad_layer(model, {"x": x}) is None
    model[0].first.weight.data[1] = 40
    call = first_bad_layer(model, {"x": x})
    assert call.path == "0.second"
    assert call.bad_input == "2 inf in (2, 3)"
    text = explain(model, {"x": x}, lambda: model.forward(x))
    assert "lines of 0 (Exponential), between its layers: 0.second (Linear) gets 2 inf in (2, 3)" in text


def test_a_nan_in_the_batch():
    model = toy_model()
    vectors = np.ones((2, 3, 16), dtype="float32")
    vectors[1, 2, 3] = np.nan
    batch = {"inputs_embeds": vectors, "labels": np.array([0, 1])}
    assert first_bad_layer(model, batch).bad_input == "1 nan in (2, 3, 16)"
    assert (
        explain(model, batch, lambda: model.forward(**batch)) == "The batch's inputs_embeds hold 1 nan in (2, 3, 16)."
    )


def test_labels_of_which_none_counts():
    model = toy_model()
    batch = {**BATCH, "labels": np.full(4, -100)}
    call = first_bad_layer(model, batch)
    assert call.path == "loss"
    assert call.bad_output == "1 nan"
    assert "Every number in labels is −100, so nothing counts." in explain(model, batch, lambda: model.forward(**batch))


def test_gradients_that_were_bad_already():
    model = toy_model()
    out, cache = model.forward(**BATCH, generator=np.random.default_rng(0))
    with np.errstate(invalid="ignore"):
        model.backward({"loss": float("inf")}, cache)
    text = explain(model, BATCH, lambda: model.forward(**BATCH))
    assert "of the model's gradients were bad already: classifier.bias holds" in text


def test_watching_leaves_no_trace():
    model = toy_model().eval()
    before = model(**BATCH).logits
    with watch(model) as calls:
        during = model(**BATCH).logits
    after = model(**BATCH).logits
    np.testing.assert_array_equal(before, during)
    np.testing.assert_array_equal(before, after)
    assert not any("forward" in vars(module) for module in model.modules())
    paths = [call.path for call in calls]
    assert paths[0] == "bert.embeddings.word_embeddings"
    assert paths[-1] == ""
    assert paths.index("bert.pooler.dense") < paths.index("bert.pooler") < paths.index("bert")
    assert len(paths) == len(set(paths))
    assert all(call.largest > 0 for call in calls if call.path.endswith("feed_forward.up"))
    with pytest.raises(ValueError, match="600"), watch(model):
        model(input_ids=np.array([[600]]))
    assert not any("forward" in vars(module) for module in model.modules())


def test_a_forward_of_ones_own_is_put_back():
    layer = Linear(2, 2)
    layer.forward = mine = lambda x: (x, None)
    with watch(layer) as calls:
        layer(np.ones(2))
    assert layer.forward is mine
    assert len(calls) == 1


def test_on_the_device(fake_cupy):
    model = toy_model()
    parameter(model, "bert.pooler.dense.bias")[3] = np.inf
    call = first_bad_layer(model.to("cuda"), BATCH)
    assert call.path == "bert.pooler.dense"
    assert str(call) == "bert.pooler.dense (Linear) gives 4 inf in (4, 16); its bias holds 1 inf in (16,)"
