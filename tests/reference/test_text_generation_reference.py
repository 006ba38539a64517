"""The text-generation pipeline against the original's: the same folder, the same calls, the same texts."""

import numpy as np
import pytest

from edutransformers import GPT2Config, GPT2LMHeadModel, GPT2Tokenizer, pipeline
from edutransformers.tokenizers import ByteLevel, train_bpe

from .common import MAJOR, transformers

pytestmark = [
    pytest.mark.reference,
    pytest.mark.skipif(MAJOR < 5, reason="needs transformers 5.x"),
    pytest.mark.filterwarnings("ignore"),
]

TEXT = "the cat sat on the mat, and the dog didn't sit on the log . Naïve café! "


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gpt2")
    vocab, merges = train_bpe(
        [TEXT * 3],
        320,
        special_tokens=["<|endoftext|>"],
        pre_tokenizer=ByteLevel(add_prefix_space=False),
        initial_alphabet=ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer = GPT2Tokenizer(vocab=vocab, merges=merges, pad_token="<|endoftext|>", model_max_length=64)
    config = GPT2Config(
        vocab_size=len(tokenizer), n_embd=24, n_layer=2, n_head=2, n_positions=64, bos_token_id=0, eos_token_id=0,
        initializer_range=0.4,
    )  # fmt: skip
    model = GPT2LMHeadModel(config, generator=np.random.default_rng(0)).eval()
    model.generation_config.max_new_tokens = 9
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return pipeline(model=str(folder)), transformers.pipeline("text-generation", model=str(folder))


CALLS = {
    "one": ("the cat", {}),
    "several": (["the cat", "a Naïve dog,", " on"], {}),
    "new text": (["the cat", "and the dog"], {"return_full_text": False}),
    "ids": ("the dog", {"return_tensors": True}),
    "beams": ("the dog", {"num_beams": 3, "num_return_sequences": 2}),
    "prefix": (" sat on", {"prefix": "the cat"}),
    "stop": ("the cat", {"stop_sequence": " the"}),
    "rules": ("the mat", {"repetition_penalty": 1.4, "no_repeat_ngram_size": 2, "min_new_tokens": 5}),
    "hole": ("the cat sat on the mat " * 20, {"handle_long_generation": "hole", "max_new_tokens": 9}),
    "not cleaned": ("the log .", {"clean_up_tokenization_spaces": False}),
    "cleaned": ("the log .", {"clean_up_tokenization_spaces": True}),
}


@pytest.mark.parametrize("name", CALLS)
def test_the_same_texts(pair, name):
    ours, theirs = pair
    inputs, settings = CALLS[name]
    settings = {"do_sample": False, "clean_up_tokenization_spaces": False, **settings}
    assert ours(inputs, **settings) == theirs(inputs, **settings)


def test_batches(pair):
    ours, theirs = pair
    inputs = ["the cat", "a Naïve dog, and the log", "on"]
    settings = {"do_sample": False, "clean_up_tokenization_spaces": False, "batch_size": 3}
    theirs.tokenizer.padding_side = "left"
    assert ours(inputs, **settings) == theirs(inputs, **settings)
