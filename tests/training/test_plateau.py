"""ReduceLROnPlateau: learning rates frozen from torch's, each setting, states."""

import json

import numpy as np
import pytest

from edutransformers.module import Parameter
from edutransformers.training import SGD, ReduceLROnPlateau, get_reduce_on_plateau_schedule


def optimizer_with(*learning_rates):
    return SGD([{"params": [Parameter(np.zeros(1))], "lr": lr} for lr in learning_rates])


def rates(metrics, lr=1.0, **settings):
    schedule = ReduceLROnPlateau(optimizer_with(lr), **settings)
    seen = []
    for metric in metrics:
        schedule.step(metric)
        seen.append(schedule.get_last_lr()[0])
    return seen


def test_rates_are_torchs():
    metrics = [5, 4, 3.9, 3.8, 3.8, 3.8, 3.8, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, float("nan"), 0.5, 0.46, 0.46, 0.46, 0.46]
    expected = [1.0] * 3 + [0.5] * 6 + [0.25] * 4 + [0.125] * 4 + [0.1] * 6
    assert rates(metrics, factor=0.5, patience=1, threshold=0.1, cooldown=2, min_lr=0.1) == expected


@pytest.mark.parametrize(
    ("settings", "metrics", "expected"),
    [
        ({}, [1.0] * 12, [1.0] * 11 + [0.1]),  # the first one is the best; ten more are forgiven
        ({"patience": 0}, [1.0, 1.0, 0.5, 0.5], [1.0, 0.1, 0.1, 0.01]),
        ({"patience": 0, "mode": "max"}, [1.0, 2.0, 3.0, 2.9], [1.0, 1.0, 1.0, 0.1]),
        ({"patience": 0, "threshold": 0.01}, [2.0, 1.985, 1.97], [1.0, 0.1, 0.1]),
        ({"patience": 0, "threshold": 0.01, "mode": "max"}, [2.0, 2.015, 2.03], [1.0, 0.1, 0.1]),
        ({"patience": 0, "threshold": 0.01, "threshold_mode": "abs"}, [2.0, 1.985, 1.98], [1.0, 1.0, 0.1]),
        ({"patience": 0, "threshold": 0.01, "threshold_mode": "abs", "mode": "max"}, [2, 2.015, 2.02], [1, 1, 0.1]),
        ({"patience": 0, "threshold": 0}, [2.0, 2.0], [1.0, 0.1]),
        ({"patience": 0, "factor": 0.5, "eps": 0.3}, [1.0] * 4, [1.0, 0.5, 0.5, 0.5]),
        ({"patience": 0, "min_lr": [0.05]}, [1.0] * 4, [1.0, 0.1, 0.05, 0.05]),
        ({"patience": 0}, [float("inf"), float("nan"), 1.0], [0.1, 0.01, 0.01]),
    ],
)
def test_settings(settings, metrics, expected):
    np.testing.assert_allclose(rates(metrics, **settings), expected, rtol=1e-12)


def test_every_group_has_its_rate_and_its_lowest():
    schedule = get_reduce_on_plateau_schedule(optimizer_with(1.0, 10.0), patience=0, min_lr=[0.5, 0.0])
    for _ in range(3):
        schedule.step(1.0)
    np.testing.assert_allclose(schedule.get_last_lr(), [0.5, 0.1])


def test_state_survives_json():
    metrics = np.random.default_rng(0).uniform(1, 2, 40)
    settings = {"patience": 2, "cooldown": 1, "factor": 0.7}
    whole = rates(metrics, **settings)
    for cut in (0, 1, 17):
        optimizer = optimizer_with(1.0)
        first = ReduceLROnPlateau(optimizer, **settings)
        for metric in metrics[:cut]:
            first.step(metric)
        second = ReduceLROnPlateau(optimizer, **settings)
        second.load_state_dict(json.loads(json.dumps(first.state_dict(), allow_nan=False)))
        for metric, expected in zip(metrics[cut:], whole[cut:]):
            second.step(metric)
            assert second.get_last_lr() == [expected]
    assert whole[-1] < 0.1


def test_bad_settings():
    for settings, message in [
        ({"factor": 1.0}, "factor is 1.0"),
        ({"mode": "most"}, "mode is 'most'"),
        ({"threshold_mode": "x"}, "threshold_mode is 'x'"),
        ({"min_lr": [0.1, 0.2]}, "min_lr has 2 numbers, but the optimizer has 1"),
    ]:
        with pytest.raises(ValueError, match=message):
            ReduceLROnPlateau(optimizer_with(1.0), **settings)
