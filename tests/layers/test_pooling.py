import numpy as np
import pytest

from edutransformers.layers import FirstTokenPooler
from tests.contract import check_layer


@pytest.mark.parametrize("activation", [None, "tanh", "gelu"])
@pytest.mark.parametrize("shape", [(3, 4, 5), (1, 1, 5)], ids=str)
def test_contract(shape, activation):
    check_layer(lambda: FirstTokenPooler(5, 2, activation), lambda rng: (rng.standard_normal(shape),))


def test_only_the_first_token_counts(rng):
    layer = FirstTokenPooler(5, 2, "tanh").astype("float64")
    x = rng.standard_normal((3, 4, 5))
    p, cache = layer.forward(x)
    wanted = [[np.tanh(sum(x[b, 0, i] * layer.dense.weight.data[o, i] for i in range(5))) for o in range(2)]
              for b in range(3)]  # fmt: skip
    np.testing.assert_allclose(p, wanted, rtol=1e-13)
    dx = layer.backward(np.ones_like(p), cache)
    assert dx[:, 0].all()
    assert not dx[:, 1:].any()
