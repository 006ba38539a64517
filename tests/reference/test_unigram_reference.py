"""Unigram against the `tokenizers` library: id for id, offset for offset, also where scores are equal."""

import random

import pytest

tokenizers = pytest.importorskip("tokenizers")

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
