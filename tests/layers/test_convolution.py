import pytest

from edutransformers.layers import Conv1d, Conv2d
from tests.contract import check_layer

OPTIONS = {
    "plain": {},
    "stride": {"stride": 2},
    "padding": {"padding": 2, "stride": 3},
    "dilation": {"dilation": 2},
    "groups": {"groups": 3},
    "depthwise": {"groups": 6, "padding": "same"},
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_contract_of_conv1d(options):
    check_layer(lambda: Conv1d(6, 12, 3, **options), lambda rng: (rng.standard_normal((2, 6, 9)),))


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_contract_of_conv2d(options):
    check_layer(lambda: Conv2d(6, 12, (3, 2), **options), lambda rng: (rng.standard_normal((2, 6, 6, 5)),))
