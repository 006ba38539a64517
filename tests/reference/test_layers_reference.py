"""Every function, layer and loss against torch: outputs, input gradients and parameter gradients, float64 and float32.

Each case is ours (a Module), theirs (a function of torch tensors: the parameters by name, then the inputs), the inputs
and the options of our forward. Errors are relative to the largest number of the array compared; for parameters, to the
largest gradient of the layer (that of an attention's key bias is zero but for rounding: softmax ignores it).
"""

import copy
import math
from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from edutransformers import layers, losses  # noqa: E402
from edutransformers.functional.activations import ACTIVATIONS, get_activation  # noqa: E402
from edutransformers.functional.masks import causal_visible  # noqa: E402
from edutransformers.functional.normalization import layer_norm, layer_norm_backward  # noqa: E402
from edutransformers.functional.softmax import log_softmax, log_softmax_backward, softmax, softmax_backward  # noqa: E402
from edutransformers.gradient_check import Function  # noqa: E402
from edutransformers.module import keep  # noqa: E402
from tests.layers.test_attention import WithWeights  # noqa: E402

pytestmark = pytest.mark.reference
F = torch.nn.functional
TOLERANCE = {"float64": 2e-13, "float32": 5e-6}


def compare(ours, theirs, inputs, options=None, dtype="float64", tolerance=None, seed=0):
    rng = np.random.default_rng(seed)
    ours = copy.deepcopy(ours)
    for parameter in ours.parameters():
        parameter.data = rng.normal(0.1, 0.5, parameter.shape).astype(dtype)
    ours._replace_arrays(lambda x: x.astype(dtype) if x.dtype.kind == "f" else x)
    inputs = [x.astype(dtype) if x.dtype.kind == "f" else x for x in inputs]

    parameters = {name: torch.tensor(p.data, requires_grad=True) for name, p in ours.named_parameters()}
    tensors = [torch.tensor(x, requires_grad=x.dtype.kind == "f") for x in inputs]
    their_output = theirs(parameters, *tensors)
    output, cache = ours.forward(*inputs, **(options or {}))

    pairs = [(a, b) for a, b in zip(as_tuple(output), as_tuple(their_output)) if a is not None]
    assert pairs
    tolerance = tolerance or TOLERANCE[dtype]
    for place, (a, b) in enumerate(pairs):
        same(a, b, dtype, tolerance, f"output {place}")
    d_outputs = [rng.standard_normal(np.shape(a)).astype(dtype) for a, _ in pairs]
    torch.autograd.backward([b for _, b in pairs], [torch.tensor(d) for d in d_outputs])
    d_output = [float(d) if d.ndim == 0 else d for d in d_outputs]
    if isinstance(output, tuple):
        d_output += [None] * (len(output) - len(d_output))
    d_inputs = as_tuple(ours.backward(d_output if isinstance(output, tuple) else d_output[0], cache))

    floats = [tensor for tensor in tensors if tensor.requires_grad]
    for place, (gradient, tensor) in enumerate(zip(d_inputs, floats)):
        if gradient is not None:
            same(gradient, tensor.grad, dtype, tolerance, f"gradient of input {place}")
    largest = max((float(tensor.grad.abs().max()) for tensor in parameters.values()), default=0.0)
    for name, parameter in ours.named_parameters():
        same(parameter.grad, parameters[name].grad, dtype, tolerance, f"gradient of {name}", largest)


def as_tuple(x):
    return x if isinstance(x, tuple) else (x,)


def same(ours, theirs, dtype, tolerance, what, size=None):
    theirs = theirs.detach().numpy()
    assert ours.dtype == dtype, f"{what} is {ours.dtype}"
    assert np.shape(ours) == theirs.shape
    size = max(np.abs(theirs).max(initial=0) if size is None else size, 1e-6)
    error = np.abs(ours - theirs).max(initial=0) / size
    assert error <= tolerance, f"{what}: relative error {error:.1e}, expected at most {tolerance:.0e}"


def draw(*shape, scale=1.0, seed=1):
    return np.random.default_rng(seed).normal(0, scale, shape)


@pytest.fixture(params=["float64", "float32"])
def dtype(request):
    return request.param


# ---------------------------------------------------------------------------------------------------------------------
# Functions
# ---------------------------------------------------------------------------------------------------------------------

TORCH_ACTIVATIONS = {
    "linear": lambda x: x * 1,
    "relu": F.relu,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "silu": F.silu,
    "swish": F.silu,
    "gelu": F.gelu,
    "gelu_python": F.gelu,
    "gelu_new": lambda x: F.gelu(x, approximate="tanh"),
    "gelu_fast": lambda x: F.gelu(x, approximate="tanh"),
    "gelu_pytorch_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "quick_gelu": lambda x: x * torch.sigmoid(1.702 * x),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation(name, dtype):
    compare(layers.Activation(name), lambda p, x: TORCH_ACTIVATIONS[name](x), [draw(7, 300, scale=3)], dtype=dtype)


def test_float32_gelu_is_as_exact_as_torchs():
    """Its polynomial's worst error on [−12, 12] against float64 is no larger than that of torch's own float32."""
    x = np.linspace(-12, 12, 200_001).astype("float32")
    exact = F.gelu(torch.tensor(x, dtype=torch.float64)).numpy()
    ours = np.abs(get_activation("gelu")(x) - exact).max()
    theirs = np.abs(F.gelu(torch.tensor(x)).numpy() - exact).max()
    assert ours <= max(theirs, 6e-7) * 1.01


def function_module(forward, backward):
    def kept(x):
        y = forward(x)
        return y, keep(y)

    return Function(kept, lambda dy, cache: backward(dy, *cache))


@pytest.mark.parametrize("shape", [(3, 50), (2, 3, 7), (2, 1)], ids=str)
def test_softmax(shape, dtype):
    x = [draw(*shape, scale=3)]
    compare(function_module(softmax, softmax_backward), lambda p, x: F.softmax(x, dim=-1), x, dtype=dtype)
    compare(function_module(log_softmax, log_softmax_backward), lambda p, x: F.log_softmax(x, dim=-1), x, dtype=dtype)


def test_layer_norm_of_rows_with_a_large_mean(dtype):
    x = draw(5, 64) + 100
    weight, bias = np.ones(64, dtype), np.zeros(64, dtype)
    y, n, inverse_std = layer_norm(x.astype(dtype), weight, bias, 1e-5)
    exact = F.layer_norm(torch.tensor(x.astype(dtype), dtype=torch.float64), (64,), eps=1e-5).numpy()
    assert np.abs(y - exact).max() < (1e-12 if dtype == "float64" else 1e-4)
    assert layer_norm_backward(y, n, inverse_std, weight)[0].dtype == dtype


# ---------------------------------------------------------------------------------------------------------------------
# Layers
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bias", [True, False])
def test_linear(bias, dtype):
    compare(
        layers.Linear(40, 30, bias=bias),
        lambda p, x: F.linear(x, p["weight"], p.get("bias")),
        [draw(3, 5, 40)],
        dtype=dtype,
    )


@pytest.mark.parametrize("padding_idx", [None, 3])
def test_embedding(padding_idx, dtype):
    ids = np.random.default_rng(0).integers(0, 11, (4, 50))
    compare(
        layers.Embedding(11, 6, padding_idx=padding_idx),
        lambda p, ids: F.embedding(ids, p["weight"], padding_idx=padding_idx),
        [ids],
        dtype=dtype,
    )


@pytest.mark.parametrize("eps", [1e-5, 1e-12])
def test_layer_norm(eps, dtype):
    compare(
        layers.LayerNorm(48, eps),
        lambda p, x: F.layer_norm(x, (48,), p["weight"], p["bias"], eps),
        [draw(3, 5, 48, scale=2) + 1],
        dtype=dtype,
    )


def test_add_norm(dtype):
    compare(
        layers.AddNorm(48, 1e-12, 0.1).eval(),
        lambda p, f, x: F.layer_norm(f + x, (48,), p["norm.weight"], p["norm.bias"], 1e-12),
        [draw(3, 5, 48), draw(3, 5, 48, seed=2)],
        dtype=dtype,
    )


@pytest.mark.parametrize("recompute", [False, True])
@pytest.mark.parametrize("chunk_size", [0, 3])
@pytest.mark.parametrize("activation", ["gelu", "relu", "gelu_new"])
def test_feed_forward(activation, chunk_size, recompute, dtype):
    def theirs(p, x):
        inner = TORCH_ACTIVATIONS[activation](F.linear(x, p["up.weight"], p["up.bias"]))
        return F.linear(inner, p["down.weight"], p["down.bias"])

    compare(layers.FeedForward(24, 50, activation, chunk_size, recompute), theirs, [draw(2, 7, 24)], dtype=dtype)


D, H, T, S = 24, 3, 7, 9
PADDING = np.arange(T) < np.array([7, 4])[:, None, None, None]
SOURCE_PADDING = np.arange(S) < np.array([5, 9])[:, None, None, None]


def their_attention(p, x, source=None, visible=None, bias=None, head_mask=None, prefix="inner."):
    """Multi-head attention from torch's own products and softmax."""
    source = x if source is None else source

    def project(name, values):
        y = F.linear(values, p[f"{prefix}{name}.weight"], p[f"{prefix}{name}.bias"])
        return y.view(*y.shape[:2], H, -1).transpose(1, 2)

    q, k, v = project("query", x), project("key", source), project("value", source)
    scores = q @ k.transpose(-1, -2)
    if bias is not None:
        scores = scores + bias(p, q, k)
    scores = scores / math.sqrt(q.shape[-1])
    if visible is not None:
        scores = scores.masked_fill(~torch.tensor(visible), -math.inf)
    weights = F.softmax(scores, dim=-1)
    if head_mask is not None:
        weights = weights * torch.tensor(head_mask, dtype=x.dtype)[None, :, None, None]
    context = (weights @ v).transpose(1, 2).flatten(2)
    return F.linear(context, p[f"{prefix}output.weight"], p[f"{prefix}output.bias"]), weights


ATTENTION = {
    "plain": {},
    "padding": {"visible": PADDING},
    "causal": {"visible": causal_visible(T, T)},
    "causal and padding": {"visible": causal_visible(T, T) & PADDING},
    "head mask": {"head_mask": np.array([0.0, 1.0, 0.5])},
}


@pytest.mark.parametrize("return_weights", [False, True])
@pytest.mark.parametrize("name", ATTENTION)
def test_self_attention(name, return_weights, dtype):
    options = dict(ATTENTION[name])
    ours_options = {"return_weights": return_weights, **options}
    if "head_mask" in ours_options:
        ours_options["head_mask"] = ours_options["head_mask"].astype(dtype)
    compare(
        WithWeights(layers.MultiHeadAttention(D, H)),
        lambda p, x: their_attention(p, x, **options),
        [draw(2, T, D)],
        ours_options,
        dtype=dtype,
    )


@pytest.mark.parametrize("return_weights", [False, True])
@pytest.mark.parametrize("visible", [None, SOURCE_PADDING], ids=["all", "padded source"])
def test_cross_attention(visible, return_weights, dtype):
    compare(
        WithWeights(layers.MultiHeadAttention(D, H, source_width=16)),
        lambda p, x, source: their_attention(p, x, source, visible),
        [draw(2, T, D), draw(2, S, 16)],
        {"visible": visible, "return_weights": return_weights},
        dtype=dtype,
    )


@pytest.mark.parametrize("kind", ["relative_key", "relative_key_query"])
def test_relative_positions(kind, dtype):
    def bias(p, q, k):
        """As BERT's code in the original: einsums over the vectors of all distances."""
        distance = torch.arange(T)[:, None] - torch.arange(T)[None, :]
        vectors = F.embedding(distance + 10 - 1, p["inner.relative.weight"])
        scores = torch.einsum("bhld,lrd->bhlr", q, vectors)
        if kind == "relative_key_query":
            scores = scores + torch.einsum("bhrd,lrd->bhlr", k, vectors)
        return scores

    compare(
        WithWeights(layers.MultiHeadAttention(D, H, relative=layers.RelativePositions(10, D // H, kind))),
        lambda p, x: their_attention(p, x, visible=PADDING, bias=bias),
        [draw(2, T, D)],
        {"visible": PADDING, "return_weights": True},
        dtype=dtype,
    )


@pytest.mark.parametrize("case", ["all", "causal", "padding"])
def test_attention_over_many_tokens(case, dtype):
    """1,000 tokens: in blocks, with the weights computed again in backward; against torch's fused attention."""
    tokens = 1000
    visible = {
        "all": None,
        "causal": causal_visible(tokens, tokens),
        "padding": np.arange(tokens) < np.array([900, 17])[:, None, None, None],
    }[case]

    def theirs(p, x):
        def project(name):
            y = F.linear(x, p[f"inner.{name}.weight"], p[f"inner.{name}.bias"])
            return y.view(2, tokens, 2, 8).transpose(1, 2)

        mask = None if visible is None else torch.tensor(visible)
        y = F.scaled_dot_product_attention(project("query"), project("key"), project("value"), attn_mask=mask)
        return F.linear(y.transpose(1, 2).flatten(2), p["inner.output.weight"], p["inner.output.bias"])

    class Output(WithWeights):
        def forward(self, x, **options):
            (y, _), cache = super().forward(x, **options)
            return y, cache

        def backward(self, dy, cache):
            return super().backward((dy, None), cache)

    compare(
        Output(layers.MultiHeadAttention(16, 2)),
        theirs,
        [draw(2, tokens, 16)],
        {"visible": visible},
        dtype=dtype,
        tolerance={"float64": 1e-11, "float32": 5e-5}[dtype],  # sums over a thousand tokens
    )


def test_composition(dtype):
    ours = layers.Sequential(
        layers.Linear(24, 24), layers.Residual(layers.Linear(24, 24)), layers.Checkpoint(layers.LayerNorm(24))
    )

    def theirs(p, x):
        x = F.linear(x, p["0.weight"], p["0.bias"])
        x = x + F.linear(x, p["1.inner.weight"], p["1.inner.bias"])
        return F.layer_norm(x, (24,), p["2.weight"], p["2.bias"], 1e-5)

    compare(ours, theirs, [draw(3, 24)], dtype=dtype)


# ---------------------------------------------------------------------------------------------------------------------
# Losses
# ---------------------------------------------------------------------------------------------------------------------

C = 11
LABELS = np.random.default_rng(3).integers(0, C, 20)
SOME_IGNORED = np.where(np.arange(20) % 3 == 0, -100, LABELS)
WEIGHT = np.random.default_rng(4).random(C)
ZERO_WEIGHT = np.where(np.arange(C) < 3, 0.0, WEIGHT)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("weight", [None, WEIGHT, ZERO_WEIGHT], ids=["equal", "weights", "zero weights"])
@pytest.mark.parametrize("labels", [LABELS, SOME_IGNORED], ids=["all", "some ignored"])
def test_cross_entropy(labels, weight, smoothing, reduction, dtype):
    options = {"label_smoothing": smoothing, "reduction": reduction}

    def theirs(p, logits, labels):
        class_weight = None if weight is None else torch.tensor(weight, dtype=logits.dtype)
        return F.cross_entropy(logits, labels, weight=class_weight, **options)

    compare(losses.CrossEntropyLoss(weight=weight, **options), theirs, [draw(20, C, scale=2), labels], dtype=dtype)


def test_cross_entropy_over_a_vocabulary(dtype):
    labels = np.random.default_rng(3).integers(0, 30522, 16)
    compare(losses.CrossEntropyLoss(), lambda p, x, y: F.cross_entropy(x, y), [draw(16, 30522), labels], dtype=dtype)


def test_cross_entropy_with_all_rows_ignored():
    logits, labels = draw(3, C), np.full(3, -100)
    x = torch.tensor(logits, requires_grad=True)
    theirs = F.cross_entropy(x, torch.tensor(labels))
    theirs.backward()
    loss, cache = losses.CrossEntropyLoss().forward(logits, labels)
    assert np.isnan(loss)
    assert torch.isnan(theirs)
    assert not losses.CrossEntropyLoss().backward(1.0, cache).any()
    assert not torch.nan_to_num(x.grad).any()  # torch: zeros or nan, by version


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("pos_weight", [None, np.random.default_rng(4).random(5) * 3], ids=["equal", "weights"])
def test_binary_cross_entropy(pos_weight, reduction, dtype):
    def theirs(p, logits, targets):
        weight = None if pos_weight is None else torch.tensor(pos_weight, dtype=logits.dtype)
        return F.binary_cross_entropy_with_logits(logits, targets, pos_weight=weight, reduction=reduction)

    targets = np.random.default_rng(5).random((7, 5))
    compare(losses.BCEWithLogitsLoss(pos_weight, reduction), theirs, [draw(7, 5, scale=3), targets], dtype=dtype)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_regression_losses(reduction, dtype):
    inputs = [draw(7, 5), draw(7, 5, seed=2)]
    for ours, theirs in (
        (losses.MSELoss(reduction), F.mse_loss),
        (losses.L1Loss(reduction), F.l1_loss),
        (losses.SmoothL1Loss(1.0, reduction), F.smooth_l1_loss),
        (
            losses.SmoothL1Loss(0.3, reduction),
            lambda x, y, reduction: F.smooth_l1_loss(x, y, reduction=reduction, beta=0.3),
        ),
        (
            losses.SmoothL1Loss(0.0, reduction),
            lambda x, y, reduction: F.smooth_l1_loss(x, y, reduction=reduction, beta=0.0),
        ),
    ):
        compare(ours, lambda p, x, y, theirs=theirs: theirs(x, y, reduction=reduction), inputs, dtype=dtype)


def test_classification_losses(dtype):
    def ours(kind):
        return losses.ClassificationLoss(SimpleNamespace(problem_type=kind))

    compare(
        ours("regression"), lambda p, x, y: F.mse_loss(x.squeeze(), y.squeeze()), [draw(6, 1), draw(6)], dtype=dtype
    )
    compare(ours(None), lambda p, x, y: F.cross_entropy(x, y), [draw(6, C), LABELS[:6]], dtype=dtype)
    targets = (np.random.default_rng(0).random((6, C)) < 0.5) * 1.0
    compare(ours(None), lambda p, x, y: F.binary_cross_entropy_with_logits(x, y), [draw(6, C), targets], dtype=dtype)


def test_next_token_loss(dtype):
    labels = np.where(
        np.random.default_rng(0).random((3, 8)) < 0.2, -100, np.random.default_rng(1).integers(0, C, (3, 8))
    )
    compare(
        losses.NextTokenLoss(),
        lambda p, x, y: F.cross_entropy(x[:, :-1].reshape(-1, C), y[:, 1:].reshape(-1)),
        [draw(3, 8, C), labels],
        dtype=dtype,
    )


def test_span_loss(dtype):
    def theirs(p, start_logits, end_logits, starts, ends):
        """The original's lines in every question-answering head."""
        ignored = start_logits.size(1)
        starts, ends = starts.clamp(0, ignored), ends.clamp(0, ignored)
        start = F.cross_entropy(start_logits, starts, ignore_index=ignored)
        return (start + F.cross_entropy(end_logits, ends, ignore_index=ignored)) / 2

    starts, ends = np.array([0, 3, 99, -1]), np.array([8, 3, 2, 4])
    compare(losses.SpanLoss(), theirs, [draw(4, 8), draw(4, 8, seed=2), starts, ends], dtype=dtype)
