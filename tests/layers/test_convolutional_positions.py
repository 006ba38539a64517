import pytest

from edutransformers.layers import ConvolutionalPositions
from tests.contract import check_layer


@pytest.mark.parametrize("kernel", [4, 5, 1])
@pytest.mark.parametrize("tokens", [7, 1])
def test_contract(kernel, tokens):
    check_layer(lambda: ConvolutionalPositions(6, kernel, 2), lambda rng: (rng.standard_normal((2, tokens, 6)),))
