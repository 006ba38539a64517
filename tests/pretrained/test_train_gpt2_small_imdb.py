"""The script that made the small GPT, on a few made-up reviews; and how it measures what a model has learned."""

import math

import numpy as np
import pytest

from edutransformers import AutoModelForCausalLM, AutoTokenizer, GPT2Config, GPT2LMHeadModel
from edutransformers.pretrained import train_gpt2_small_imdb as script
from edutransformers.pretrained.reviews import Review


@pytest.fixture
def small(monkeypatch):
    """A small model that sees 12 tokens at a time."""
    config = {**script.CONFIG, "vocab_size": 300, "n_positions": 12, "n_embd": 8, "n_layer": 1, "n_head": 2}
    monkeypatch.setattr(script, "WINDOW", 12)
    monkeypatch.setattr(script, "STRIDE", 4)
    monkeypatch.setattr(script, "CONFIG", config)
    words = ["good", "bad", "film", "plot", "the", "actors", "and"]
    generator = np.random.default_rng(0)
    reviews = [Review(" ".join(generator.choice(words, 30)) + ".", 0) for _ in range(80)]
    monkeypatch.setattr(script, "load_reviews", lambda: (reviews[:70], reviews[70:]))
    return config


def test_each_token_is_judged_once_and_with_context(small):
    config = GPT2Config(**{**small, "initializer_range": 0.5})
    model = GPT2LMHeadModel(config, generator=np.random.default_rng(0)).eval()
    for length in (0, 1, 7, 11, 12, 13, 15, 16, 40):
        document = np.random.default_rng(length).integers(1, 300, length).tolist()
        text = np.array([0, *document, 0])
        found = script.log_probabilities(model, document, 0)
        assert found.shape == (length + 1,)
        for place in range(1, len(text)):
            # The window that judges it: the first one that reaches so far.
            start = max(0, math.ceil((place - 12) / 4) * 4)
            scores = model(text[None, start:place]).logits[0, -1].astype(np.float64)
            expected = scores[text[place]] - np.log(np.exp(scores).sum())
            assert found[place - 1] == pytest.approx(expected, abs=1e-4)
            assert place - start >= min(place, 12 - 4 + 1)


def test_blocks():
    rows = script.blocks([[1, 2, 3], [4] * 600], 0)
    assert [row["input_ids"].shape for row in rows] == [(128,)] * 4  # 605 tokens; 93 are left over
    assert rows[0]["input_ids"][:6].tolist() == [0, 1, 2, 3, 0, 4]
    assert all(np.array_equal(row["input_ids"], row["labels"]) for row in rows)


def test_neighbours_are_alike_from_the_start(small):
    model = script.new_model()
    table = model.transformer.wpe.weight.data
    assert table.dtype == np.float32
    alike = table @ table.T / np.linalg.norm(table, axis=1)[0] ** 2
    np.testing.assert_allclose(np.diag(alike), 1, rtol=1e-5)
    assert np.diag(alike, 1).min() > np.diag(alike, 2).max() > np.diag(alike, 3).max()
    again = script.new_model()
    assert all(np.array_equal(a.data, b.data) for a, b in zip(model.parameters(), again.parameters()))


def test_perplexity():
    found = script.Perplexity.of(np.log([0.5, 0.25, 0.125, 0.25]), ["abc", "de"])
    assert found.per_token == pytest.approx(4)
    assert found.bits_per_character == pytest.approx(8 / 5)
    assert str(found) == "perplexity 4.00 a token, 1.6000 bits a character"


def test_the_texts_are_split_by_review(monkeypatch):
    reviews = [Review(f"{n:03} " + "x" * 96, 0) for n in range(60)]
    monkeypatch.setattr(script, "load_reviews", lambda: (reviews[:40], reviews[40:]))
    monkeypatch.setattr(script, "CHARACTERS", 1950)
    monkeypatch.setattr(script, "HELD_OUT", 15)
    train, held_out = script.texts_of_reviews()
    assert (len(train), len(held_out)) == (20, 15)
    assert not set(train) & set(held_out)


def test_a_run_and_its_continuation(small, tmp_path, capsys):
    words = ["--output", str(tmp_path / "out"), "--scratch", str(tmp_path / "scratch"), "--threads", "1"]
    learned, baseline = script.main([*words, "--steps", "6"])
    assert 1 < baseline.per_token < 60
    assert 1 < learned.per_token < 400
    printed = capsys.readouterr().out
    assert "70 reviews" in printed
    assert "10 held out" in printed
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    assert model.generation_config.do_sample
    assert len(AutoTokenizer.from_pretrained(tmp_path / "out")) <= 300
    again, same = script.main([*words, "--steps", "12"])  # goes on from step 6
    assert "'epoch'" in capsys.readouterr().out
    assert same == baseline
    assert again.per_token < learned.per_token
