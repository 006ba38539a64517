"""The memory of a training step: predicted as measured, by layer as counted by hand, and the model left alone."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from edutransformers import (
    BertConfig,
    BertForMaskedLM,
    BertForMultipleChoice,
    BertForSequenceClassification,
    flops_report,
    memory_report,
    speed,
)
from edutransformers.functional import attention as attention_functions
from edutransformers.layers import Dropout, FeedForward, LayerNorm, Linear, Sequential
from edutransformers.module import Buffer, Module, keep, skip_initialization
from edutransformers.teaching import memory_savings
from edutransformers.teaching.device_memory import HostMemory, measured_peak
from edutransformers.teaching.dry_run import dry_step, kept_names
from edutransformers.teaching.memory import layer_of, resized, together
from edutransformers.training import optimizers
from edutransformers.training.optimizers import SGD, AdamW

SMALL = {
    "vocab_size": 500, "hidden_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 256,
    "max_position_embeddings": 128,
}  # fmt: skip
NO_DROPOUT = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}


def bert(kind=BertForSequenceClassification, **config):
    return kind(BertConfig(**{**SMALL, **config}), generator=np.random.default_rng(0))


def batch_for(model, examples=8, length=64):
    rng = np.random.default_rng(1)
    ids = rng.integers(0, model.config.vocab_size, (examples, length))
    labels = ids if isinstance(model, BertForMaskedLM) else rng.integers(0, 2, examples)
    return {"input_ids": ids, "attention_mask": np.ones((examples, length), dtype=int), "labels": labels}


def checkpointed():
    model = bert()
    model.gradient_checkpointing_enable()
    return model


def recomputing():
    model = bert()
    for module in model.modules():
        if isinstance(module, FeedForward):
            module.chunk_size, module.recompute = 32, True
    return model


# name -> (model, optimizer class or None, accumulation)
CONFIGURATIONS = {
    "plain": (bert, AdamW, 1),
    "no dropout": (lambda: bert(**NO_DROPOUT), AdamW, 1),
    "tiny and long": (lambda: bert(hidden_size=32, num_hidden_layers=2, intermediate_size=64), AdamW, 1),
    "wide": (lambda: bert(hidden_size=256, num_hidden_layers=1, intermediate_size=1024), AdamW, 1),
    "a large vocabulary, tied": (lambda: bert(BertForMaskedLM, vocab_size=5000), AdamW, 1),
    "relative positions": (lambda: bert(position_embedding_type="relative_key"), AdamW, 1),
    "feed-forward in chunks": (lambda: bert(chunk_size_feed_forward=32), AdamW, 1),
    "feed-forward recomputed": (recomputing, AdamW, 1),
    "checkpoints": (checkpointed, AdamW, 1),
    "accumulation": (bert, AdamW, 3),
    "accumulation, tied": (lambda: bert(BertForMaskedLM, vocab_size=5000), AdamW, 2),
    "no optimizer": (bert, None, 1),
    "SGD": (bert, SGD, 1),
    "8-bit states": (lambda: bert(hidden_size=256, num_hidden_layers=2), optimizers.AdamW8bit, 1),
    "Adafactor": (lambda: bert(hidden_size=256, num_hidden_layers=2), optimizers.Adafactor, 1),
    "float64": (lambda: bert().astype("float64"), AdamW, 1),
    "frozen": (lambda: frozen(bert(hidden_size=256, num_hidden_layers=2)), AdamW, 1),
}


def frozen(model):
    model.bert.requires_grad_(False)
    return model


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_predicted_as_measured(name):
    """The issue asks for 10%; a dry run is nearer. What it misses are Python's objects."""
    make, kind, accumulation = CONFIGURATIONS[name]
    model = make()
    optimizer = None if kind is None else kind(model)
    report = memory_report(model, batch_for(model), optimizer, accumulation, measure=True)
    assert report.measured > 4e6
    assert abs(report.peak / report.measured - 1) < 0.05, (report.peak, report.measured)
    assert sum(report.parts.values()) == report.peak
    assert min(report.parts.values()) >= 0


def test_predicted_as_measured_with_batch_threads():
    model = bert()
    speed.use_batch_threads(2)
    try:
        report = memory_report(model, batch_for(model), AdamW(model), measure=True)
    finally:
        speed.use_batch_threads(1)
    assert abs(report.peak / report.measured - 1) < 0.1


def test_predicted_as_measured_where_attention_keeps_no_weights(monkeypatch):
    monkeypatch.setattr(attention_functions, "SAVED_SCORES", 32 * 32)
    model = bert()
    report = memory_report(model, batch_for(model), AdamW(model), measure=True)
    assert abs(report.peak / report.measured - 1) < 0.05
    assert "attention, weights" not in report.layers()[0].inside


# -- by layer ---------------------------------------------------------------------------------------------------------


def test_a_layers_activations_by_hand():
    model, (B, T, D, H, F) = bert(), (8, 96, 64, 4, 256)
    report = memory_report(model, batch_for(model, B, T))
    layer = report.layers()[0]
    assert layer.name == "bert.encoder.layer.0 … 2"
    assert layer.count == 3
    rows, wide, scores = B * T * D * 4, B * T * F * 4, B * H * T * T * 4
    expected = {
        "attention.query, x": rows, "attention, q": rows, "attention, k": rows, "attention, v": rows,
        "attention, weights": scores, "attention, drop_mask": scores // 4, "attention.output, x": rows,
        "attention_norm.dropout, mask": rows // 4, "attention_norm.norm, normalized": rows,
        "attention_norm.norm, inverse_std": B * T * 4,
        "feed_forward, x": rows, "feed_forward.activation, slope": wide, "feed_forward.down, x": wide,
        "output_norm.dropout, mask": rows // 4, "output_norm.norm, normalized": rows,
        "output_norm.norm, inverse_std": B * T * 4,
    }  # fmt: skip
    found = {name: size / 3 for name, size in layer.inside.items() if name != "attention, visible"}
    assert found == expected


def test_weights_gradients_and_states_by_hand():
    model = bert(BertForMaskedLM)  # the decoder's weight is the table of words: once
    size = 4 * model.num_parameters()
    for kind, arrays in ((AdamW, 2), (SGD, 0)):
        report = memory_report(model, batch_for(model), kind(model))
        assert report.weights == report.gradients == size
        assert sum(report.states.values()) == arrays * size


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "Adafactor", "Adagrad", "RMSprop", "AdamW8bit"])
def test_states_are_those_that_the_optimizer_makes(name):
    model = bert(hidden_size=256)
    optimizer = getattr(optimizers, name)(model)
    predicted = memory_report(model, batch_for(model, 1, 4), optimizer).states
    for parameter in model.parameters():
        parameter.grad = np.ones_like(parameter.data)
    optimizer.step()
    made = {}
    for state in optimizer.state.values():
        for part, value in state.items():
            if getattr(value, "ndim", 0):
                made[part] = made.get(part, 0) + value.nbytes
    assert predicted == made
    assert memory_report(model, batch_for(model, 1, 4), optimizer).states == made


class WithNames(Module):
    def __init__(self, inner):
        self.inner = inner

    def forward(self, x):
        y, cache = self.inner.forward(x)
        return {"y": y}, keep(cache)

    def backward(self, d_output, cache):
        return self.inner.backward(d_output["y"], cache[0])


class Twice(Module):
    """Keeps its input, a view of it, a new array in two places, and a weight."""

    def __init__(self):
        self.linear = Linear(8, 8)

    def forward(self, x):
        y, cache = self.linear.forward(x)
        square = y * y
        return {"last": y}, keep(x, cache, x[1:], square, [square, {"again": square}], self.linear.weight.data)

    def backward(self, d_output, cache):
        return self.linear.backward(d_output["last"], cache[1])


def test_memory_counts_once_and_only_if_saved():
    """Inputs and weights exist anyway; views and second mentions cost nothing."""
    step = dry_step(Twice(), {"x": np.ones((5, 8), np.float32)})
    assert [(saved.module, saved.name, saved.nbytes) for saved in step.saved] == [("", "square", 5 * 8 * 4)]


class Shifts(WithNames):
    """A table of whole numbers, which are looked at, and dropout from a generator of its own."""

    def __init__(self):
        super().__init__(Sequential(Linear(64, 64), LayerNorm(64)))
        self.shift = Buffer(np.arange(1000)[::-1].copy())
        self.dropout = Dropout(0.5)
        self.generator = np.random.default_rng(0)

    def forward(self, x):
        x, mask = self.dropout.forward(x[self.shift.data[: len(x)] - 900], self.generator)
        y, cache = self.inner.forward(x)
        return {"y": y}, keep(cache, mask)


def test_whole_numbers_are_real():
    """They are counted though they are no phantoms; and what is drawn costs no drawing."""
    module, x = Shifts(), np.ones((100, 64), np.float32)
    step = dry_step(module, {"x": x})
    assert step.real == 8000
    assert [(saved.name, saved.nbytes) for saved in step.saved if saved.module == "dropout"] == [("mask", x.size)]
    report = memory_report(module, {"x": x})
    assert report.weights == 8000 + 4 * module.num_parameters()
    assert min(report.parts.values()) >= 0


def test_several_texts_an_example():
    """A model that hands its generator on without naming it."""
    model = bert(BertForMultipleChoice, hidden_size=128)
    ids = np.random.default_rng(0).integers(0, 500, (4, 2, 64))
    report = memory_report(model, {"input_ids": ids, "labels": np.zeros(4, int)}, AdamW(model), measure=True)
    assert abs(report.peak / report.measured - 1) < 0.05


def test_training_mode_and_more_than_one_batch():
    model = bert(BertForMaskedLM, vocab_size=5000)
    batch, optimizer = batch_for(model), AdamW(model)
    plain = memory_report(model, batch, optimizer)
    assert memory_report(model.eval(), batch, optimizer).peak == plain.peak
    twice, often = (memory_report(model, batch, optimizer, count) for count in (2, 5))
    assert twice.peak == often.peak > plain.peak  # gradients wait while others are computed


def test_saved_in_a_sequence():
    model = Sequential(Linear(8, 16), LayerNorm(16), Linear(16, 8))
    step = dry_step(WithNames(model), {"x": np.ones((5, 8), np.float32)})
    assert [(saved.module, saved.name) for saved in step.saved] == [
        ("inner.1", "normalized"), ("inner.1", "inverse_std"), ("inner.2", "x"),
    ]  # fmt: skip


def test_names_of_what_is_kept():
    assert kept_names(Linear, 1) == ["x"]
    assert kept_names(LayerNorm, 2) == ["normalized", "inverse_std"]
    assert kept_names(LayerNorm, 3) is None
    unknown = type("Unknown", (Module,), {"forward": len})
    assert kept_names(unknown, 1) is None


def test_checkpoints_keep_a_layers_input():
    model, B, T, D = checkpointed(), 8, 96, 64
    report = memory_report(model, batch_for(model, B, T))
    encoder = next(layer for layer in report.layers() if layer.name == "bert.encoder")
    inputs = [array for array in encoder.arrays if array.nbytes == B * T * D * 4]
    assert len(inputs) == 3
    assert not any("layer" in layer.name for layer in report.layers())


# -- nothing changes --------------------------------------------------------------------------------------------------


def test_the_model_is_left_alone():
    model = bert().eval()
    optimizer = AdamW(model)
    before = {name: (parameter, parameter.data, parameter.data.copy()) for name, parameter in model.named_parameters()}
    state = model.generator.bit_generator.state
    memory_report(model, batch_for(model), optimizer, measure=True)
    flops_report(model, batch_for(model))
    assert optimizer.state == {}
    assert not model.training
    assert model.generator.bit_generator.state == state
    for name, parameter in model.named_parameters():
        assert parameter is before[name][0]
        assert parameter.data is before[name][1]
        np.testing.assert_array_equal(parameter.data, before[name][2])
        assert parameter.grad is None
    assert not any("forward" in vars(module) for module in model.modules())
    assert type(np.zeros(2)) is np.ndarray


def test_a_trace_that_runs_goes_on():
    tracemalloc.start()
    try:
        kept = np.ones(100_000)
        with HostMemory() as memory:
            more = np.ones(50_000)
            assert 400_000 <= memory.size < 450_000
            del more
            assert memory.size < 50_000
        assert 400_000 <= memory.peak < 450_000
        assert tracemalloc.is_tracing()
        assert tracemalloc.get_traced_memory()[0] > kept.nbytes
    finally:
        tracemalloc.stop()


# -- other sizes ------------------------------------------------------------------------------------------------------


def test_predict_another_size():
    model = bert()
    report = memory_report(model, batch_for(model, 2, 16), AdamW(model))
    assert report.predict(batch_size=8, length=64).peak == memory_report(model, batch_for(model), AdamW(model)).peak
    activations = [report.predict(batch_size=B).parts["saved activations"] for B in (4, 8, 12)]
    assert activations[2] - activations[1] == activations[1] - activations[0]  # linear in the batch
    lengths = [report.predict(length=T).parts["saved activations"] for T in (16, 32, 48, 64)]
    second = np.diff(lengths, 2)
    assert second[0] == second[1] > 0  # quadratic in the length
    assert {report.predict(batch_size=B).weights for B in (1, 7)} == {report.weights}


def test_resized_batches():
    batch = {"input_ids": np.arange(6).reshape(2, 3), "labels": np.array([4, 5]), "flag": True}
    larger = resized(batch, 5, 4)
    np.testing.assert_array_equal(larger["input_ids"][:3], [[0, 1, 2, 0], [3, 4, 5, 3], [0, 1, 2, 0]])
    np.testing.assert_array_equal(larger["labels"], [4, 5, 4, 5, 4])
    assert larger["flag"] is True
    assert resized(batch, 1)["input_ids"].shape == (1, 3)
    with pytest.raises(ValueError, match="batch_size is 0"):
        resized(batch, 0)
    with pytest.raises(ValueError, match="have no length"):
        resized({"x": np.ones(3)}, length=5)
    with pytest.raises(ValueError, match="holds no array"):
        memory_report(bert(), {})


def test_another_models_optimizer():
    with pytest.raises(ValueError, match="none of the model's"):
        memory_report(bert(), batch_for(bert()), AdamW(bert()))


# -- words and pictures -----------------------------------------------------------------------------------------------


def test_printed():
    model = bert()
    report = memory_report(model, batch_for(model), AdamW(model), measure=True)
    text = str(report)
    assert text.startswith("BertForSequenceClassification, float32, a batch of 8 × 64, AdamW\n")
    for words in ("saved activations", "bert.encoder.layer.0 … 2", "attention, weights", "measured", "worst moment"):
        assert words in text
    assert max(map(len, text.splitlines())) <= 100
    rows = report.table()
    assert [row["part"] for row in rows][-2:] == ["temporary", "peak"]
    assert sum(row["bytes"] for row in rows[:-1]) == rows[-1]["bytes"]
    assert report._repr_html_().count("<tr>") == 1 + len(rows)
    assert report.where.startswith("backward of bert.")


def test_names_of_layers():
    assert layer_of("bert.encoder.layer.3.attention.query") == "bert.encoder.layer.3"
    assert layer_of("bert.embeddings.norm") == "bert.embeddings"
    assert layer_of("") == "the model itself"
    assert together(["layer.1"]) == "layer.1"
    assert together(["layer.1", "layer.2"]) == "layer.1 … 2"


def test_savings():
    model = bert(hidden_size=128)
    savings = memory_savings(model, batch_for(model, 8, 64))
    rows = {row["way"]: row for row in savings.table()}
    plain = rows["as it is"]
    assert plain["saved"] == 0
    assert plain["work"] == 1
    assert all(row["bytes"] <= plain["bytes"] for row in rows.values())
    assert rows["feed-forward in chunks of 64"]["saved activations"] == plain["saved activations"]
    assert rows["… and recomputed"]["saved activations"] < plain["saved activations"]
    assert 1 < rows["… and recomputed"]["work"] < rows["checkpoints"]["work"] < 1.34
    assert rows["batch in 4 parts"]["saved activations"] == pytest.approx(plain["saved activations"] / 4, rel=0.01)
    assert rows["batch in 4 parts"]["work"] == 1
    assert rows["8-bit states"]["optimizer states"] < 0.3 * plain["optimizer states"]
    assert rows["SGD, no states"]["optimizer states"] == 0
    assert min(rows.values(), key=lambda row: row["bytes"])["way"] == "checkpoints, parts, 8-bit states"
    assert "checkpoints" in str(savings)
    assert savings._repr_html_().count("<tr>") == 1 + len(rows)
    odd = memory_savings(model, batch_for(model, 3, 8), SGD)  # cannot be cut into four; no 8-bit SGD
    assert [way.name for way in odd.ways][-2:] == ["checkpoints", "SGD, no states"]


def test_pictures(tmp_path):
    from edutransformers.teaching.plots import save

    model = bert(num_hidden_layers=1)
    batch = batch_for(model, 4, 16)
    report, savings = memory_report(model, batch, AdamW(model)), memory_savings(model, batch)
    figure = report.plot()
    ends = [bar.get_x() + bar.get_width() for bar in figure.axes[0].patches]
    assert max(ends) == pytest.approx(report.peak / 1e6)  # the parts, one behind the other, end at the peak
    ends = [bar.get_x() + bar.get_width() for bar in savings.plot().axes[0].patches]
    assert max(ends) == pytest.approx(savings.ways[0].report.peak / 1e6)
    work = flops_report(model, batch)
    widths = [bar.get_width() for bar in work.plot().axes[0].patches]
    assert sum(widths) == pytest.approx(work.total / 1e9, rel=0.01)
    save(figure, tmp_path / "report.png")
    assert (tmp_path / "report.png").read_bytes()[:4] == figure._repr_png_()[:4] == b"\x89PNG"


# -- on a GPU ---------------------------------------------------------------------------------------------------------


def test_measured_through_the_memory_pool(fake_cupy):
    model = bert().to("cuda")
    optimizer = AdamW(model)
    report = memory_report(model, batch_for(model), optimizer, measure=True)
    assert abs(report.peak / report.measured - 1) < 0.15  # without blocks, temporaries are larger
    assert report.weights == 4 * model.num_parameters()
    assert measured_peak(model, batch_for(model, 4), optimizer) < report.measured


# -- what the pages say -----------------------------------------------------------------------------------------------


def test_the_guides_table_of_long_texts():
    """docs/guides/train_in_little_memory.md prints BERT-base at 8 × 512 as it was predicted once: it still is."""
    text = (Path(__file__).parents[2] / "docs" / "guides" / "train_in_little_memory.md").read_text(encoding="utf-8")
    row = next(line for line in text.splitlines() if line.startswith("| batch in 4 parts |"))
    peak, saved, work, *parts = (float(cell.strip(" %").replace(",", "")) for cell in row.strip("|").split("|")[1:])
    with skip_initialization():
        model = BertForSequenceClassification(BertConfig())
    report = memory_report(model, batch_for(model, 2, 512), AdamW(model), accumulation=4)
    assert report.peak / 1e6 == pytest.approx(peak, rel=0.01)
    assert [size / 1e6 for size in report.parts.values()][:4] == pytest.approx(parts[:4], abs=1)
    assert (saved, work) == (52, 1)
