"""Schedules: every value, frozen from transformers (twelve steps, warm-up 3, training steps 10, lr 2)."""

import numpy as np
import pytest

from edutransformers.module import Parameter
from edutransformers.training import (
    Adafactor,
    AdafactorSchedule,
    AdamW,
    SchedulerType,
    get_linear_schedule_with_warmup,
    get_polynomial_decay_schedule_with_warmup,
    get_scheduler,
    get_wsd_schedule,
)
from edutransformers.training.schedules import SCHEDULES, LambdaLR
from tests import fakecupy

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
LATER = [  # (name, options, values): what transformers 5 added
    ("inverse_sqrt", {"timescale": 2}, [
        *WARM, 2.0, 1.632993161855, 1.414213562373, 1.264911064067, 1.154700538379, 1.06904496765, 1.0, 0.942809041582,
        0.894427191,
    ]),
    ("cosine_with_min_lr", {"min_lr": 0.5}, [
        *WARM, 2.0, 1.925726650927, 1.717617351394, 1.416890700467, 1.083109299533, 0.782382648606, 0.574273349073, 0.5,
        0.574273349073,
    ]),
    ("cosine_warmup_with_min_lr", {"min_lr_rate": 0.1}, [
        0.666666666667, 1.333333333333, 2.0, 1.910871981112, 1.661140821673, 1.300268840561, 0.899731159439,
        0.538859178327, 0.289128018888, 0.2, 0.289128018888, 0.538859178327,
    ]),
    ("cosine_warmup_with_min_lr", {"min_lr": 0.5, "warmup_lr_rate": 0.2}, [
        0.4, 1.2, 2.0, 1.925726650927, 1.717617351394, 1.416890700467, 1.083109299533, 0.782382648606, 0.574273349073,
        0.5, 0.574273349073, 0.782382648606,
    ]),
    ("warmup_stable_decay", {"num_decay_steps": 4}, [
        *WARM, 2.0, 2.0, 2.0, 2.0, 1.707106781187, 1.0, 0.292893218813, 0.0, 0.0,
    ]),
    ("warmup_stable_decay", {"num_decay_steps": 4, "num_stable_steps": 1, "warmup_type": "cosine",
                             "decay_type": "1-sqrt", "min_lr_ratio": 0.1}, [
        0.2, 0.65, 1.55, 2.0, 2.0, 1.1, 0.727207793864, 0.441154273188, 0.2, 0.2, 0.2, 0.2,
    ]),
    ("warmup_stable_decay", {"num_decay_steps": 3, "warmup_type": "1-sqrt", "decay_type": "linear"}, [
        0.0, 0.367006838145, 0.845299461621, 2.0, 2.0, 2.0, 2.0, 2.0, 1.333333333333, 0.666666666667, 0.0, 0.0,
    ]),
]  # fmt: skip
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
    schedule = get_scheduler(name, optimizer_with(2.0), 3, 10, OPTIONS.get(name))
    np.testing.assert_allclose(values(schedule), WARM + FROZEN[name], atol=1e-11)


@pytest.mark.parametrize(("name", "options", "expected"), LATER)
def test_values_of_later_schedules(name, options, expected):
    np.testing.assert_allclose(values(get_scheduler(name, optimizer_with(2.0), 3, 10, options)), expected, atol=1e-11)


def test_constant():
    assert values(get_scheduler("constant", optimizer_with(0.3))) == [0.3] * 12


def test_every_name_is_tested_and_is_one_of_the_enumeration():
    later = {name for name, _, _ in LATER}
    assert set(SCHEDULES) == set(FROZEN) | later | {"constant", "reduce_lr_on_plateau"}
    assert {kind.value for kind in SchedulerType} == set(SCHEDULES)
    by_member = get_scheduler(SchedulerType.COSINE, optimizer_with(2.0), 3, 10)
    np.testing.assert_allclose(values(by_member), WARM + FROZEN["cosine"], atol=1e-11)


@pytest.mark.parametrize("name", FROZEN)
def test_without_warmup_it_begins_at_the_top(name):
    assert get_scheduler(name, optimizer_with(0.5), 0, 10).get_last_lr() == [0.5]


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
    schedule = get_linear_schedule_with_warmup(optimizer, 3, 10, last_epoch=4)
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
    with pytest.raises(ValueError, match="the timescale 0"):
        get_scheduler("inverse_sqrt", optimizer_with(1.0), 0, None, {"timescale": 0})
    with pytest.raises(ValueError, match="'linear' takes no 'num_cycles': it takes num_warmup_steps"):
        get_scheduler("linear", optimizer_with(1.0), 0, 10, {"num_cycles": 2})
    with pytest.raises(ValueError, match="'reduce_lr_on_plateau' takes no 'patients': it takes mode, factor"):
        get_scheduler("reduce_lr_on_plateau", optimizer_with(1.0), 0, 10, {"patients": 2})
    with pytest.raises(ValueError, match="'warmup_stable_decay' needs num_decay_steps"):
        get_scheduler("warmup_stable_decay", optimizer_with(1.0), 0, 10)
    with pytest.raises(ValueError, match="both None"):
        get_wsd_schedule(optimizer_with(1.0), 0, 10)
    for setting in ("warmup_type", "decay_type"):
        with pytest.raises(ValueError, match=f"{setting} is 'steep': expected one of linear, cosine, 1-sqrt"):
            get_wsd_schedule(optimizer_with(1.0), 0, 10, 20, **{setting: "steep"})
    for rates in ({}, {"min_lr": 0.1, "min_lr_rate": 0.1}):
        with pytest.raises(ValueError, match="expected exactly one of the two"):
            get_scheduler("cosine_with_min_lr", optimizer_with(1.0), 0, 10, rates)


def adafactor_schedule(xp, **settings):
    """The learning rates that AdafactorSchedule reports over three steps."""
    first, second = (Parameter(xp.asarray(np.full((2, 2), value))) for value in (3.0, 0.1))
    optimizer = Adafactor([{"params": [first]}, {"params": [second], "scale_parameter": False}], **settings)
    schedule = AdafactorSchedule(optimizer, initial_lr=0.7)
    seen = [schedule.get_last_lr()]
    for _ in range(3):
        with fakecupy.no_sync():
            for parameter in (first, second):
                parameter.grad = xp.asarray(np.ones((2, 2)))
            optimizer.step()
            schedule.step()
        seen.append(schedule.get_last_lr())
    return schedule, seen


def test_adafactors_own_rates():
    _, seen = adafactor_schedule(np)
    np.testing.assert_allclose(seen, [[0.7, 0.7], [0.03, 0.01], [0.0297, 0.01], [0.029403, 0.01]])
    schedule, seen = adafactor_schedule(np, warmup_init=True)
    np.testing.assert_allclose(seen[1:], [[3e-6, 1e-6], [6e-6, 2e-6], [9e-6, 3e-6]], rtol=1e-5)
    twin, _ = adafactor_schedule(np)
    twin.load_state_dict(schedule.state_dict())
    assert twin.get_last_lr() == seen[-1]


def test_adafactors_rates_wait_on_the_device(fake_cupy):
    np.testing.assert_allclose(adafactor_schedule(fake_cupy)[1], adafactor_schedule(np)[1], rtol=1e-12)
