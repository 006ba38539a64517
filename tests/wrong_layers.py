"""Layers with one plausible mistake each: what others shipped, and what a tired author writes. Our checks must see it.

Every entry of `WRONG` is (the layer, its inputs, its options, the promise of tests/contract.py that it breaks).
"""

import math
import threading

import numpy as np

from edutransformers import layers
from edutransformers.backend import array_module, random_keep_mask
from edutransformers.functional.activations import gelu, gelu_new
from edutransformers.functional.attention import attention, attention_backward
from edutransformers.functional.linear import linear, linear_backward
from edutransformers.functional.masks import causal_visible
from edutransformers.functional.normalization import layer_norm
from edutransformers.functional.softmax import softmax
from edutransformers.module import Module, Parameter, flatten_rows, keep
from tests import contract


class GammaOutsideTheSums(layers.LayerNorm):
    """γ taken out in front of the means: right at γ = 1, wrong everywhere else."""

    def backward(self, dy, cache):
        n, inverse_std = cache
        self.weight.accumulate((flatten_rows(dy) * flatten_rows(n)).sum(axis=0))
        self.bias.accumulate(flatten_rows(dy).sum(axis=0))
        inner = dy - dy.mean(axis=-1, keepdims=True) - n * (dy * n).mean(axis=-1, keepdims=True)
        return self.weight.data * inner * inverse_std.reshape(*dy.shape[:-1], 1)


class VarianceForgotten(layers.LayerNorm):
    """The way through the variance left out."""

    def backward(self, dy, cache):
        n, inverse_std = cache
        self.weight.accumulate((flatten_rows(dy) * flatten_rows(n)).sum(axis=0))
        self.bias.accumulate(flatten_rows(dy).sum(axis=0))
        dn = dy * self.weight.data
        return (dn - dn.mean(axis=-1, keepdims=True)) * inverse_std.reshape(*dy.shape[:-1], 1)


class GradientMissing(layers.LayerNorm):
    """β's gradient forgotten."""

    def forward(self, x):
        y, *cache = layer_norm(x, self.weight.data, self.bias.data, self.eps)
        return y, keep(*cache)

    def backward(self, dy, cache):
        bias, self.bias = self.bias, Parameter(self.bias.data)
        dx = super().backward(dy, cache)
        self.bias = bias
        return dx


class AssigningEmbedding(layers.Embedding):
    """dE[ids] = dx: of a token that occurs three times, one gradient is kept."""

    def backward(self, dy, cache):
        (ids,) = cache
        gradient = np.zeros_like(self.weight.data)
        gradient[ids.reshape(-1)] = dy.reshape(-1, dy.shape[-1])
        self.weight.accumulate(gradient)


class MaskOnSelf(layers.Dropout):
    """The mask kept on the object: all backward passes use the last one."""

    def forward(self, x, generator=None):
        self.mask = random_keep_mask(generator, x.shape, self.p, x)
        return x * self.mask / (1 - self.p), keep(None)

    def backward(self, dy, cache):
        return dy * self.mask / (1 - self.p)


class ScaleForgotten(layers.Dropout):
    """Backward without the division by 1 − p."""

    def backward(self, dy, cache):
        (mask,) = cache
        return dy * mask


class TwoGelus(Module):
    """Forward by erf, backward by tanh: the two differ by up to 5e-4."""

    def forward(self, x):
        return gelu(x), keep(gelu_new(x, derivative=True)[1])

    def backward(self, dy, cache):
        (slope,) = cache
        return dy * slope


class SoftmaxWithoutItsSum(Module):
    """dx = y ∘ dy: the sum over the row left out."""

    def forward(self, x):
        y = softmax(x)
        return y, keep(y)

    def backward(self, dy, cache):
        (y,) = cache
        return dy * y


class AssignedGradient(layers.Linear):
    """grad = …, where it must be added."""

    def backward(self, dy, cache):
        (x,) = cache
        dx, dweight, dbias = linear_backward(dy, x, self.weight.data)
        self.weight.grad = dweight
        self.bias.accumulate(dbias)
        return dx


class TransposedGradient(layers.Linear):
    """dW = xᵀ dy. With a square weight even the shape is right."""

    def backward(self, dy, cache):
        (x,) = cache
        dx, dweight, dbias = linear_backward(dy, x, self.weight.data)
        self.weight.accumulate(dweight.T.copy())
        self.bias.accumulate(dbias)
        return dx


class MeanForSum(layers.Linear):
    """The bias's gradient averaged over the rows."""

    def backward(self, dy, cache):
        (x,) = cache
        dx, dweight, dbias = linear_backward(dy, x, self.weight.data)
        self.weight.accumulate(dweight)
        self.bias.accumulate(dbias / flatten_rows(dy).shape[0])
        return dx


class ShortcutForgotten(layers.Residual):
    """The input is used twice, its gradient taken once."""

    def backward(self, dy, cache):
        return self.inner.backward(dy, cache[0])


class CausalAttention(Module):
    """Right, up to what its subclasses change."""

    def forward(self, q, k, v):
        (y, _), cache = attention(q, k, v, visible=self.visible(q, k, 0))
        return y, cache

    def visible(self, q, k, shift):
        xp = array_module(q)
        return causal_visible(q.shape[2], k.shape[2] + shift, xp)[..., shift:]

    def backward(self, dy, cache):
        return attention_backward(dy, cache)[:3]


class MaskOffByOne(CausalAttention):
    """The mask of the backward pass is one key further than the forward's."""

    def backward(self, dy, cache):
        (_, _), other = attention(cache.q, cache.k, cache.v, visible=causal_visible(4, 5)[..., :4])
        return attention_backward(dy, other)[:3]


class QueryForKey(CausalAttention):
    """dq and dk exchanged: the same shapes when there are as many queries as keys."""

    def backward(self, dy, cache):
        dq, dk, dv, _ = attention_backward(dy, cache)
        return dk, dq, dv


class ScaleOnce(CausalAttention):
    """1/√K applied forward, not backward."""

    def backward(self, dy, cache):
        dq, dk, dv, _ = attention_backward(dy, cache)
        return dq * math.sqrt(dq.shape[-1]), dk * math.sqrt(dq.shape[-1]), dv


class HeadsSwapped(layers.MultiHeadAttention):
    """merge without the transpose: heads and tokens mixed up, in the backward pass only."""

    def backward(self, dy, cache, dweights=None):
        dcontext = self.split(self.output.backward(dy, cache.output))
        dq, dk, dv, _ = attention_backward(dcontext, cache.attention)
        dx = self.query.backward(dq.reshape(dy.shape), cache.query)
        dx = dx + self.key.backward(self.merge(dk), cache.key)
        return dx + self.value.backward(self.merge(dv), cache.value)


class OutputOnly(Module):
    """Attention of which only y counts, so that dy is one array."""

    def __init__(self, inner):
        self.inner = inner

    def forward(self, x):
        (y, _), cache = self.inner.forward(x)
        return y, cache

    def backward(self, dy, cache):
        return self.inner.backward(dy, cache)


class CacheOnSelf(layers.Linear):
    """x kept on the object: a second call, or an evaluation, overwrites it."""

    def forward(self, x):
        self.x = x
        return linear(x, self.weight.data, self.bias.data), keep(None)

    def backward(self, dy, cache):
        return super().backward(dy, (self.x,))


_both_here = threading.Barrier(2)


def meet():
    """Worker threads wait for each other, so that a race is lost every time; the main thread goes on."""
    if threading.current_thread() is not threading.main_thread():
        _both_here.wait(timeout=60)


class ScratchOnSelf(layers.Linear):
    """Right in one thread: what lies on the object is used up before forward returns."""

    def forward(self, x):
        self.x = x
        meet()
        return linear(self.x, self.weight.data, self.bias.data), keep(x)


class UnlockedGradient(layers.Linear):
    """Reads grad, adds, and writes it back: another thread's addition in between is lost."""

    def backward(self, dy, cache):
        (x,) = cache
        dx, dweight, dbias = linear_backward(dy, x, self.weight.data)
        self.bias.accumulate(dbias)
        before = self.weight.grad
        meet()
        self.weight.grad = dweight if before is None else before + dweight
        return dx


class WritesIntoItsInput(layers.Residual):
    """x += f(x) saves an array and destroys the caller's."""

    def forward(self, x):
        y, cache = self.inner.forward(x)
        x += y
        return x, keep(cache)


class WritesIntoDy(layers.Linear):
    """dy scaled in place on its way."""

    def backward(self, dy, cache):
        dy *= 1.0
        return super().backward(dy, cache)


class KeepsAlways(layers.Linear):
    """A cache although nobody asked for one: inference holds all activations."""

    def forward(self, x):
        return linear(x, self.weight.data, self.bias.data), (x,)


class InferenceWithoutBias(layers.Linear):
    """A quick way for inference that is not the same."""

    def forward(self, x):
        cache = keep(x)
        return linear(x, self.weight.data, None if cache is None else self.bias.data), cache


class DrawsAgain(Module):
    """Random numbers from a generator of its own: recomputation draws others."""

    def __init__(self):
        self.own = np.random.default_rng(0)

    def forward(self, x):
        mask = random_keep_mask(self.own, x.shape, 0.5, x)
        return x * mask, keep(mask)

    def backward(self, dy, cache):
        return dy * cache[0]


class Float64Constant(layers.Linear):
    """A NumPy array as a constant: float32 becomes float64 from here on."""

    def forward(self, x):
        y, cache = super().forward(x)
        return y * np.ones(1), cache


class Float64Gradient(layers.Linear):
    """The same mistake in the backward pass."""

    def backward(self, dy, cache):
        return super().backward(dy, cache).astype("float64")


class GradientIsAView(layers.Linear):
    """One row of dy as the bias's gradient, without a copy: adding to it later changes dy."""

    def backward(self, dy, cache):
        (x,) = cache
        self.weight.accumulate(dy[:1].T @ x)
        self.bias.grad = dy[0]
        return dy @ self.weight.data


class GradientIsTheInput(Module):
    """dx and x are one array."""

    def forward(self, x):
        return x * x / 2, keep(x)

    def backward(self, dy, cache):
        (x,) = cache
        x *= dy
        return x


class NumpyOnData(Module):
    """np.tanh where array_module(x).tanh belongs."""

    def forward(self, x):
        y = np.tanh(x)
        return y, keep(y)

    def backward(self, dy, cache):
        return dy * (1 - cache[0] ** 2)


class LooksAtTheValues(Module):
    """`if x.max() > 0`: the GPU must finish everything before Python can go on."""

    def forward(self, x):
        factor = 2.0 if x.max() > 0 else 1.0
        return factor * x, keep(factor)

    def backward(self, dy, cache):
        return dy * cache[0]


class BooleanIndex(Module):
    """y[x < 0] = 0: an array whose size depends on values."""

    def forward(self, x):
        y = x.copy()
        y[x < 0] = 0
        return y, keep(x > 0)

    def backward(self, dy, cache):
        return dy * cache[0]


def floats(*shape):
    return lambda rng: (rng.standard_normal(shape),)


def qkv(rng):
    return tuple(rng.standard_normal((3, 2, 2, 4, 6)))


def nothing(rng):
    return {}


def a_generator(rng):
    return {"generator": rng}


LINEAR = floats(3, 4)
WRONG = [
    (lambda: GammaOutsideTheSums(4), LINEAR, nothing, contract.gradients_are_the_differences),
    (lambda: VarianceForgotten(4), LINEAR, nothing, contract.gradients_are_the_differences),
    (lambda: GradientMissing(4), LINEAR, nothing, contract.gradients_are_the_differences),
    (lambda: AssigningEmbedding(5, 3), lambda rng: (np.array([[1, 3, 1]]),), nothing,
     contract.gradients_are_the_differences),
    (lambda: MaskOnSelf(0.5), LINEAR, a_generator, contract.two_calls_before_their_backward),
    (lambda: ScaleForgotten(0.5), LINEAR, a_generator, contract.gradients_are_the_differences),
    (TwoGelus, LINEAR, nothing, contract.gradients_are_the_differences),
    (SoftmaxWithoutItsSum, LINEAR, nothing, contract.gradients_are_the_differences),
    (lambda: AssignedGradient(4, 3), LINEAR, nothing, contract.two_calls_before_their_backward),
    (lambda: TransposedGradient(4, 4), LINEAR, nothing, contract.gradients_are_the_differences),
    (lambda: TransposedGradient(4, 3), LINEAR, nothing, contract.gradients_are_the_differences),
    (lambda: MeanForSum(4, 3), LINEAR, nothing, contract.gradients_are_the_differences),
    (lambda: ShortcutForgotten(layers.Linear(4, 4)), LINEAR, nothing, contract.gradients_are_the_differences),
    (MaskOffByOne, qkv, nothing, contract.gradients_are_the_differences),
    (QueryForKey, qkv, nothing, contract.gradients_are_the_differences),
    (ScaleOnce, qkv, nothing, contract.gradients_are_the_differences),
    (lambda: OutputOnly(HeadsSwapped(6, 2)), floats(2, 3, 6), nothing, contract.gradients_are_the_differences),
    (lambda: CacheOnSelf(4, 3), LINEAR, nothing, contract.two_calls_before_their_backward),
    (lambda: ScratchOnSelf(4, 3), LINEAR, nothing, contract.threads_add_up),
    (lambda: UnlockedGradient(4, 3), LINEAR, nothing, contract.threads_add_up),
    (lambda: WritesIntoItsInput(layers.Linear(4, 4)), LINEAR, nothing, contract.inputs_stay_untouched),
    (lambda: WritesIntoDy(4, 3), LINEAR, nothing, contract.inputs_stay_untouched),
    (lambda: KeepsAlways(4, 3), LINEAR, nothing, contract.inference_gives_the_same_output),
    (lambda: InferenceWithoutBias(4, 3), LINEAR, nothing, contract.inference_gives_the_same_output),
    (DrawsAgain, LINEAR, nothing, contract.recomputing_gives_the_same_gradients),
    (lambda: Float64Constant(4, 3), LINEAR, nothing, contract.float32_stays_float32),
    (lambda: Float64Gradient(4, 3), LINEAR, nothing, contract.float32_stays_float32),
    (lambda: GradientIsAView(4, 3), floats(1, 4), nothing, contract.gradients_own_their_memory),
    (GradientIsTheInput, LINEAR, nothing, contract.gradients_own_their_memory),
    (NumpyOnData, LINEAR, nothing, contract.the_device_gives_the_same_numbers),
    (LooksAtTheValues, LINEAR, nothing, contract.the_device_gives_the_same_numbers),
    (BooleanIndex, LINEAR, nothing, contract.the_device_gives_the_same_numbers),
]  # fmt: skip
