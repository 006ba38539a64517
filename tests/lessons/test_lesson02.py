"""Lesson 02's checkers: linear, the layer, two of them, and gradient descent."""

import numpy as np

from edutransformers import Parameter, keep
from edutransformers.functional.linear import linear, linear_backward
from edutransformers.losses import CrossEntropyLoss
from tests.lessons.common import suite_of


def linear_in_place(x, weight, bias):
    y = x @ weight.T
    y += bias
    return y


def linear_by_loops(x, weight, bias):
    y = np.zeros((*x.shape[:-1], len(weight)))
    for place in np.ndindex(*y.shape):
        y[place] = sum(x[place[:-1]] * weight[place[-1]]) + bias[place[-1]]
    return y


def backward_by_loops(dy, x, weight):
    rows_dy, rows_x = dy.reshape(-1, dy.shape[-1]), x.reshape(-1, x.shape[-1])
    dx, dweight, dbias = np.zeros_like(rows_x), np.zeros_like(weight), np.zeros(len(weight))
    for n in range(len(rows_x)):
        for o in range(len(weight)):
            dbias[o] += rows_dy[n, o]
            for i in range(weight.shape[1]):
                dx[n, i] += rows_dy[n, o] * weight[o, i]
                dweight[o, i] += rows_dy[n, o] * rows_x[n, i]
    return dx.reshape(x.shape), dweight, dbias


def backward_by_einsum(dy, x, weight):
    rows_dy, rows_x = dy.reshape(-1, dy.shape[-1]), x.reshape(-1, x.shape[-1])
    return np.einsum("...o,oi->...i", dy, weight), np.einsum("no,ni->oi", rows_dy, rows_x), np.einsum("no->o", rows_dy)


class Weight:
    def __init__(self, data):
        self.data, self.grad = data, np.zeros_like(data)


class Layer:
    def __init__(self, weight, bias):
        self.weight, self.bias = Weight(weight), Weight(bias)
        self.weights = [self.weight, self.bias]

    def forward(self, x):
        return linear(x, self.weight.data, self.bias.data), (x,)

    def backward(self, dy, cache):
        dx, dweight, dbias = linear_backward(dy, cache[0], self.weight.data)
        self.add(dweight, dbias)
        return dx

    def add(self, dweight, dbias):
        self.weight.grad += dweight
        self.bias.grad += dbias


class LayerWithDictionaries(Layer):
    def forward(self, x):
        return x @ self.weight.data.T + self.bias.data, {"x": x.copy()}

    def backward(self, dy, cache):
        self.weight.grad = self.weight.grad + np.tensordot(dy, cache["x"], [range(dy.ndim - 1)] * 2)
        self.bias.grad = self.bias.grad + dy.reshape(-1, dy.shape[-1]).sum(axis=0)
        return np.einsum("...o,oi->...i", dy, self.weight.data)


class LayerInFloat32(Layer):
    def forward(self, x):
        y, cache = super().forward(x.astype("float32"))
        return y.astype("float32"), cache


class LayerOfParameters(Layer):
    """With the library's own Parameter and keep."""

    def __init__(self, weight, bias):
        self.weight, self.bias = Parameter(weight), Parameter(bias)
        self.weight.grad, self.bias.grad = np.zeros_like(weight), np.zeros_like(bias)

    def forward(self, x):
        return linear(x, self.weight.data, self.bias.data), keep(x)

    def add(self, dweight, dbias):
        self.weight.accumulate(dweight)
        self.bias.accumulate(dbias)


class Assigning(Layer):
    def add(self, dweight, dbias):
        self.weight.grad = dweight
        self.bias.grad = dbias


class BiasAssigning(Layer):
    def add(self, dweight, dbias):
        self.weight.grad += dweight
        self.bias.grad = dbias


class Remembering(Layer):
    def forward(self, x):
        self.x = x
        return linear(x, self.weight.data, self.bias.data), None

    def backward(self, dy, cache):
        return super().backward(dy, (self.x,))


class Forgetting(Layer):
    def add(self, dweight, dbias):
        pass


class Subtracting(Layer):
    def add(self, dweight, dbias):
        super().add(-dweight, -dbias)


class Replacing(Layer):
    def add(self, dweight, dbias):
        self.weight, self.bias = dweight, dbias


class WithoutBias(Layer):
    def forward(self, x):
        return x @ self.weight.data.T, (x,)


class ReturningAll(Layer):
    def backward(self, dy, cache):
        return linear_backward(dy, cache[0], self.weight.data)


class ReturningNothing(Layer):
    def backward(self, dy, cache):
        super().backward(dy, cache)


class WithoutCache(Layer):
    def forward(self, x):
        return super().forward(x)[0]


class WritingIntoX(Layer):
    def forward(self, x):
        kept = x.copy()
        x *= 2
        return linear(kept, self.weight.data, self.bias.data), (kept,)


class Descending(Layer):
    """Takes its step in backward: right once, but the weights have changed."""

    def backward(self, dy, cache):
        dx = super().backward(dy, cache)
        self.weight.data -= 0.1 * self.weight.grad
        return dx


class IntoData(Layer):
    def add(self, dweight, dbias):
        self.weight.data += dweight
        self.bias.data += dbias


class CacheFirst(Layer):
    def forward(self, x):
        return x, super().forward(x)[0]


class WithoutData(Layer):
    def forward(self, x):
        return x @ self.weight.T + self.bias, (x,)


class Network:
    def __init__(self, first, second):
        self.first, self.second = first, second
        self.weights = [*first.weights, *second.weights]

    def forward(self, x):
        h, first_cache = self.first.forward(x)
        y, second_cache = self.second.forward(self.relu(h))
        return y, (first_cache, h, second_cache)

    def relu(self, h):
        return np.maximum(h, 0)

    def backward(self, dy, cache):
        first_cache, h, second_cache = cache
        da = self.second.backward(dy, second_cache)
        return self.first.backward(self.through(da, h), first_cache)

    def through(self, da, h):
        return da * (h > 0)


class NetworkOfMasks(Network):
    def forward(self, x):
        h, first_cache = self.first.forward(x)
        mask = h > 0
        h *= mask
        y, second_cache = self.second.forward(h)
        return y, [first_cache, mask, second_cache]


class NetworkOfWhere(Network):
    def relu(self, h):
        return np.where(h > 0, h, 0.0).astype("float32")

    def through(self, da, h):
        da[h <= 0] = 0
        return da


def variant(**methods):
    return type("Variant", (Network,), methods)


class MaskOnSelf(Network):
    def forward(self, x):
        y, cache = super().forward(x)
        self.h = cache[1]
        return y, cache

    def through(self, da, h):
        return da * (self.h > 0)


class Half(Network):
    def backward(self, dy, cache):
        return self.through(self.second.backward(dy, cache[2]), cache[1])


def descent(network, x, labels, learning_rate, steps, back=True, sign=-1, after=False, once=False, rate=None, dL=1.0):
    losses, function = [], CrossEntropyLoss()
    for _ in range(steps):
        scores, cache = network.forward(x)
        loss, loss_cache = function.forward(scores, labels)
        network.backward(function.backward(loss if dL is None else dL, loss_cache), cache)
        for weight in network.weights[: 1 if once else None]:
            weight.data += sign * (rate or learning_rate) * weight.grad
        if after:
            loss = function(network.forward(x)[0], labels)
        losses.append(loss)
        if back:
            for weight in network.weights:
                weight.grad = np.zeros_like(weight.grad)
    return losses


def descent_with_new_arrays(network, x, labels, learning_rate, steps):
    losses, function = [], CrossEntropyLoss()
    for _ in range(steps):
        for weight in network.weights:
            weight.grad[...] = 0
        scores, cache = network.forward(x)
        loss, loss_cache = function.forward(scores, labels)
        losses.append(float(loss))
        network.backward(function.backward(1.0, loss_cache), cache)
        for weight in network.weights:
            weight.data = weight.data - learning_rate * weight.grad
    return losses


def nothing_learned(network, x, labels, learning_rate, steps):
    return [CrossEntropyLoss()(network.forward(x)[0], labels) for _ in range(steps)]


def without_biases(network, x, labels, learning_rate, steps):
    network.weights = [weight for weight in network.weights if weight.data.ndim == 2]
    return descent(network, x, labels, learning_rate, steps)


def last_step_missing(network, x, labels, learning_rate, steps):
    losses = descent(network, x, labels, learning_rate, steps - 1)
    return [*losses, CrossEntropyLoss()(network.forward(x)[0], labels)]


RIGHT = {
    "linear_forward": {
        "the library's": linear,
        "in place": linear_in_place,
        "loops": linear_by_loops,
        "float32": lambda x, weight, bias: linear(*(array.astype("float32") for array in (x, weight, bias))),
        "einsum": lambda x, weight, bias: bias + np.einsum("...i,oi->...o", x, weight),
    },
    "linear_backward": {
        "the library's": linear_backward,
        "loops": backward_by_loops,
        "einsum": backward_by_einsum,
        "float32, a list": lambda *arrays: list(linear_backward(*(array.astype("float32") for array in arrays))),
    },
    "linear_layer": {
        "a tuple for a cache": Layer,
        "a dictionary, new arrays": LayerWithDictionaries,
        "float32": LayerInFloat32,
        "the library's parameters": LayerOfParameters,
    },
    "two_layers": {
        "the formula": Network,
        "a mask, in place": NetworkOfMasks,
        "where, and float32": NetworkOfWhere,
    },
    "gradient_descent": {
        "zeros at the end": descent,
        "new arrays": descent_with_new_arrays,
        "an array of losses, float32": lambda *arguments: np.array(descent(*arguments), dtype="float32"),
    },
}

WRONG = {
    "linear_forward": {
        "no bias": (lambda x, weight, bias: x @ weight.T, "the bias isn't added"),
        "times the bias": (lambda x, weight, bias: x @ weight.T * bias, "multiplied, not added"),
        "untransposed": (lambda x, weight, bias: x @ weight + bias, "stopped with ValueError"),
        "untransposed if it fits": (
            lambda x, weight, bias: (x @ weight if weight.shape == (3, 3) else x @ weight.T) + bias,
            "the weight is (O, I)",
        ),
        "without its batch": (
            lambda x, weight, bias: linear(x.reshape(-1, x.shape[-1]), weight, bias), "only their arrangement isn't",
        ),
    },
    "linear_backward": {
        "dW transposed": (lambda dy, x, w: _replaced(1, linear_backward(dy, x, w)[1].T, dy, x, w), "transposed"),
        "dW a mean": (
            lambda dy, x, w: _replaced(1, linear_backward(dy, x, w)[1] * x.shape[-1] / x.size, dy, x, w), "a mean",
        ),
        "dW over the first axis only": (
            lambda dy, x, w: _replaced(1, np.einsum("b...o,b...i->...oi", dy, x), dy, x, w), "that sum is missing",
        ),
        "db a mean": (lambda dy, x, w: _replaced(2, dy.mean(axis=tuple(range(dy.ndim - 1))), dy, x, w), "a mean"),
        "db without its sum": (lambda dy, x, w: _replaced(2, dy, dy, x, w), "the sum over the rows is missing"),
        "db = 1": (lambda dy, x, w: _replaced(2, np.ones(len(w)), dy, x, w), "dy multiplies it"),
        "db of the first axis only": (
            lambda dy, x, w: _replaced(2, dy.sum(axis=0), dy, x, w), "summed over its first axes",
        ),
        "db with its axis": (
            lambda dy, x, w: _replaced(2, dy.reshape(-1, len(w)).sum(axis=0, keepdims=True), dy, x, w), "arrangement",
        ),
        "another order": (
            lambda dy, x, w: (lambda dx, dw, db: (dw, db, dx))(*linear_backward(dy, x, w)), "the order is dx, dweight",
        ),
        "dx alone": (lambda dy, x, w: dy @ w, "but one was returned"),
        "dx transposed": (
            lambda dy, x, w: _replaced(0, dy @ w.T if w.shape == (3, 3) else dy @ w, dy, x, w), "so it is dy W",
        ),
    },
    "linear_layer": {
        "assigned": (Assigning, "use +="),
        "bias assigned": (BiasAssigning, "layer.bias.grad after two backward passes"),
        "on self": (Remembering, "the x of another call"),
        "nothing added": (Forgetting, "nothing was added"),
        "subtracted": (Subtracting, "gradients are added"),
        "replaced": (Replacing, "add to layer.weight.grad"),
        "no bias": (WithoutBias, "the bias isn't added"),
        "all returned": (ReturningAll, "should return dx alone"),
        "nothing returned": (ReturningNothing, "is there a `return dx`"),
        "no cache": (WithoutCache, "should return two things"),
        "x overwritten": (WritingIntoX, "wrote into x"),
        "steps of its own": (Descending, "layer.weight.data, which backward must leave as it is"),
        "added to the data": (IntoData, "it belongs into .grad"),
        "cache first": (CacheFirst, "the output comes first"),
        "a Weight for its array": (WithoutData, "its numbers are its .data"),
    },
    "two_layers": {
        "no mask": (variant(through=lambda self, da, h: da), "ReLU's backward is missing"),
        "mask of da": (variant(through=lambda self, da, h: da * (da > 0)), "*input* was positive"),
        "its value": (variant(through=lambda self, da, h: da * self.relu(h)), "multiplied by its value"),
        "turned around": (variant(through=lambda self, da, h: da * (h < 0)), "the wrong way round"),
        "absolute": (variant(relu=lambda self, h: abs(h)), "doesn't take the sign away"),
        "no ReLU": (variant(relu=lambda self, h: h), "ReLU is missing"),
        "mask on self": (MaskOnSelf, "that of another call"),
        "half way": (Half, "still has to go back through that layer"),
    },
    "gradient_descent": {
        "piling up": (lambda *arguments: descent(*arguments, back=False), "pile up"),
        "uphill": (lambda *arguments: descent(*arguments, sign=1), "goes uphill"),
        "after the step": (lambda *arguments: descent(*arguments, after=True), "note the loss before it"),
        "nothing learned": (nothing_learned, "the weights don't change"),
        "no rate": (lambda *arguments: descent(*arguments, rate=1.0), "the learning rate isn't used"),
        "dL": (lambda *arguments: descent(*arguments, dL=None), "dL is 1 here"),
        "one more": (lambda *arguments: descent(*arguments[:-1], arguments[-1] + 1), "one loss too many"),
        "one less": (lambda *arguments: descent(*arguments)[:-1], "one loss too few"),
        "the last": (lambda *arguments: descent(*arguments)[-1], "the last loss alone"),
        "the mean": (lambda *arguments: np.mean(descent(*arguments)), "the mean loss"),
        "over B": (
            lambda network, x, *others: descent(network, x, *others, rate=others[1] / len(x)), "divided by B once more",
        ),
        "no biases": (without_biases, "go through all of network.weights"),
        "no last step": (last_step_missing, "a weight after the last step"),
    },
}  # fmt: skip


def _replaced(place, value, *arrays):
    """The right gradients, one of them replaced."""
    gradients = list(linear_backward(*arrays))
    gradients[place] = value
    return tuple(gradients)


test_right, test_wrong, test_complete = suite_of(2, RIGHT, WRONG)
