"""The contrastive loss: find the right vector among distractors (van den Oord et al. 2018, InfoNCE)."""

from typing import NamedTuple

import numpy as np

from ..backend import Array, array_module, as_array_like, scatter_add
from ..functional.blocks import row_blocks
from ..functional.precision import in_float32
from ..functional.unit_vectors import unit_vectors, unit_vectors_backward
from ..layers.embedding import check_ids
from ..module import Module, keep

EPS = 1e-8  # the least length of a vector, as in torch's cosine_similarity


class ContrastiveCache(NamedTuple):
    predicted: Array  # (M, D) unit vectors of the rows that count
    targets: Array  # (N, D) unit vectors
    predicted_length: Array
    target_length: Array
    rows: Array | None  # (M,) which rows count; None: all are here
    candidates: Array  # (M, K+1) rows of the targets: the right one, then the negatives
    probabilities: Array  # (M, K+1) of the candidates, 0 in rows that don't count
    shape: tuple
    dtype: np.dtype


class ContrastiveLoss(Module):
    """L = Σₙ −log( exp(s(cₙ, qₙ)/κ) / Σ_{j ∈ {n} ∪ negatives of n} exp(s(cₙ, qⱼ)/κ) ),   s(a, b) = a·b / (‖a‖ ‖b‖)

    predictions c (…, D), targets q (…, D), codes (…) whole numbers, negatives (…, K) row numbers of the flattened
    targets, counted (…) booleans: which rows are in the sum -> a number. κ is the `temperature`. Targets with the same
    code are the same vector, and that is no distractor of itself: negatives with the right target's code are left out.

    Cross-entropy over K + 1 candidates, of which number 0 is right. So with p = softmax(s/κ) the gradient of the
    similarities is ds = (p − δ₀)/κ. From sₙⱼ = ĉₙ·q̂ⱼ with unit vectors ĉ, q̂:

        dĉₙ = Σⱼ dsₙⱼ q̂ⱼ          dq̂ⱼ = Σₙ dsₙⱼ ĉₙ      over all rows n among whose candidates j is

    A target serves in many rows, so its gradient is added up (scatter_add). The lengths' part: `unit_vectors_backward`.

    Baevski et al. 2020, "wav2vec 2.0", equation 3.
    """

    def __init__(self, temperature: float = 0.1):
        if temperature <= 0:
            raise ValueError(f"temperature is {temperature}: expected a number above 0")
        self.temperature = temperature

    def forward(self, predictions, targets, codes, negatives, counted):
        xp = array_module(predictions)
        shape, dtype = predictions.shape, predictions.dtype
        _check(predictions, targets, codes, negatives, counted)
        width, codes = shape[-1], codes.reshape(-1)
        negatives, counted = negatives.reshape(-1, negatives.shape[-1]), counted.reshape(-1)
        rows = None
        if isinstance(
            counted, np.ndarray
        ):  # on a GPU all rows are worked on: to pick some, the host would have to wait
            rows = as_array_like(np.flatnonzero(counted), predictions)
        own = xp.arange(len(codes)) if rows is None else rows
        negatives = as_array_like(negatives, predictions)
        candidates = xp.concatenate([own[:, None], negatives if rows is None else negatives[rows]], axis=1)
        flat = in_float32(predictions).reshape(-1, width)
        predicted, predicted_length = unit_vectors(flat if rows is None else flat[rows], EPS)
        unit_targets, target_length = unit_vectors(in_float32(targets).reshape(-1, width), EPS)

        p = xp.empty(candidates.shape, dtype=flat.dtype)
        for block in _blocks(candidates, width, xp):
            among = candidates[block]
            p[block] = xp.matmul(unit_targets[among], predicted[block][:, :, None])[..., 0]
        p *= 1 / self.temperature
        xp.copyto(p[:, 1:], -np.inf, where=codes[candidates[:, 1:]] == codes[candidates[:, :1]])
        right = p[:, 0].copy()
        largest = p.max(axis=1)
        p -= largest[:, None]
        xp.exp(p, out=p)
        total = p.sum(axis=1)
        losses = xp.log(total) + largest - right
        p /= total[:, None]
        if rows is None:
            losses *= as_array_like(counted, predictions)
            p *= as_array_like(counted, predictions)[:, None]
        cache = keep(
            ContrastiveCache,
            predicted,
            unit_targets,
            predicted_length,
            target_length,
            rows,
            candidates,
            p,
            shape,
            dtype,
        )
        return losses.sum(), cache

    def backward(self, dloss, cache):
        """dloss -> dpredictions (…, D), dtargets (…, D)"""
        xp = array_module(cache.predicted)
        ds = cache.probabilities  # a cache is used once, so its array may become the gradient
        ds[:, 0] -= ds.sum(axis=1)  # the sum is 1, or 0 where the row doesn't count
        ds *= dloss / self.temperature
        dpredicted = xp.empty_like(cache.predicted)
        dtargets = xp.zeros_like(cache.targets)
        width = cache.targets.shape[1]
        for block in _blocks(cache.candidates, width, xp):
            among = cache.candidates[block]
            dpredicted[block] = xp.matmul(ds[block][:, None], cache.targets[among])[:, 0]
            spread = ds[block][:, :, None] * cache.predicted[block][:, None]
            scatter_add(dtargets, among.reshape(-1), spread.reshape(-1, width))
        of_counted = unit_vectors_backward(dpredicted, cache.predicted, cache.predicted_length, EPS)
        dpredictions = of_counted
        if cache.rows is not None:
            dpredictions = xp.zeros_like(cache.targets)
            dpredictions[cache.rows] = of_counted
        dtargets = unit_vectors_backward(dtargets, cache.targets, cache.target_length, EPS)
        return tuple(d.reshape(cache.shape).astype(cache.dtype, copy=False) for d in (dpredictions, dtargets))


def _blocks(candidates, width: int, xp):
    """Rows a few at a time: all candidates' vectors together would be K + 1 times the targets."""
    return row_blocks(len(candidates), 4 * candidates.shape[1] * width, xp)


def _check(predictions, targets, codes, negatives, counted) -> None:
    shape = tuple(predictions.shape)
    if tuple(targets.shape) != shape:
        raise ValueError(f"predictions have shape {shape} and targets {tuple(targets.shape)}: expected the same shape")
    if tuple(codes.shape) != shape[:-1] or codes.dtype.kind not in "iu":
        raise ValueError(
            f"codes are an array of {codes.dtype} and shape {tuple(codes.shape)}, expected whole numbers {shape[:-1]}"
        )
    if tuple(negatives.shape[:-1]) != shape[:-1]:
        raise ValueError(f"negatives have shape {tuple(negatives.shape)}, expected {(*shape[:-1], 'negatives')}")
    if tuple(counted.shape) != shape[:-1] or counted.dtype != bool:
        raise ValueError(
            f"counted is an array of {counted.dtype} and shape {tuple(counted.shape)}, expected booleans {shape[:-1]}"
        )
    rows = targets[..., 0].size
    check_ids(negatives, rows, "negatives", "there are {rows} targets, counted from 0 over the whole batch")
