"""Lesson 02: linear and the chain rule."""

import numpy as np

from ...functional.linear import linear, linear_backward
from ...losses import CrossEntropyLoss
from ..checker import call, draw, draw_integers, exercise, holds, same, same_all


@exercise(lesson=2)
def check_linear_forward(answer):
    for shape, outputs in (((3, 4), 2), ((2, 5, 3), 4), ((1, 4), 3), ((2, 3), 3)):
        x, weight, bias = draw(*shape), draw(outputs, shape[-1]), draw(outputs)
        same(
            call(answer, x, weight, bias),
            linear(x, weight, bias),
            "linear_forward(x, weight, bias)",
            mistakes={
                "the bias isn't added": linear(x, weight),
                "the bias is subtracted": linear(x, weight, -bias),
                "the bias is multiplied, not added": linear(x, weight) * bias,
                "the weight is (O, I), so it must be transposed: `x @ weight` only fits where O = I": (
                    lambda x=x, weight=weight, bias=bias: x @ weight + bias if len(weight) == x.shape[-1] else np.nan
                ),
            },
            sizes={"I": shape[-1]},
        )


@exercise(lesson=2)
def check_linear_backward(answer):
    for shape, outputs in (((5, 4), 3), ((2, 3, 5), 4), ((1, 2), 3), ((4, 3), 3)):
        x, weight, dy = draw(*shape), draw(outputs, shape[-1]), draw(*shape[:-1], outputs)
        dx, dweight, dbias = linear_backward(dy, x, weight)
        rows = x.size // x.shape[-1]
        square = outputs == x.shape[-1]
        same_all(
            call(answer, dy, x, weight),
            {"dx": dx, "dweight": dweight, "dbias": dbias},
            mistakes={
                "dx": {
                    "the weight is transposed: dx sums over o, so it is dy W": (
                        lambda dy=dy, weight=weight, square=square: dy @ weight.T if square else np.nan
                    ),
                    "that is dweight: the order is dx, dweight, dbias": dweight,
                },
                "dweight": {
                    "it is what is expected, transposed: dweight has the shape of weight, (O, I)": dweight.T,
                    "the sum over the rows became a mean; a mean's 1/N is in dy already": dweight / rows,
                    "that is dbias: the order is dx, dweight, dbias": dbias,
                },
                "dbias": {
                    "the sum over the rows became a mean; a mean's 1/N is in dy already": dbias / rows,
                    "the sum is over the outputs; it is over the rows": dy.reshape(rows, -1).sum(axis=1),
                    "that is 1 for every output: ∂y/∂b is 1, but dy multiplies it": np.ones(outputs),
                    "the sum over the rows is missing: one bias serves all of them": dy,
                },
            },
            sizes={"N": rows, "B": shape[0], "I": shape[-1], "O": outputs},
        )


class _Weight:
    """What the lesson calls Weight."""

    def __init__(self, data):
        self.data, self.grad = data, np.zeros_like(data)


class _Layer:
    """A right LinearLayer, for the exercises that build on one."""

    def __init__(self, weight, bias):
        self.weight, self.bias = _Weight(weight), _Weight(bias)
        self.weights = [self.weight, self.bias]

    def forward(self, x):
        return linear(x, self.weight.data, self.bias.data), x

    def backward(self, dy, cache):
        dx, dweight, dbias = linear_backward(dy, cache, self.weight.data)
        self.weight.grad += dweight
        self.bias.grad += dbias
        return dx


class _Network:
    """A right TwoLayers."""

    def __init__(self, first, second):
        self.first, self.second = first, second
        self.weights = [*first.weights, *second.weights]

    def forward(self, x):
        h, first_cache = self.first.forward(x)
        y, second_cache = self.second.forward(np.maximum(h, 0))
        return y, (first_cache, h > 0, second_cache)

    def backward(self, dy, cache):
        first_cache, positive, second_cache = cache
        return self.first.backward(self.second.backward(dy, second_cache) * positive, first_cache)


def _forward(layer, x, name):
    """layer.forward(x) -> y, cache. Says so if it returns something else, or writes into x."""
    given = x.copy()
    result = call(lambda x: layer.forward(given), x)
    holds(
        isinstance(result, tuple) and len(result) == 2,
        f"{name}.forward(x) should return two things, the output and the cache: `return y, cache`",
    )
    holds(
        np.array_equal(given, x),
        f"{name}.forward(x) wrote into x\n  → x belongs to the caller, who may need it: make a new array",
    )
    return result


@exercise(lesson=2)
def check_linear_layer(answer):
    for shape, outputs in (((3, 4), 5), ((2, 3, 5), 4)):
        _check_linear_layer(answer, shape, outputs)


def _check_linear_layer(answer, shape, outputs):
    weight, bias = draw(outputs, shape[-1]), draw(outputs)
    layer = call(answer, weight, bias)
    xs, dys = draw(2, *shape), draw(2, *shape[:-1], outputs)
    caches = []
    for x in xs:  # called twice before any backward, as a shared layer is
        y, cache = _forward(layer, x, "layer")
        swapped = "that is x: the output comes first, `return y, cache`"
        same(y, linear(x, weight, bias), "the output", {"the bias isn't added": linear(x, weight), swapped: x})
        caches.append(cache)
    rights = [linear_backward(dy, x, weight) for dy, x in zip(dys, xs)]
    _, of_other, _ = linear_backward(dys[0], xs[1], weight)
    for dy, cache, (dx, _, _) in zip(dys, caches, rights):
        got = call(lambda dy, cache=cache: _nothing_as_false(layer.backward(dy, cache)), dy)
        holds(
            not isinstance(got, (tuple, list)),
            "backward(dy, cache) should return dx alone: the gradients of weight and bias are added to their .grad",
        )
        holds(got is not False, "backward(dy, cache) returned None: is there a `return dx` in it?")
        same(got, dx, "dx")
        _check_still_weights(layer)
        same(
            layer.weight.data,
            weight,
            "layer.weight.data, which backward must leave as it is,",
            {"the gradient was added to .data; it belongs into .grad": weight + rights[0][1]},
        )
        if cache is caches[0]:
            _check_gradients(layer, rights[0], "after one backward pass", of_other)
    (_, first_weight, first_bias), (_, second_weight, second_bias) = rights
    assigned = "it was assigned, not added: the second backward pass wiped out what the first had found; use +="
    same(
        layer.weight.grad,
        first_weight + second_weight,
        "layer.weight.grad after two backward passes",
        {assigned: second_weight},
    )
    same(
        layer.bias.grad,
        first_bias + second_bias,
        "layer.bias.grad after two backward passes",
        {assigned: second_bias},
    )


def _nothing_as_false(result):
    return False if result is None else result


def _check_still_weights(layer):
    for name, weight in (("weight", layer.weight), ("bias", layer.bias)):
        holds(
            hasattr(weight, "grad"),
            f"layer.{name} is {type(weight).__name__} after backward: it was replaced\n  → add to layer.{name}.grad",
        )


def _check_gradients(layer, right, when, of_other):
    _, dweight, dbias = right
    nothing = "nothing was added to it"
    subtracted = "it was subtracted: gradients are added, the step downhill comes later"
    same(
        layer.weight.grad,
        dweight,
        f"layer.weight.grad {when}",
        mistakes={
            nothing: np.zeros_like(dweight),
            subtracted: -dweight,
            "it is what is expected, transposed: a gradient has the shape of its weight, (O, I)": dweight.T,
            "that is dy with the x of another call: keep x in the cache that forward returns, not on self": of_other,
        },
    )
    same(
        layer.bias.grad,
        dbias,
        f"layer.bias.grad {when}",
        mistakes={nothing: np.zeros_like(dbias), subtracted: -dbias},
    )


@exercise(lesson=2)
def check_two_layers(answer):
    for B, inputs, hidden, outputs in ((3, 4, 6, 2), (5, 3, 7, 4)):
        _check_two_layers(answer, B, inputs, hidden, outputs)


def _check_two_layers(answer, B, inputs, hidden, outputs):
    arrays = draw(hidden, inputs), draw(hidden), draw(outputs, hidden), draw(outputs)
    right = _Network(_Layer(*arrays[:2]), _Layer(*arrays[2:]))
    network = call(answer, _Layer(*arrays[:2]), _Layer(*arrays[2:]))
    xs, dys = draw(2, B, inputs), draw(2, B, outputs)
    pairs = []
    for x in xs:
        y, cache = _forward(network, x, "network")
        wanted, right_cache = right.forward(x)
        h, _ = right.first.forward(x)
        same(
            y,
            wanted,
            "the output",
            mistakes={
                "ReLU is missing between the layers": right.second.forward(h)[0],
                "ReLU doesn't take the sign away, it makes 0 of negative numbers": right.second.forward(np.abs(h))[0],
                "that is h, the first layer's output: it goes through ReLU and the second layer": h,
                "ReLU is applied to the output, too: scores may be negative": np.maximum(wanted, 0),
                "ReLU is applied to x, not to the first layer's output": (
                    lambda x=x: right.second.forward(right.first.forward(np.maximum(x, 0))[0])[0]
                ),
            },
        )
        pairs.append((cache, right_cache, h))
    for number, dy in enumerate(dys):
        cache, right_cache, h = pairs[number]
        other = pairs[1 - number][2]
        w1, w2 = arrays[0], arrays[2]
        da = dy @ w2
        got = call(lambda dy, cache=cache: network.backward(dy, cache), dy)
        same(
            got,
            right.backward(dy, right_cache),
            "dx",
            mistakes={
                "ReLU's backward is missing: where the first layer's output was negative, the gradient is 0": da @ w1,
                "the mask asks da > 0; it asks whether ReLU's *input* was positive": (da * (da > 0)) @ w1,
                "ReLU's slope is 1 or 0; you multiplied by its value": (da * np.maximum(h, 0)) @ w1,
                "the mask is the wrong way round: the gradient passes where the input was positive": (da * (h <= 0))
                @ w1,
                "the mask is that of another call: put it into the cache, not on self": (da * (other > 0)) @ w1,
                "that is the gradient of the first layer's output: it still has to go back through that layer": da
                * (h > 0),
            },
            sizes={"B": B},
        )
    for name, found, wanted in zip(
        ("first.weight", "first.bias", "second.weight", "second.bias"), network.weights, right.weights
    ):
        same(found.grad, wanted.grad, f"the gradient of {name}", {"it is all 0": np.zeros_like(wanted.grad)})


@exercise(lesson=2)
def check_gradient_descent(answer):
    for B, inputs, hidden, outputs, steps in ((6, 4, 5, 3, 5), (9, 3, 6, 4, 4)):
        _check_gradient_descent(answer, B, inputs, hidden, outputs, steps)


def _check_gradient_descent(answer, B, inputs, hidden, outputs, steps):
    arrays = draw(hidden, inputs), draw(hidden), draw(outputs, hidden), draw(outputs)
    x, labels, rate = draw(B, inputs), draw_integers(0, outputs, B), 0.2

    def trained(way):
        network = _Network(_Layer(*map(np.copy, arrays[:2])), _Layer(*map(np.copy, arrays[2:])))
        return network, _descent(network, x, labels, rate, steps, way)

    network = _Network(_Layer(*map(np.copy, arrays[:2])), _Layer(*map(np.copy, arrays[2:])))
    losses = call(answer, network, x, labels, rate, steps)
    right, wanted = trained("right")
    same(
        losses,
        np.array(wanted),
        "the list of losses",
        mistakes={
            "the gradients are never set back to 0: those of all steps pile up": lambda: trained("piling up")[1],
            "the step goes uphill: subtract the gradient": lambda: trained("uphill")[1],
            "the weights don't change": [wanted[0]] * steps,
            "the losses are those *after* each step; note the loss before it": (
                lambda: [*wanted[1:], CrossEntropyLoss()(right.forward(x)[0], labels)]
            ),
            "dL is 1 here, since the loss itself is what is made smaller: backward(1.0, loss_cache)": (
                lambda: trained("dL = loss")[1]
            ),
            "that is one loss too many: there is one before each step": lambda: trained("one more")[1],
            "that is one loss too few: there is one before each step": wanted[:-1],
            "that is the last loss alone; a list of all is expected": wanted[-1],
            "that is the mean loss; a list of all is expected": np.mean(wanted),
            "the learning rate isn't used": lambda: trained("full step")[1],
            "only weights change, biases don't: go through all of network.weights": (
                lambda: trained("without biases")[1]
            ),
            "the gradient is divided by B once more; the loss's mean has done that": lambda: trained("over B")[1],
        },
    )
    for found, weight in zip(network.weights, right.weights):
        same(found.data, weight.data, "a weight after the last step", {"the last step is missing": np.nan})


def _descent(network, x, labels, rate, steps, way):
    """Gradient descent, and what becomes of it in some wrong ways."""
    losses, loss_function = [], CrossEntropyLoss()
    for _ in range(steps + (way == "one more")):
        if way != "piling up":
            for weight in network.weights:
                weight.grad[...] = 0
        scores, cache = network.forward(x)
        loss, loss_cache = loss_function.forward(scores, labels)
        losses.append(float(loss))
        dL = loss if way == "dL = loss" else 1.0
        network.backward(loss_function.backward(dL, loss_cache), cache)
        factor = {"uphill": -rate, "full step": 1.0, "over B": rate / len(x)}.get(way, rate)
        for weight in network.weights:
            if way != "without biases" or weight.data.ndim > 1:
                weight.data -= factor * weight.grad
    return losses
