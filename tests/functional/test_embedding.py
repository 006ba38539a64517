import numpy as np
import pytest

from edutransformers.functional.embedding import embedding, embedding_backward


@pytest.mark.parametrize("shape", [(4,), (2, 3), (1, 1), (2, 0)], ids=str)
def test_lookup_and_its_gradient(rng, shape):
    weight, ids = rng.standard_normal((5, 3)), rng.integers(0, 5, shape)
    one_hot = np.eye(5)[ids]
    np.testing.assert_array_equal(embedding(ids, weight), one_hot @ weight)
    dy = rng.standard_normal((*shape, 3))
    wanted = one_hot.reshape(-1, 5).T @ dy.reshape(-1, 3)
    np.testing.assert_allclose(embedding_backward(dy, ids, 5), wanted, rtol=1e-13, atol=1e-14)
