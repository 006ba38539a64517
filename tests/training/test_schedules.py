"""Schedules: every value, frozen from transformers 4.34 (twelve steps, warm-up 3, training steps 10, lr 2)."""

import numpy as np
import pytest

from edutransformers.module import Parameter
from edutransformers.training import AdamW, get_polynomial_decay_schedule_with_warmup, get_scheduler
from edutransformers.training.schedules import SCHEDULES, LambdaLR

WARM = [0.0, 0.666666666667, 1.333333333333]
FROZEN = {
    "linear": [
        2.0, 1.714285714286, 1.428571428571, 1.142857142857, 0.857142857143, 0.571428571429, 0.285714285714, 0.0, 0.0,
    ],
    "cosine": [
        2.0, 1.900968867902, 1.623489801859, 1.222520933956, 0.777479066044, 0.376510198141, 0.099031132098, 0.0,
        0.099031132098,
    ],
    "cosine_with_restarts": [
        2.0, 1.623489801859, 0.777479066044, 0.099031132098, 1.900968867902, 1.222520933956, 0.376510198141, 0.0, 0.0,
    ],
    "polynomial": [
        2.0, 1.602040816327, 1.265306122449, 0.989795918367, 0.775510204082, 0.622448979592, 0.530612244898, 0.5, 0.5,
    ],
    "constant_with_warmup": [2.0] * 9,
    "inverse_sqrt": [
        2.0, 1.732050807569, 1.549193338483, 1.414213562373, 1.309307341416, 1.224744871392, 1.154700538379,
        1.09544511501, 1.044465935734,
    ],
}  # fmt: skip
OPTIONS = {"cosine_with_restarts": {"num_cycles": 2}, "polynomial": {"lr_end": 0.5, "power": 2.0}}


def optimizer_with(*learning_rates):
    return AdamW([{"params": [Parameter(np.zeros(1))], "lr": lr} for lr in learning_rates], lr=learning_rates[0])


def values(schedule, count=12):
    seen = []
    for _ in range(count):
        seen.append(schedule.get_last_lr()[0])
        schedule.step()
    return seen


@pytest.mark.parametrize("name", FROZEN)
def test_values_are_the_originals(name):
    schedule = get_scheduler(name, optimizer_with(2.0), 3, 10, **OPTIONS.get(name, {}))
    np.testing.assert_allclose(values(schedule), WARM + FROZEN[name], atol=1e-11)


def test_constant():
    assert values(get_scheduler("constant", optimizer_with(0.3))) == [0.3] * 12
    assert set(SCHEDULES) == set(FROZEN) | {"constant"}


@pytest.mark.parametrize("name", FROZEN)
def test_without_warmup_it_begins_at_the_top(name):
    options = {"timescale": 4} if name == "inverse_sqrt" else {}
    assert get_scheduler(name, optimizer_with(0.5), 0, 10, **options).get_last_lr() == [0.5]


def test_every_group_keeps_its_own_scale():
    optimizer = optimizer_with(1.0, 10.0)
    schedule = get_scheduler("linear", optimizer, 0, 4)
    schedule.step()
    assert schedule.get_last_lr() == [0.75, 7.5] == [group["lr"] for group in optimizer.param_groups]


def test_state_dict_continues():
    whole = values(get_scheduler("cosine", optimizer_with(2.0), 3, 10))
    first = get_scheduler("cosine", optimizer_with(2.0), 3, 10)
    assert values(first, 5) == whole[:5]
    optimizer = optimizer_with(77.0)
    second = get_scheduler("cosine", optimizer, 3, 10)
    second.load_state_dict(first.state_dict())
    assert optimizer.param_groups[0]["lr"] == whole[5]
    assert values(second, 7) == whole[5:]
    with pytest.raises(ValueError, match="1 parameter groups"):
        get_scheduler("cosine", optimizer_with(1.0, 2.0), 3, 10).load_state_dict(first.state_dict())


def test_last_epoch_continues_from_the_optimizers_initial_lr():
    optimizer = optimizer_with(2.0)
    whole = values(get_scheduler("linear", optimizer, 3, 10))
    schedule = get_scheduler("linear", optimizer, 3, 10, last_epoch=4)
    assert schedule.get_last_lr()[0] == whole[5]
    with pytest.raises(ValueError, match="initial_lr"):
        LambdaLR(optimizer_with(1.0), lambda s: 1.0, last_epoch=3)


def test_bad_arguments():
    with pytest.raises(ValueError, match="'steep': expected one of linear"):
        get_scheduler("steep", optimizer_with(1.0))
    with pytest.raises(ValueError, match="'linear' needs num_warmup_steps"):
        get_scheduler("linear", optimizer_with(1.0), num_training_steps=10)
    with pytest.raises(ValueError, match="'cosine' needs num_training_steps"):
        get_scheduler("cosine", optimizer_with(1.0), num_warmup_steps=0)
    with pytest.raises(ValueError, match="lr_end is 2"):
        get_polynomial_decay_schedule_with_warmup(optimizer_with(1.0), 0, 10, lr_end=2)
    with pytest.raises(ValueError, match="timescale"):
        get_scheduler("inverse_sqrt", optimizer_with(1.0), 0)
