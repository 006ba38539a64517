"""Vocabulary files against the originals: what `tokenizers` writes, and tiktoken with the same ranks."""

import base64
import random
from pydoc_data import topics

import pytest

tokenizers = pytest.importorskip("tokenizers")
tiktoken = pytest.importorskip("tiktoken")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from tiktoken.load import load_tiktoken_bpe  # noqa: E402
from tokenizers import models  # noqa: E402
from transformers.convert_slow_tokenizer import TikTokenConverter  # noqa: E402

from edutransformers.tokenizers.bpe import BPE  # noqa: E402
from edutransformers.tokenizers.byte_level import BYTES, CHARACTERS, ByteLevel, ByteLevelDecoder, to_characters  # noqa: E402
from edutransformers.tokenizers.engine import Engine  # noqa: E402
from edutransformers.tokenizers.training import train_bpe  # noqa: E402
from edutransformers.tokenizers.vocabulary_files import (  # noqa: E402
    merges_text,
    read_merges,
    read_tiktoken,
    read_vocab_json,
    read_vocabulary,
    vocab_json_text,
    vocabulary_text,
)
from tests.tokenizers.texts import ADVERSARIAL  # noqa: E402

pytestmark = pytest.mark.reference

ENGLISH = list(topics.topics.values())
GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"


def test_what_the_library_writes(tmp_path):
    """Byte for byte, and read back."""
    vocab = {"a": 0, "Ġ": 2, 'é"\\': 1, "\n\u2028\x01\x7f": 3, "aĠ": 4, "日": 5, "日a": 6}
    merges = [("a", "Ġ"), ("日", "a")]
    models.BPE(vocab, merges).save(str(tmp_path))
    assert vocab_json_text(vocab).encode() == (tmp_path / "vocab.json").read_bytes()
    assert merges_text(merges).encode() == (tmp_path / "merges.txt").read_bytes()
    assert read_vocab_json(tmp_path / "vocab.json") == vocab
    assert read_merges(tmp_path / "merges.txt", vocab) == merges
    vocab = {"[UNK]": 0, "é": 1, "##a": 2, "\u2028": 3}
    models.WordPiece(vocab, unk_token="[UNK]").save(str(tmp_path))
    assert vocabulary_text(vocab).encode() == (tmp_path / "vocab.txt").read_bytes()
    assert read_vocabulary(tmp_path / "vocab.txt") == vocab


@pytest.mark.parametrize(
    "content", ["#version: 0.2\na b\n", "a b\r\n#version: x\r\n", "", "a b\nab\n", "a b c\n", "a  b\n"]
)
def test_merges_as_the_library_reads_them(tmp_path, content):
    (tmp_path / "merges.txt").write_bytes(content.encode())
    (tmp_path / "vocab.json").write_text('{"a": 0, "b": 1, "ab": 2}')
    try:
        _, expected = models.BPE.read_file(str(tmp_path / "vocab.json"), str(tmp_path / "merges.txt"))
    except Exception:  # a bare Exception is what the library raises
        with pytest.raises(ValueError, match="is no merge"):
            read_merges(tmp_path / "merges.txt")
    else:
        assert read_merges(tmp_path / "merges.txt") == expected


@pytest.fixture(scope="module")
def ranks():
    """A byte-level vocabulary as OpenAI numbers it: the bytes, then the merges in their order."""
    vocab, _ = train_bpe(
        [*ENGLISH, *ADVERSARIAL * 4],
        3000,
        pre_tokenizer=ByteLevel(add_prefix_space=False),
        initial_alphabet=CHARACTERS,
        show_progress=False,
    )
    return {bytes(BYTES[character] for character in token): i for token, i in vocab.items()}


@pytest.fixture(scope="module")
def path(ranks, tmp_path_factory):
    path = tmp_path_factory.mktemp("ranks") / "a.tiktoken"
    path.write_text("".join(f"{base64.b64encode(token).decode()} {rank}\n" for token, rank in ranks.items()))
    return path


@pytest.fixture(scope="module")
def both(path, ranks):
    vocab, merges = read_tiktoken(path)
    engine = Engine(BPE(vocab, merges), pre_tokenizer=ByteLevel(add_prefix_space=False), decoder=ByteLevelDecoder())
    return engine, tiktoken.Encoding("a", pat_str=GPT2, mergeable_ranks=ranks, special_tokens={})


@pytest.fixture(scope="module")
def whole_words(path, ranks):
    library = tiktoken.Encoding("b", pat_str="(?s).+", mergeable_ranks=ranks, special_tokens={})
    return BPE(*read_tiktoken(path)), library


def test_the_converter(path, ranks, monkeypatch):
    """Vocabulary and merges as transformers makes them."""
    monkeypatch.setattr(TikTokenConverter, "load_tiktoken_bpe", staticmethod(lambda path: ranks))
    vocab, merges = TikTokenConverter().extract_vocab_merges_from_model(str(path))
    assert read_tiktoken(path) == (vocab, merges)
    assert load_tiktoken_bpe(str(path)) == ranks


def test_tiktoken(both):
    engine, library = both
    generator = random.Random(0)
    pieces = [*(library.decode_single_token_bytes(i) for i in range(library.n_vocab))]
    pieces = [piece.decode() for piece in pieces if piece.isascii()]
    made = ["".join(generator.choices(pieces, k=generator.randrange(1, 8))) for _ in range(3000)]
    for text in [*ENGLISH, *ADVERSARIAL, *made]:
        ids = library.encode(text)
        assert engine.tokenize(text).ids == ids, ascii(text[:80])
        assert engine.decode([engine.id_to_token(i) for i in ids]) == library.decode(ids)


@settings(deadline=None, max_examples=200)
@given(text=st.text(st.characters(codec="utf-8") | st.sampled_from(" theré\n"), max_size=60))
def test_tiktoken_on_made_up_words(whole_words, text):
    """The whole text as one word: which characters a pattern takes for letters plays no part."""
    model, library = whole_words
    assert [token.id for token in model.tokenize(to_characters(text))] == library.encode(text)
