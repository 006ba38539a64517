import numpy as np
import pytest

from edutransformers.layers import SpanMasking
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
