"""The gradient check and the contract must find mistakes: each wrong layer of tests/wrong_layers.py is rejected."""

import numpy as np
import pytest

from edutransformers.functional.softmax import softmax
from edutransformers.gradient_check import Function, assert_gradients, gradient_check, numerical_gradient
from edutransformers.layers import Dropout, Embedding, LayerNorm, Linear, Sequential
from edutransformers.losses import CrossEntropyLoss, MSELoss
from edutransformers.module import Module, Parameter, keep
from tests import contract
from tests.contract import Case, check_layer
from tests.wrong_layers import WRONG, GammaOutsideTheSums, SoftmaxWithoutItsSum, TransposedGradient, TwoGelus

FAILURES = (AssertionError, ValueError, TypeError, RuntimeError)


def name_of(entry):
    make, _, _, promise = entry
    layer = make()
    inner = getattr(layer, "inner", None)
    name = type(inner if type(layer).__name__ == "OutputOnly" else layer).__name__
    return f"{name}-{promise.__name__}"


@pytest.mark.parametrize(("make", "inputs", "options", "promise"), WRONG, ids=map(name_of, WRONG))
def test_a_wrong_layer_breaks_its_promise(make, inputs, options, promise):
    case = Case(make, inputs, options, training=True)
    with pytest.raises(FAILURES):
        promise(case)
    with pytest.raises(FAILURES):
        check_layer(make, inputs, options, training=True)


def test_every_promise_of_the_contract_is_broken_by_some_wrong_layer():
    assert {promise for *_, promise in WRONG} == set(contract.PROMISES)


def test_the_same_layers_without_the_mistake_pass():
    """So the rejections above are about the mistakes."""
    rng = np.random.default_rng(0)
    for layer in (LayerNorm(4), Linear(4, 4), Sequential(Linear(4, 3), LayerNorm(3))):
        assert gradient_check(layer, rng.standard_normal((3, 4)))


# ---------------------------------------------------------------------------------------------------------------------
# Why it is done as it is
# ---------------------------------------------------------------------------------------------------------------------


def test_at_its_initial_values_the_wrong_layer_norm_passes(rng):
    """γ = 1, β = 0 hide the mistake: that is why parameters are randomized."""
    x = rng.standard_normal((3, 4))
    assert gradient_check(GammaOutsideTheSums(4), x, randomize=False)
    assert not gradient_check(GammaOutsideTheSums(4), x)


def test_a_loss_that_only_sums_sees_nothing_of_softmax(rng):
    """Σ y = 1 whatever x is: with dy = 1 both the right gradient and the numeric one are 0."""
    x = rng.standard_normal((2, 4))
    h = 1e-6
    change = (softmax(x + h * np.eye(4)[0]).sum() - softmax(x - h * np.eye(4)[0]).sum()) / (2 * h)
    assert abs(change) < 1e-9
    assert not gradient_check(SoftmaxWithoutItsSum(), x)


def test_two_forms_of_gelu_are_told_apart(rng):
    report = gradient_check(TwoGelus(), rng.standard_normal((4, 5)))
    assert not report
    assert 1e-5 < report.worst_error < 1e-2  # small: a tolerance of 1e-2 would let it pass


def test_rounding_in_a_gradient_of_zero_passes_whatever_the_draw():
    """Σ dy ∘ y may come out near 0 by chance (here about 2 draws in 200): its terms tell how well L is known."""

    def less_its_mean(x, b):
        y = x + b
        return y - y.mean(), None

    def backward(dy, cache):
        return dy - dy.mean(), np.zeros(1)  # b moves all numbers by the same, so their mean takes it out again

    x = 100 * np.random.default_rng(0).standard_normal(20)
    for seed in range(200):
        assert_gradients(Function(less_its_mean, backward), x, np.ones(1), seed=seed, tolerance=5e-8)


# ---------------------------------------------------------------------------------------------------------------------
# The report
# ---------------------------------------------------------------------------------------------------------------------


class OneWrongEntry(Linear):
    """Right, but for the gradient of weight[2, 1]."""

    def backward(self, dy, cache):
        dx = super().backward(dy, cache)
        self.weight.grad[2, 1] += 0.5
        return dx


def test_the_report_names_the_place_and_both_values(rng):
    x = rng.standard_normal((5, 4))
    report = gradient_check(OneWrongEntry(4, 3), x)
    assert not report
    assert not report.passed
    wrong = report["weight"]
    assert wrong.worst_index == (2, 1)
    assert wrong.analytic - wrong.numeric == pytest.approx(0.5, abs=1e-6)
    assert wrong.tolerance == 1e-7
    assert (wrong.checked, wrong.shape) == (12, (3, 4))
    assert report["bias"].passed
    assert report["input 0"].passed

    first_line = str(report).splitlines()[0]  # failures first
    assert first_line.startswith("FAIL weight[3, 4]: 12 of 12 checked, worst at [2, 1]: backward gives ")
    assert f"{wrong.analytic:.9g}, differences give {wrong.numeric:.9g}" in first_line
    assert "expected at most 1e-07" in first_line
    assert sum(line.startswith("ok ") for line in str(report).splitlines()) == 2

    with pytest.raises(AssertionError, match=r"the backward pass of OneWrongEntry is wrong:\nFAIL weight\[3, 4\]"):
        assert_gradients(OneWrongEntry(4, 3), x)


def test_parameters_of_a_tree_are_named_by_their_path(rng):
    report = gradient_check(Sequential(Linear(4, 4), OneWrongEntry(4, 3)), rng.standard_normal((5, 4)))
    assert [c.name for c in report.comparisons if not c.passed] == ["1.weight"]


def test_nan_never_passes(rng):
    class Broken(Linear):
        def backward(self, dy, cache):
            return super().backward(dy, cache) * np.nan

    report = gradient_check(Broken(4, 3), rng.standard_normal((2, 4)))
    assert not report["input 0"].passed
    assert np.isnan(report["input 0"].analytic)
    assert not report


def test_nothing_to_check_is_an_error():
    class Constant(Module):
        def forward(self, ids):
            return ids, keep()

        def backward(self, dy, cache):
            return None

    with pytest.raises(AssertionError, match="nothing to check: Constant has no parameters and no float inputs"):
        assert_gradients(Constant(), np.array([1, 2]))


def test_a_gradient_of_another_shape_is_an_error(rng):
    square = Function(lambda x: (x * x, keep(x)), lambda dy, cache: (2 * dy * cache[0]).T)
    with pytest.raises(ValueError, match=r"the gradient of input 0 has shape \(3, 2\), but input 0 has shape \(2, 3\)"):
        gradient_check(square, rng.standard_normal((2, 3)))
    with pytest.raises(ValueError, match=r"a gradient of shape \(4, 3\) for a parameter of shape \(3, 4\)"):
        gradient_check(TransposedGradient(4, 3), rng.standard_normal((2, 4)))


# ---------------------------------------------------------------------------------------------------------------------
# What it leaves alone, and what it samples
# ---------------------------------------------------------------------------------------------------------------------


def test_neither_module_nor_inputs_change(rng):
    layer, x = Linear(4, 3), rng.standard_normal((2, 4)).astype("float32")
    weight, before = layer.weight.data.copy(), x.copy()
    assert gradient_check(layer, x)
    np.testing.assert_array_equal(layer.weight.data, weight)
    assert layer.weight.dtype == np.float32
    assert layer.weight.grad is None
    np.testing.assert_array_equal(x, before)


def test_large_arrays_are_sampled_with_the_largest_gradient_among_them(rng):
    """The one wrong entry of 1,200 is the largest: sampling must not miss it."""

    class HugeWrongEntry(Linear):
        def backward(self, dy, cache):
            dx = super().backward(dy, cache)
            self.weight.grad[7, 11] = 1e3
            return dx

    report = gradient_check(HugeWrongEntry(40, 30), rng.standard_normal((2, 40)), samples=10)
    assert 9 <= report["weight"].checked <= 10
    assert report["weight"].worst_index == (7, 11)
    assert not report


def test_frozen_parameters_are_not_checked(rng):
    layer = Linear(4, 3)
    layer.bias.requires_grad = False
    assert [c.name for c in gradient_check(layer, rng.standard_normal((2, 4))).comparisons] == ["input 0", "weight"]


def test_tied_weights_are_checked_once_with_both_uses(rng):
    class Tied(Module):
        """E[ids] Eᵀ: one table as embedding and as output layer."""

        def __init__(self):
            self.table = Embedding(5, 3)
            self.output = Linear(3, 5)
            self.output.weight = self.table.weight

        def forward(self, ids):
            x, table_cache = self.table.forward(ids)
            y, output_cache = self.output.forward(x)
            return y, keep(table_cache, output_cache)

        def backward(self, dy, cache):
            self.table.backward(self.output.backward(dy, cache[1]), cache[0])

    report = gradient_check(Tied(), np.array([[1, 1, 4]]))
    assert [c.name for c in report.comparisons] == ["table.weight", "output.bias"]
    assert report


def test_a_generator_starts_anew_each_time(rng):
    """Otherwise dropout drops other numbers in every forward, and no derivative exists."""
    assert gradient_check(Dropout(0.5), rng.standard_normal((3, 4)), generator=np.random.default_rng(0))


def test_losses(rng):
    assert gradient_check(MSELoss(), rng.standard_normal(4), rng.standard_normal(4))
    assert gradient_check(CrossEntropyLoss(), rng.standard_normal((2, 3)), np.array([0, 2]))


def test_a_scalar_parameter(rng):
    class Scale(Module):
        def __init__(self):
            self.factor = Parameter(np.ones((), dtype="float32"))

        def forward(self, x):
            return x * self.factor.data, keep(x)

        def backward(self, dy, cache):
            self.factor.accumulate(np.asarray((dy * cache[0]).sum()))
            return dy * self.factor.data

    report = gradient_check(Scale(), rng.standard_normal(3))
    assert report
    assert report["factor"].worst_index == ()


def test_runs_on_the_device(fake_cupy, rng):
    layer = Sequential(Linear(4, 3), LayerNorm(3)).to("cuda")
    assert gradient_check(layer, fake_cupy.asarray(rng.standard_normal((2, 4))))
    assert not gradient_check(GammaOutsideTheSums(4).to("cuda"), fake_cupy.asarray(rng.standard_normal((2, 4))))


def test_numerical_gradient_puts_back_what_it_changed():
    x, w = np.random.default_rng(0).standard_normal((2, 2, 3, 4))
    kept = x.copy()
    gradient = numerical_gradient(lambda x: float((w * x**3).sum()), x)
    np.testing.assert_allclose(gradient, 3 * w * x**2, atol=1e-8)
    np.testing.assert_array_equal(numerical_gradient(lambda _: float((w * x**3).sum()), x), gradient)
    np.testing.assert_array_equal(x, kept)
