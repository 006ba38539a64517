"""Telling a transformer where a token stands: learned positions in a row or a grid, sinusoidal and relative ones."""

from typing import NamedTuple

import numpy as np

from ..backend import Array, array_module, as_array_like
from ..functional.embedding import embedding
from ..functional.interpolation import interpolate, interpolate_backward
from ..module import Buffer, Module, Parameter, keep, normal_
from .embedding import WRONG_POSITION, Embedding, check_ids


class LearnedPositions(Embedding):
    """A learned vector for each position 0 … P−1: an Embedding whose ids are positions.   ids (…) -> (…, D)"""

    wrong_id = WRONG_POSITION


class GridPositions(Module):
    """A learned vector for each place of a grid, row by row, behind `extra` tokens; at any size of the grid.

        y = W                                          for the grid (h, w) that the weight was made for
        y = [W[:extra], bicubic(W[extra:], h′, w′)]    for another (Dosovitskiy et al. 2020, section 3.2)

    `weight` is (1, extra + h·w, D), y (1, extra + h′·w′, D).
    """

    def __init__(self, grid: tuple[int, int], width: int, extra: int = 1, generator=None):
        self.grid = grid
        self.extra = extra
        self.weight = Parameter(np.zeros((1, extra + grid[0] * grid[1], width), dtype=np.float32))
        self.initialize_now(generator)

    def initialize(self, generator, std=0.02):
        normal_(self.weight, generator, std)

    def forward(self, grid: tuple[int, int]):
        y = self.weight.data
        if grid != self.grid:
            places = interpolate(_as_picture(y[:, self.extra :], self.grid), grid, "bicubic")
            y = array_module(y).concatenate([y[:, : self.extra], _as_rows(places)], axis=1)
        return y, keep(grid)

    def backward(self, dy, cache):
        """dy (1, extra + h′·w′, D). Sizes have no gradient, so nothing is returned."""
        (grid,) = cache
        if grid == self.grid:
            self.weight.accumulate(dy.copy())
            return
        dplaces = interpolate_backward(_as_picture(dy[:, self.extra :], grid), self.grid, "bicubic")
        xp = array_module(dy)
        self.weight.accumulate(xp.concatenate([dy[:, : self.extra], _as_rows(dplaces)], axis=1))

    def extra_repr(self):
        rows, columns = self.grid
        return f"{self.extra} + {rows}×{columns} places of {self.weight.shape[-1]}"


def _as_picture(x, grid):
    """(1, h·w, D) -> (1, D, h, w)"""
    return x.reshape(1, *grid, x.shape[-1]).transpose(0, 3, 1, 2)


def _as_rows(x):
    """(1, D, h, w) -> (1, h·w, D)"""
    return x.transpose(0, 2, 3, 1).reshape(1, -1, x.shape[1])


def sinusoids(positions: int, width: int, interleaved: bool = True) -> np.ndarray:
    """The fixed table of Vaswani et al. 2017, section 3.5: sines and cosines of ever longer wavelengths.

        P[t, 2i] = sin(t / 10000^(2i/D)),  P[t, 2i+1] = cos(t / 10000^(2i/D))        (positions, width) float32

    `interleaved=False` puts all sines first, then all cosines (as Marian and Pegasus checkpoints have it).
    """
    if width % 2:
        raise ValueError(f"sinusoidal positions need an even width, got {width}")
    angle = np.arange(positions)[:, None] / 10000 ** (np.arange(0, width, 2) / width)
    table = np.empty((positions, width), dtype=np.float32)
    if interleaved:
        table[:, 0::2], table[:, 1::2] = np.sin(angle), np.cos(angle)
    else:
        table[:, : width // 2], table[:, width // 2 :] = np.sin(angle), np.cos(angle)
    return table


class SinusoidalPositions(Module):
    """Fixed sinusoids by position. Nothing is learned.   ids (…) -> (…, D)"""

    def __init__(self, positions: int, width: int, interleaved: bool = True):
        self.table = Buffer(sinusoids(positions, width, interleaved), persistent=False)

    def forward(self, ids):
        table = self.table.data
        check_ids(ids, len(table), "ids", WRONG_POSITION)
        return embedding(as_array_like(ids, table), table), keep()

    def backward(self, dy, cache):
        """The table is fixed and positions have no gradient: nothing to do, nothing to return."""


class RelativeCache(NamedTuple):
    q: Array
    k: Array
    distance: Array  # (T, S) rows of the table
    vectors: Array  # (T, S, K)


class RelativePositions(Module):
    """BERT's relative positions (Shaw et al. 2018; Huang et al. 2020, methods 3 and 4): a bias for attention scores.

    Every distance t − s from −(P−1) to P−1 has a learned vector E[t − s + P − 1] of a head's width, and

        "relative_key":        bias[t, s] = q[t] · E[t − s]
        "relative_key_query":  bias[t, s] = q[t] · E[t − s] + k[s] · E[t − s]

    q (B, H, T, K), k (B, H, S, K) -> bias (B, H, T, S), to be added to q kᵀ before scaling. With T < S the queries are
    the last T positions (as in cached decoding).
    """

    def __init__(self, positions: int, head_width: int, kind: str, generator=None):
        if kind not in ("relative_key", "relative_key_query"):
            raise ValueError(f"unknown relative positions {kind!r}: expected 'relative_key' or 'relative_key_query'")
        self.kind = kind
        self.positions = positions
        self.weight = Parameter(np.zeros((2 * positions - 1, head_width), dtype=np.float32))
        self.initialize_now(generator)

    def initialize(self, generator, std=0.02):
        normal_(self.weight, generator, std)

    def forward(self, q, k):
        xp = array_module(q)
        T, S = q.shape[2], k.shape[2]
        limit = self.positions
        if limit < S:
            raise ValueError(f"{S} tokens, but this model has relative positions for {self.positions}")
        distance = xp.arange(S - T, S)[:, None] - xp.arange(S)[None, :] + self.positions - 1  # (T, S)
        vectors = embedding(distance, self.weight.data)  # (T, S, K)
        # Each query t (key s) meets its own matrix of vectors: a batched product over t (over s).
        bias = _by_query(q, vectors)
        if self.kind == "relative_key_query":
            bias += _by_query(k, vectors.swapaxes(0, 1)).swapaxes(2, 3)
        return bias, keep(RelativeCache, q, k, distance, vectors)

    def backward(self, dbias, cache):
        """dbias (B, H, T, S) -> dq, dk"""
        q, k, distance, vectors = cache
        dq, dvectors = _by_query_backward(dbias, q, vectors)
        dk = array_module(k).zeros_like(k)
        if self.kind == "relative_key_query":
            dk, dvectors_of_keys = _by_query_backward(dbias.swapaxes(2, 3), k, vectors.swapaxes(0, 1))
            dvectors += dvectors_of_keys.swapaxes(0, 1)
        self.weight.accumulate_rows(distance.reshape(-1), dvectors.reshape(-1, dvectors.shape[-1]))
        return dq, dk

    def extra_repr(self):
        return f"{self.kind}, {self.positions} positions"


def _by_query(q, vectors):
    """bias[b, h, t, s] = q[b, h, t] · vectors[t, s], as T products of (B·H, K) with (K, S)."""
    B, H, T, K = q.shape
    rows = q.transpose(2, 0, 1, 3).reshape(T, B * H, K)
    bias = rows @ vectors.swapaxes(1, 2)  # (T, B·H, S)
    return bias.reshape(T, B, H, -1).transpose(1, 2, 0, 3)


def _by_query_backward(dbias, q, vectors):
    """dbias (B, H, T, S) -> dq (B, H, T, K), dvectors (T, S, K)"""
    B, H, T, K = q.shape
    rows_dbias = dbias.transpose(2, 0, 1, 3).reshape(T, B * H, -1)
    rows_q = q.transpose(2, 0, 1, 3).reshape(T, B * H, K)
    dq = (rows_dbias @ vectors).reshape(T, B, H, K).transpose(1, 2, 0, 3)
    return dq, rows_dbias.swapaxes(1, 2) @ rows_q
