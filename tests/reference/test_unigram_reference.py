"""Unigram against the `tokenizers` library: id for id, offset for offset, also where scores are equal."""

import json
import random

import pytest

tokenizers = pytest.importorskip("tokenizers")

from edutransformers.tokenizers.tokenizer_json import read_tokenizer_json  # noqa: E402
from edutransformers.tokenizers.unigram import Unigram  # noqa: E402

pytestmark = pytest.mark.reference


@pytest.mark.parametrize("byte_fallback", [False, True])
@pytest.mark.parametrize("seed", range(30))
def test_unigram(seed, byte_fallback):
    generator = random.Random(seed)
    pieces = ["<unk>", *"abcd", *("".join(generator.choices("abcde", k=generator.randrange(2, 6))) for _ in range(25))]
    if byte_fallback:
        pieces += [f"<0x{byte:02X}>" for byte in range(256)]
    vocab = [
        (piece, generator.choice([-1.5, -2.5, round(-10 * generator.random(), 2)])) for piece in dict.fromkeys(pieces)
    ]
    theirs = tokenizers.Tokenizer(tokenizers.models.Unigram(vocab, 0, byte_fallback))
    ours = Unigram(vocab, 0, byte_fallback)
    for length in [1, 2, 3, 5, 8, 13, 21] * 5:
        word = "".join(generator.choices("abcdeé日", k=length)) + generator.choice(["", "", "<unk>"])
        encoding, found = theirs.encode(word), ours.tokenize(word)
        assert [token.id for token in found] == encoding.ids, word
        assert [(token.start, token.stop) for token in found] == encoding.offsets, word
        assert [token.text or ours.id_to_token[token.id] for token in found] == encoding.tokens, word


def test_scores_of_a_file_are_read_to_the_last_bit(tmp_path):
    """The library's reader of numbers rounds otherwise than Python's, and sums of equal pieces then differ."""
    generator = random.Random(0)
    numbers = [f"-{generator.random() * 10 ** generator.randrange(-9, 4)!r}" for _ in range(5000)]
    numbers += ["-1e-5", "-12345678901234567890.123", "-1.5E+3", "-0.1e-300", "-123456789012345678.9012345", "-5"]
    entries = ",".join(f'["t{i}",{number}]' for i, number in enumerate(numbers))
    path = tmp_path / "tokenizer.json"
    path.write_text(
        '{"version":"1.0","truncation":null,"padding":null,"added_tokens":[],"normalizer":null,"pre_tokenizer":null,'
        f'"post_processor":null,"decoder":null,"model":{{"type":"Unigram","unk_id":0,"vocab":[{entries}]}}}}'
    )
    theirs = json.loads(tokenizers.Tokenizer.from_file(str(path)).to_str())["model"]["vocab"]
    assert sum(float(number) != score for number, (_, score) in zip(numbers, theirs)) > 100
    assert read_tokenizer_json(path).model.scores == [score for _, score in theirs]
