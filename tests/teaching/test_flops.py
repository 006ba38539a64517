"""The operations of a training step: exact, against a count by hand and the rule 6·N·T."""

import numpy as np
import pytest

from edutransformers import BertForMaskedLM, flops_report
from edutransformers.layers import Linear
from edutransformers.teaching.flops import product_speed, seconds_of_step
from tests.teaching.test_memory import batch_for, bert, checkpointed, recomputing
from tests.training.toy import toy_trainer

B, T, D, F, L, V = 8, 96, 64, 256, 3, 500


def of_a_layer():
    """Forward, by hand: four maps of the width, scores and context, two maps of the feed-forward."""
    return 4 * 2 * B * T * D * D + 2 * 2 * B * T * T * D + 2 * 2 * B * T * D * F


def test_bert_by_hand():
    model = bert()
    report = flops_report(model, batch_for(model, B, T))
    head = 2 * B * D * D + 2 * B * D * 2  # the pooler sees one token of each text; two labels
    assert report.of("forward") == L * of_a_layer() + head
    assert report.of("backward") == 2 * report.of("forward")
    assert report.of("recompute") == 0
    assert report.total == 3 * report.of("forward")
    layer = report.layers()[0]
    assert (layer.name, layer.count, layer.forward) == ("bert.encoder.layer.0 … 2", L, L * of_a_layer())
    assert layer.inside["attention"] == 3 * L * 2 * 2 * B * T * T * D
    assert layer.inside["feed_forward.up"] == layer.inside["feed_forward.down"] == 3 * L * 2 * B * T * D * F
    assert (
        sum(sum(row[which] for which in ("forward", "recompute", "backward")) for row in report.table()) == report.total
    )


def test_a_vocabulary_by_hand():
    model = bert(BertForMaskedLM)
    report = flops_report(model, batch_for(model, B, T))
    assert report.of("forward") == L * of_a_layer() + 2 * B * T * D * D + 2 * B * T * D * V
    assert report.of("backward") == 2 * report.of("forward")


def test_what_is_made_again():
    plain = flops_report(bert(), batch_for(bert(), B, T))
    again = flops_report(checkpointed(), batch_for(bert(), B, T))
    assert again.of("recompute") == L * of_a_layer()
    assert (again.of("forward"), again.of("backward")) == (plain.of("forward"), plain.of("backward"))
    feed_forward = flops_report(recomputing(), batch_for(bert(), B, T))
    assert feed_forward.of("recompute") == L * 2 * 2 * B * T * D * F


def test_the_rule_is_the_trainers(tmp_path):
    """6·N·T leaves attention scores out, and takes every token for all weights, the pooler's too."""
    model = bert()
    batch = batch_for(model, B, T)
    report = flops_report(model, batch)
    assert report.rule == toy_trainer(tmp_path, model).floating_point_ops(batch)
    scores = 3 * L * 2 * 2 * B * T * T * D
    head = 6 * B * (T - 1) * (D * D + 2 * D)
    vectors = 6 * B * T * sum(p.size for name, p in model.named_parameters() if p.data.ndim == 1)
    assert report.rule == report.total - scores + head + vectors


def test_what_is_no_product():
    """y = x W + b, backward from ones: b is added to y, and dy summed to b's gradient; no other number is made."""
    from tests.teaching.test_memory import WithNames

    report = flops_report(WithNames(Linear(4, 3)), {"x": np.ones((5, 4), np.float32)})
    assert report.elementwise == 5 * 3
    assert report.reductions == 5 * 3
    assert report.of("forward") == 2 * 5 * 4 * 3
    assert report.of("backward") == 2 * 2 * 5 * 4 * 3


def test_measured():
    model = bert()
    report = flops_report(model, batch_for(model, 2, 16), measure=True)
    assert report.seconds > 0
    assert report.speed == report.total / report.seconds
    assert report.utilization == report.speed / report.peak_speed
    assert "the step reaches" in str(report)
    plain = flops_report(model, batch_for(model, 2, 16))
    assert plain.seconds is plain.speed is plain.utilization is None
    assert "the step reaches" not in str(plain)


def test_measured_on_the_device(fake_cupy):
    model = bert(num_hidden_layers=1).to("cuda")
    waits = []
    fake_cupy.cuda.Stream = type("Stream", (), {"null": type("Null", (), {"synchronize": lambda: waits.append(1)})})
    try:
        assert product_speed("float32", 8, like=next(model.parameters()).data) > 0
        assert seconds_of_step(model, batch_for(model, 2, 8), steps=2) > 0
    finally:
        del fake_cupy.cuda.Stream
    assert len(waits) == 6 + 2


def test_printed():
    text = str(flops_report(checkpointed(), batch_for(bert(), B, T)))
    for words in ("forward", "again", "6·N·T", "bert.encoder.layer.0 … 2", "feed_forward.up"):
        assert words in text
    assert max(map(len, text.splitlines())) <= 100
    assert flops_report(bert(), batch_for(bert(), B, T))._repr_html_().count("<tr>") == 1 + 3


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_speed_of_a_product(dtype):
    assert product_speed(dtype, 64) > 1e6
