import numpy as np
import pytest

from edutransformers.layers import SpanMasking, span_mask
from tests.contract import check_layer

SETTINGS = {
    "time": (0.5, 2, 1),
    "time and features": (0.5, 2, 1, 0.4, 2, 0),
    "features": (0.0, 2, 0, 0.4, 2, 0),
}


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_contract_in_training(settings):
    check_layer(
        lambda: SpanMasking(6, *settings),
        lambda rng: (rng.standard_normal((3, 7, 6)),),
        lambda rng: {"generator": np.random.default_rng(4)},
        training=True,
    )


TIME_MASK = np.array([[0, 0, 1, 1, 0], [1, 0, 0, 0, 1]], dtype=bool)


@pytest.mark.parametrize("training", [False, True])
def test_contract_with_a_given_time_mask(training):
    check_layer(
        lambda: SpanMasking(6, 0.5, 2, 1),
        lambda rng: (rng.standard_normal((2, 5, 6)),),
        lambda rng: {"time_mask": TIME_MASK},
        training=training,
    )


def test_contract_in_evaluation():
    check_layer(lambda: SpanMasking(6), lambda rng: (rng.standard_normal((2, 5, 6)),), passes_dy_on=True)


def test_masked_steps_hold_the_learned_vector(rng):
    layer = SpanMasking(6, generator=rng).eval()
    x = rng.standard_normal((2, 5, 6)).astype("float32")
    y = layer(x, time_mask=TIME_MASK)
    np.testing.assert_array_equal(y[TIME_MASK], np.broadcast_to(layer.masked_spec_embed.data, (4, 6)))
    np.testing.assert_array_equal(y[~TIME_MASK], x[~TIME_MASK])
    np.testing.assert_array_equal(layer(x), x)
    np.testing.assert_array_equal(layer(x, time_mask=TIME_MASK.astype("int64")), y)


def test_masked_features_are_zero_over_all_time(rng):
    layer = SpanMasking(40, 0.5, 2, 1, 0.3, 4, 1, generator=rng)
    x = rng.standard_normal((3, 9, 40)).astype("float32")
    y, cache = layer.forward(x, generator=np.random.default_rng(0))
    for b in range(3):
        assert 4 <= cache.feature_mask[b].sum() <= 12
        assert not y[b][:, cache.feature_mask[b]].any(), "zero, at masked steps too"
        seen = ~cache.feature_mask[b] & ~cache.time_mask[b][:, None]
        np.testing.assert_array_equal(y[b][seen], x[b][seen])
        assert cache.time_mask[b].any()


def test_the_same_seed_masks_the_same(rng):
    layer = SpanMasking(6, 0.3, 3, 1)
    x = rng.standard_normal((4, 50, 6))
    first, second, other = (layer.forward(x, generator=np.random.default_rng(seed))[0] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, second)
    assert np.abs(first - other).max() > 0


def test_starts_between_zero_and_one():
    layer = SpanMasking(500, generator=np.random.default_rng(0))
    values = layer.masked_spec_embed.data
    assert (values.dtype, values.shape) == (np.float32, (500,))
    assert 0 <= values.min() < 0.02 < 0.98 < values.max() < 1


def test_training_needs_a_generator_and_a_mask_its_shape(rng):
    x = np.ones((2, 20, 6), dtype="float32")
    with pytest.raises(ValueError, match="SpanMasking in training mode needs a generator"):
        SpanMasking(6)(x)
    with pytest.raises(ValueError, match=r"time mask has shape \(2, 5\), expected \(2, 20\)"):
        SpanMasking(6).eval()(x, time_mask=TIME_MASK)
    layer = SpanMasking(6, 0.0, 10, 2)
    np.testing.assert_array_equal(layer(x), x)  # probability 0: nothing is drawn, whatever the least number of spans


# ---------------------------------------------------------------------------------------------------------------------
# span_mask
# ---------------------------------------------------------------------------------------------------------------------


def runs(row):
    """Lengths of the stretches of True."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], row.astype(int), [0]))))
    return edges[1::2] - edges[::2]


def test_spans_have_their_length(rng):
    mask = span_mask((200, 60), 0.2, 4, rng)
    assert (mask.shape, mask.dtype) == ((200, 60), bool)
    for row in mask:
        assert all(length >= 4 for length in runs(row))
        assert row.sum() <= 12


@pytest.mark.parametrize("probability", [0.0, 0.03, 0.1, 0.37, 1.0])
def test_the_number_of_spans_is_right_on_average(probability):
    """Single places can't overlap, so the masked ones are the spans: probability · n, rounded up or down at random."""
    rng = np.random.default_rng(3)
    counts = [span_mask((2, 30), probability, 1, rng).sum(axis=1) for _ in range(1500)]
    expected = probability * 30
    assert set(np.unique(counts)) <= {int(expected), int(expected) + (expected % 1 > 0)}
    assert all(a == b for a, b in counts), "one rounding for the whole batch"
    assert np.mean(counts) == pytest.approx(expected, abs=0.06)


def test_every_beginning_is_equally_probable():
    """χ² over the 17 places where a span of 4 can begin among 20: more than 39.3 comes once in 1,000 seeds."""
    rng = np.random.default_rng(5)
    starts = np.array([np.argmax(span_mask((1, 20), 0.2, 4, rng)) for _ in range(4000)])
    counts = np.bincount(starts, minlength=17)
    assert len(counts) == 17
    assert ((counts - 4000 / 17) ** 2 / (4000 / 17)).sum() < 39.3


def test_at_least_so_many_spans_but_no_more_than_fit(rng):
    assert (span_mask((50, 30), 0.0, 1, rng, min_masks=7).sum(axis=1) == 7).all()
    assert (span_mask((50, 30), 1.0, 10, rng, min_masks=9).sum(axis=1) <= 30).all()
    mask = span_mask((50, 4), 1.0, 3, rng, min_masks=5)
    assert set(mask.sum(axis=1)) == {3}, "one span of 3 fits 4 places"


def test_spans_end_before_the_padding(rng):
    lengths = np.array([30, 12, 5, 4])
    attention_mask = np.arange(30) < lengths[:, None]
    for _ in range(200):
        mask = span_mask((4, 30), 0.4, 5, rng, attention_mask, min_masks=1)
        for row, n in zip(mask[:3], lengths):
            assert row[:n].any()
            assert not row[n:].any()
        assert mask[2].sum() == 5, "5 places: the span is everything"
        np.testing.assert_array_equal(np.flatnonzero(mask[3]), [29])  # too short for a span: its last place


def test_no_spans_at_all_mark_nothing(rng):
    assert not span_mask((3, 8), 0.0, 2, rng, np.arange(8) < np.array([[8], [4], [1]])).any()


def test_a_mask_on_a_device_is_fetched(fake_cupy):
    attention_mask = np.arange(9) < np.array([[9], [5]])
    on_host = span_mask((2, 9), 0.5, 2, np.random.default_rng(0), attention_mask)
    fetched = span_mask((2, 9), 0.5, 2, np.random.default_rng(0), fake_cupy.asarray(attention_mask))
    np.testing.assert_array_equal(on_host, fetched)


def test_errors_name_the_value(rng):
    with pytest.raises(ValueError, match="the length of masked spans is 0: expected at least 1"):
        span_mask((2, 9), 0.5, 0, rng)
    with pytest.raises(ValueError, match="masked spans are 10 long, but there are only 9 places: pass longer inputs"):
        span_mask((2, 9), 0.5, 10, rng)
