"""Looking rows up in a table."""

from ..backend import array_module, scatter_add
from .precision import sum_dtype


def embedding(ids, weight):
    """y[…, :] = W[ids[…], :]   ids (…) whole numbers, weight (V, D) -> y (…, D)"""
    return weight[ids]


def embedding_backward(dy, ids, rows):
    """dy (…, D) -> dweight (V, D) with V = `rows`

    A lookup is the product of one-hot rows with the table, so dW[v] = Σ dy over *all* places where id v stood. A token
    that occurs three times gets three gradients, summed; assigning instead of adding would keep only the last.
    """
    xp = array_module(dy)
    dweight = xp.zeros((rows, dy.shape[-1]), dtype=sum_dtype(dy.dtype))
    scatter_add(dweight, ids.reshape(-1), dy.reshape(-1, dy.shape[-1]))
    return dweight
