"""Every tokenizer class gives what the original's gave when make_class_fixtures.py froze it."""

import json
import shutil
from pathlib import Path

import pytest

import edutransformers
from edutransformers import AutoTokenizer

from .texts import INPUTS

FOLDER = Path(__file__).parents[1] / "fixtures" / "tokenizers" / "classes"
NAMES = sorted(path.name for path in FOLDER.iterdir())
OPTIONS = {
    "padding": [False, True, "max_length"],
    "truncation": [None, True, "only_first"],
    "max_length": [None, 4, 7, 16],
    "pad_to_multiple_of": [None, 8],
    "stride": [0, 2],
    "return_overflowing_tokens": [False, True],
}


def read(name):
    return json.loads((FOLDER / name / "expected.json").read_text(encoding="utf-8"))


def plain(encoded):
    return json.loads(json.dumps(dict(encoded)))


def row_of(tokenizer, expected, text, other=None):
    encoded = tokenizer(text, other, return_offsets_mapping=True, return_special_tokens_mask=True)
    row = {**plain(encoded), "word_ids": encoded.word_ids()}
    return {key: row[key] for key in expected}


@pytest.mark.parametrize("name", NAMES)
def test_texts(name):
    expected = read(name)
    tokenizer = AutoTokenizer.from_pretrained(FOLDER / name, use_fast=False)
    assert type(tokenizer) is getattr(edutransformers, expected["class"])
    assert (tokenizer.vocab_size, len(tokenizer)) == (expected["vocab_size"], expected["length"])
    for text, row, decoded in expected["texts"]:
        assert row_of(tokenizer, row, text) == row, ascii(text)
        for bare in (False, True):
            options = {"skip_special_tokens": bare, "clean_up_tokenization_spaces": bare}
            assert tokenizer.decode(row["input_ids"], **options) == decoded[bare], ascii(text)
    for text, other, row in expected["pairs"]:
        assert row_of(tokenizer, row, text, other) == row, ascii(text)


@pytest.mark.parametrize("name", NAMES)
def test_from_the_classes_own_files(name, tmp_path):
    """Without tokenizer.json the stages come from vocab.txt, merges.txt, spiece.model, …; the ids are the same."""
    expected = read(name)
    shutil.copytree(FOLDER / name, tmp_path / "own")
    (tmp_path / "own" / "tokenizer.json").unlink(missing_ok=True)
    loaded = AutoTokenizer.from_pretrained(FOLDER / name, use_fast=False)
    if not set(loaded.vocab_files_names.values()) & {path.name for path in (tmp_path / "own").iterdir()}:
        loaded.save_vocabulary(tmp_path / "own")  # transformers 5 saves tokenizer.json alone
    tokenizer = type(loaded).from_pretrained(tmp_path / "own")
    assert tokenizer.get_vocab() == loaded.get_vocab()
    for text, row, _ in expected["texts"]:
        assert row_of(tokenizer, row, text) == row, ascii(text)


@pytest.mark.filterwarnings("ignore:max_length", "ignore:.*without truncation")
@pytest.mark.parametrize("name", NAMES)
def test_calls(name):
    expected = read(name)
    tokenizer = AutoTokenizer.from_pretrained(FOLDER / name, use_fast=False)
    results = 0
    for call in expected["calls"]:
        text, text_pair = INPUTS[call["inputs"]]
        tokenizer.padding_side, tokenizer.truncation_side = call["sides"]
        if call["result"] is None:
            with pytest.raises((ValueError, NotImplementedError)):
                tokenizer(text, text_pair, verbose=False, **call["options"])
        else:
            results += 1
            assert plain(tokenizer(text, text_pair, verbose=False, **call["options"])) == call["result"], call
    assert results > 10
