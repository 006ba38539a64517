"""8-bit states: code book and codes are bitsandbytes' (frozen), each code is the nearest, training goes as AdamW's."""

import json

import numpy as np
import pytest

from edutransformers.backend import to_numpy
from edutransformers.module import Parameter
from edutransformers.training import AdamW, AdamW8bit
from edutransformers.training.optimizers.blockwise import (
    BLOCK,
    SIGNED,
    UNSIGNED,
    dequantize_blockwise,
    dynamic_values,
    quantize_blockwise,
)
from tests import fakecupy
from tests.training.make_bitsandbytes_fixture import FILE, numbers
from tests.training.toy import accuracy, toy_data, toy_model, toy_trainer

BOOKS = {"signed": SIGNED, "unsigned": UNSIGNED}
by_sign = pytest.mark.parametrize("sign", BOOKS)


def nearest(x, values):
    """The code of the nearest value, by looking at all 256."""
    return np.abs(x[..., None].astype("float64") - values.astype("float64")).argmin(axis=-1)


@by_sign
def test_the_code_book_and_the_codes_are_bitsandbytes(sign):
    frozen = json.loads(FILE.read_text())[sign]
    np.testing.assert_allclose(dynamic_values(sign == "signed"), frozen["values"], rtol=2e-7)
    codes, scales = quantize_blockwise(numbers(sign == "signed"), BOOKS[sign])
    np.testing.assert_array_equal(codes, np.frombuffer(bytes.fromhex(frozen["codes"]), dtype=np.uint8))
    np.testing.assert_array_equal(scales, np.array(frozen["scales"], dtype=np.float32))


@by_sign
def test_the_code_book(sign):
    values = dynamic_values(sign == "signed")
    assert values.shape == (256,)
    assert values.dtype == np.float32
    assert (np.diff(values) > 0).all()
    assert (values[0] < -0.99) == (sign == "signed")
    assert 0 in values
    assert values[-1] == 1
    top = ((values > 0.1) & (values < 1)).sum()
    assert top == (64 if sign == "signed" else 128)


@by_sign
def test_each_code_is_the_nearest(rng, sign):
    """At random places, at the values themselves, and right beside every border."""
    book = BOOKS[sign]
    values = book.tables(np.zeros(1))[0]
    borders = (values[:-1] + values[1:]) / 2
    beside = np.concatenate([np.nextafter(borders, np.float32(side)) for side in (-2, 2)])
    x = np.concatenate([[1.0], values, beside, rng.uniform(-1 if sign == "signed" else 0, 1, 3000)]).astype(np.float32)
    padded = np.concatenate([x, np.zeros(-len(x) % (BLOCK - 1), dtype=np.float32)]).reshape(-1, BLOCK - 1)
    blocks = np.concatenate([np.ones((len(padded), 1), dtype=np.float32), padded], axis=1)  # each has the scale 1
    codes, scales = quantize_blockwise(blocks, book)
    assert (scales == 1).all()
    np.testing.assert_array_equal(codes, nearest(blocks, values))


@by_sign
@pytest.mark.parametrize("size", [1, 255, 256, 257, 1000, 5 * 256])
def test_round_trip(rng, sign, size):
    x = rng.standard_normal(size).astype(np.float32) * 1e-3
    x = x if sign == "signed" else abs(x)
    codes, scales = quantize_blockwise(x, BOOKS[sign])
    assert codes.dtype == np.uint8
    assert scales.dtype == np.float32
    assert len(scales) == -(-size // BLOCK)
    back = dequantize_blockwise(codes, scales, BOOKS[sign])
    largest = np.repeat(scales, BLOCK)[:size]
    assert (np.abs(back - x) <= 0.0071 * largest).all()  # half the distance of two values in the top decade
    if sign == "unsigned":
        where = x == largest
        np.testing.assert_array_equal(back[where], x[where])


def test_zeros_stay_zeros():
    x = np.zeros(300, dtype=np.float32)
    for book in BOOKS.values():
        codes, scales = quantize_blockwise(x, book)
        assert (scales == 0).all()
        assert (dequantize_blockwise(codes, scales, book) == 0).all()


def test_an_outlier_spoils_one_block(rng):
    x = rng.standard_normal(2 * BLOCK).astype(np.float32)
    x[3] = 1e6
    codes, scales = quantize_blockwise(x, SIGNED)
    error = np.abs(dequantize_blockwise(codes, scales, SIGNED) - x)
    assert error[BLOCK:].max() < 0.03
    assert np.delete(error[:BLOCK], 3).max() > 0.3


def plain_8bit(w, gradients, lr, betas, eps, weight_decay):
    """AdamW8bit on whole arrays with a code book that is searched through."""

    def rounded(x, values):
        parts = []
        for start in range(0, x.size, BLOCK):
            block = x.reshape(-1)[start : start + BLOCK].astype(np.float32)
            scale = np.abs(block).max()
            parts.append(values[nearest(block / scale, values)] * scale)
        return np.concatenate(parts).reshape(x.shape)

    m, v = np.zeros_like(w), np.zeros_like(w)
    for t, g in enumerate(gradients, start=1):
        w = w - lr * weight_decay * w
        m, v = betas[0] * m + (1 - betas[0]) * g, betas[1] * v + (1 - betas[1]) * g**2
        w = w - lr * (m / (1 - betas[0] ** t)) / (np.sqrt(v / (1 - betas[1] ** t)) + eps)
        m, v = rounded(m, dynamic_values(True)), rounded(v, dynamic_values(False))
    return w


@pytest.mark.parametrize("threads", [1, 2])
def test_steps_are_adamws_with_rounded_states(rng, monkeypatch, threads):
    from edutransformers.training.optimizers import chunks

    monkeypatch.setattr(chunks, "CHUNK", 3 * BLOCK + 5)  # a chunk ends where a block does
    begin, gradients = rng.standard_normal((23, 101)), rng.standard_normal((8, 23, 101)) * np.arange(101)
    settings = {"lr": 0.02, "betas": (0.8, 0.95), "eps": 1e-6, "weight_decay": 0.1}
    parameter = Parameter(begin.copy())
    optimizer = AdamW8bit([parameter], **settings, min_8bit_size=1, threads=threads)
    for gradient in gradients:
        parameter.grad = gradient
        optimizer.step()
    np.testing.assert_allclose(parameter.data, plain_8bit(begin, gradients, **settings), rtol=1e-5, atol=1e-6)
    assert optimizer.state[parameter]["exp_avg"].dtype == np.uint8
    exact = Parameter(begin.copy())
    adamw = AdamW([exact], **settings)
    for gradient in gradients:
        exact.grad = gradient
        adamw.step()
    assert 1e-3 < np.abs(parameter.data - exact.data).max() < 0.1  # rounding is there, and harmless


def test_small_parameters_keep_32_bits(rng):
    small, large = Parameter(rng.standard_normal(4095)), Parameter(rng.standard_normal(4096))
    twin = Parameter(small.data.copy())
    optimizer, adamw = AdamW8bit([small, large]), AdamW([twin])
    for parameter in (small, large, twin):
        parameter.grad = np.ones(parameter.shape)
    optimizer.step()
    adamw.step()
    np.testing.assert_array_equal(small.data, twin.data)
    assert optimizer.state[small]["exp_avg"].dtype == np.float64
    assert optimizer.state[large]["exp_avg"].dtype == np.uint8


def test_no_third_state():
    with pytest.raises(ValueError, match="amsgrad is True"):
        AdamW8bit([{"params": [Parameter(np.zeros(2))], "amsgrad": True}])


def test_a_tiny_bert_learns_with_a_quarter_of_the_memory(tmp_path):
    """The same run with both: losses within a few percent, states a quarter as large (what is small aside)."""
    losses, sizes = {}, {}
    for optim in ("adamw_torch", "adamw_8bit"):
        arguments = {"num_train_epochs": 4, "learning_rate": 5e-3, "per_device_train_batch_size": 16, "optim": optim}
        arguments |= {"logging_strategy": "steps", "logging_steps": 10, "weight_decay": 0.01}
        if optim == "adamw_8bit":
            arguments["optim_args"] = "min_8bit_size=256"
        model = toy_model(hidden_size=32, intermediate_size=64, dropout=0.0)
        trainer = toy_trainer(
            tmp_path, model=model, train=toy_data(320), test=toy_data(100, seed=1), arguments=arguments,
            compute_metrics=accuracy,
        )  # fmt: skip
        trainer.train()
        assert trainer.evaluate()["eval_accuracy"] > 0.95
        losses[optim] = np.array([log["loss"] for log in trainer.log_history if "loss" in log])
        states = trainer.optimizer.state
        large = [state for parameter, state in states.items() if parameter.size >= 256]
        sizes[optim] = sum(value.nbytes for state in large for value in state.values() if hasattr(value, "nbytes"))
    assert losses["adamw_8bit"][0] > 0.3
    assert losses["adamw_8bit"][-1] < 0.05
    np.testing.assert_allclose(losses["adamw_8bit"], losses["adamw_torch"], atol=0.1)
    assert 0.25 < sizes["adamw_8bit"] / sizes["adamw_torch"] < 0.26


@by_sign
def test_on_the_device(fake_cupy, rng, sign):
    x = numbers(sign == "signed")
    there = fake_cupy.asarray(x)
    with fakecupy.no_sync():
        codes, scales = quantize_blockwise(there, BOOKS[sign])
        back = dequantize_blockwise(codes, scales, BOOKS[sign])
    expected, expected_scales = quantize_blockwise(x, BOOKS[sign])
    np.testing.assert_array_equal(to_numpy(codes), expected)
    np.testing.assert_array_equal(to_numpy(scales), expected_scales)
    np.testing.assert_array_equal(to_numpy(back), dequantize_blockwise(expected, expected_scales, BOOKS[sign]))


def test_large_parameters_on_the_device_are_unpacked_piece_by_piece(fake_cupy, rng, monkeypatch):
    from edutransformers.training.optimizers import adamw_8bit

    begin, gradient = rng.standard_normal((30, 100)), rng.standard_normal((30, 100))
    results = []
    for width in (10**6, 3 * BLOCK):
        monkeypatch.setattr(adamw_8bit, "ON_DEVICE", width)
        parameter = Parameter(fake_cupy.asarray(begin))
        optimizer = AdamW8bit([parameter], min_8bit_size=1)
        for _ in range(2):
            parameter.grad = fake_cupy.asarray(gradient)
            optimizer.step()
        results.append(to_numpy(parameter.data))
    np.testing.assert_array_equal(*results)
