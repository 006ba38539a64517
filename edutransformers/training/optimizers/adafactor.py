"""Adafactor: Adam's memory for a matrix in one row and one column."""

from __future__ import annotations

import math

import numpy as np

from ...backend import Array, array_module
from ...module import Parameter
from . import chunks
from .base import Kept, Optimizer
from .chunks import in_threads, threads_for, writable_flat
from .elementwise import check_settings


class Adafactor(Optimizer):
    """Adafactor (Shazeer & Stern 2018). Equal to the original's `Adafactor`.

    Adam keeps a running mean v of g² for every weight. For a matrix (R, C), Adafactor keeps only the means of its rows
    and of its columns and takes v to be what they make together:

        r ← β r + (1 − β) mean over columns of (g² + ε₁)       (R,)
        c ← β c + (1 − β) mean over rows of (g² + ε₁)          (C,)
        v_ij = r_i c_j / mean(r)                               exact if g² is a column times a row

    β = 1 − t^decay_rate begins at 0 and grows towards 1: no hats are needed. Vectors keep all of v, as in Adam. Then

        u = g / √v
        u ← u / max(1, RMS(u) / clip_threshold)                RMS(u) = √(mean of u²): no update is out of proportion
        w ← w − λ lr_t w − lr_t u                              λ = weight_decay

    lr               with scale_parameter, lr_t = lr · max(ε₂, RMS(w)): the step in proportion to the weights
    relative_step    lr must be None; the step's lr is min(0.01, 1/√t), with warmup_init min(10⁻⁶ t, 1/√t)
    eps              (ε₁, ε₂)
    clip_threshold, decay_rate, scale_parameter, warmup_init, weight_decay   as above; the original's defaults
    beta1            m ← β₁ m + (1 − β₁) lr_t u in place of lr_t u, at the price of an array as large as the weights
    threads          as in AdamW

    With relative_step there is no learning rate to schedule: `AdafactorSchedule` reports what it is.

    Keeps r and c: 4 (R + C) bytes for a float32 matrix, next to nothing. An array of more axes is a stack of matrices
    over its last two.
    """

    def __init__(
        self,
        params,
        lr=None,
        eps=(1e-30, 1e-3),
        clip_threshold=1.0,
        decay_rate=-0.8,
        beta1=None,
        weight_decay=0.0,
        scale_parameter=True,
        relative_step=True,
        warmup_init=False,
        threads=None,
    ):
        defaults = {"lr": lr, "eps": tuple(eps), "clip_threshold": clip_threshold, "decay_rate": decay_rate}
        defaults.update(beta1=beta1, weight_decay=weight_decay, scale_parameter=scale_parameter)
        super().__init__(params, {**defaults, "relative_step": relative_step, "warmup_init": warmup_init})
        self.threads = threads

    def check(self, settings):
        check_settings(self, settings, "weight_decay")
        lr, relative = settings["lr"], settings["relative_step"]
        if relative and lr is not None:
            raise ValueError(f"Adafactor: lr={lr} with relative_step=True, which makes its own; give one of the two")
        if not relative and (lr is None or not lr >= 0):
            raise ValueError(f"Adafactor: lr is {lr} with relative_step=False, expected a number from 0 up")
        if settings["warmup_init"] and not relative:
            raise ValueError("Adafactor: warmup_init=True warms up the relative step, but relative_step is False")
        if len(settings["eps"]) != 2 or not all(eps >= 0 for eps in settings["eps"]):
            raise ValueError(f"Adafactor: eps is {settings['eps']}, expected two numbers from 0 up")
        if not settings["clip_threshold"] > 0:
            raise ValueError(f"Adafactor: clip_threshold is {settings['clip_threshold']}, expected a number above 0")
        if not settings["decay_rate"] <= 0:
            raise ValueError(f"Adafactor: decay_rate is {settings['decay_rate']}, expected a number up to 0, as -0.8")
        if settings["beta1"] is not None and not 0 <= settings["beta1"] < 1:
            raise ValueError(f"Adafactor: beta1 is {settings['beta1']}, expected None or a number from 0 up, below 1")

    def remembers(self, parameter, group):
        shape, dtype = parameter.shape, parameter.dtype
        arrays = {} if group["beta1"] is None else {"exp_avg": Kept(shape, dtype)}
        if len(shape) < 2:
            return {**arrays, "exp_avg_sq": Kept(shape, dtype)}
        row, column = Kept(shape[:-1], dtype), Kept(shape[:-2] + shape[-1:], dtype)
        return {**arrays, "exp_avg_sq_row": row, "exp_avg_sq_col": column}

    def learning_rate(self, group: dict, state: dict):
        """lr_t of the step that was made last."""
        lr = group["lr"]
        if group["relative_step"]:
            step = state["step"]
            lr = min(1e-6 * step if group["warmup_init"] else 1e-2, 1 / math.sqrt(step))
        return lr * _at_least(group["eps"][1], state["RMS"]) if group["scale_parameter"] else lr

    def step(self):
        jobs = []
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    state = self.state_of(parameter, group)
                    state["step"] += 1
                    jobs.append((parameter, group, state))
        if not jobs:
            return
        jobs.sort(key=lambda job: -job[0].size)  # the large ones first, so that no thread is left with one at the end
        threads = threads_for(array_module(jobs[0][0].data), sum(job[0].size for job in jobs), self.threads)
        in_threads(lambda job: self._step_of(*job), jobs, threads)

    def _step_of(self, parameter: Parameter, group: dict, state: dict) -> None:
        """Three passes over the parameter in blocks: means of g², RMS of the update, step."""
        xp, shape = array_module(parameter.data), _as_matrices(parameter.shape)  # (L, R, C)
        w, g = writable_flat(parameter).reshape(shape), parameter.grad.reshape(shape)
        blocks = _blocks(shape, xp)
        buffer = xp.empty(max(w[block].size for block in blocks), dtype=w.dtype)
        scratch = [buffer[: w[block].size].reshape(w[block].shape) for block in blocks]

        beta, sum_of_w = 1 - state["step"] ** float(group["decay_rate"]), 0.0
        squares = (_Factored if len(parameter.shape) >= 2 else _Whole)(state, shape, beta, float(group["eps"][0]))
        for block, square in zip(blocks, scratch):
            xp.multiply(g[block], g[block], out=square)
            squares.add(block, square)
            sum_of_w = sum_of_w + _sum_of_squares(w[block])
        state["RMS"] = (sum_of_w / w.size) ** 0.5
        lr = self.learning_rate(group, state)

        factors = squares.factors()  # their product is 1/√v

        def update(block, out):
            xp.multiply(g[block], _part(factors[0], block), out=out)
            for factor in factors[1:]:
                out *= _part(factor, block)
            return out

        sum_of_u = sum(_sum_of_squares(update(block, u)) for block, u in zip(blocks, scratch))
        shrink = _at_least(1.0, (sum_of_u / w.size) ** 0.5 / group["clip_threshold"])
        for block, u in zip(blocks, scratch):
            update(block, u)
            u *= lr / shrink
            part = w[block]
            if group["beta1"] is not None:
                mean = state["exp_avg"].reshape(shape)[block]
                u *= 1 - group["beta1"]
                mean *= group["beta1"]
                mean += u
                u = mean
            if group["weight_decay"]:
                part *= 1 - group["weight_decay"] * lr
            part -= u


class _Factored:
    """r and c of a stack of matrices."""

    def __init__(self, state: dict, shape: tuple, beta: float, eps: float):
        stack, rows, columns = shape
        self.rows = state["exp_avg_sq_row"].reshape(stack, rows)
        self.columns = state["exp_avg_sq_col"].reshape(stack, columns)
        self.beta, self.eps, self.height = beta, eps, rows
        self.columns *= beta
        self.columns += (1 - beta) * eps

    def add(self, block, square) -> None:
        rows, columns = self.rows[block], self.columns[block[0]]
        rows *= self.beta
        rows += (1 - self.beta) * (square.mean(axis=2) + self.eps)
        columns += (1 - self.beta) / self.height * square.sum(axis=1)

    def factors(self):
        """1/√v = √(mean(r) / r) · 1/√c"""
        rows = self.rows.mean(axis=1, keepdims=True) / self.rows
        return (1 / self.columns**0.5)[:, None, :], (rows**0.5)[:, :, None]


class _Whole:
    """v of a vector, which is one block."""

    def __init__(self, state: dict, shape: tuple, beta: float, eps: float):
        self.v, self.beta, self.eps = state["exp_avg_sq"].reshape(shape), beta, eps

    def add(self, block, square) -> None:
        square += self.eps
        square *= 1 - self.beta
        self.v *= self.beta
        self.v += square

    def factors(self):
        return (1 / self.v**0.5,)


def _as_matrices(shape: tuple) -> tuple[int, int, int]:
    """(L, R, C): a stack of matrices. A vector is one row."""
    rows, columns = ((1, *shape) if len(shape) else (1, 1))[-2:]
    return math.prod(shape[:-2]), rows, columns


def _blocks(shape: tuple[int, int, int], xp) -> list[tuple[slice, slice]]:
    """Which matrices, and which of their rows: blocks of whole rows for the cache; on a GPU, one block."""
    stack, rows, columns = shape
    if xp is not np:
        return [(slice(0, stack), slice(0, rows))]
    height = max(1, min(rows, chunks.CHUNK // max(1, columns)))
    depth = max(1, chunks.CHUNK // max(1, rows * columns))
    return [
        (slice(first, first + depth), slice(row, min(row + height, rows)))
        for first in range(0, stack, depth)
        for row in range(0, rows, height)
    ]


def _part(factor: Array, block) -> Array:
    """What of a factor belongs to a block: factors have one row, or as many as the matrix."""
    return factor[block[0]] if factor.shape[1] == 1 else factor[block]


def _sum_of_squares(x: Array):
    """Σ x²: a Python float, or on a GPU an array with one number that stays there."""
    flat = x.reshape(-1)
    total = array_module(x).vdot(flat, flat)
    return float(total) if isinstance(x, np.ndarray) else total


def _at_least(low: float, x):
    """max(low, x) for a number, or for an array on the GPU without waiting for it."""
    return max(low, x) if isinstance(x, float) else array_module(x).maximum(x, low)
