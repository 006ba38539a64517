"""SentencePiece models against the sentencepiece library; stages against `tokenizers` and transformers' converter."""

import io
import json
import random
import re
from functools import lru_cache
from pydoc_data import topics
from types import SimpleNamespace

import pytest

sentencepiece = pytest.importorskip("sentencepiece")
tokenizers = pytest.importorskip("tokenizers")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from transformers.convert_slow_tokenizer import SentencePieceExtractor, SpmConverter  # noqa: E402

from edutransformers.tokenizers.bpe import BPE  # noqa: E402
from edutransformers.tokenizers.sentencepiece_encoder import SentencePieceEncoder  # noqa: E402
from edutransformers.tokenizers.sentencepiece_model import SentencePieceModel, read_sentencepiece  # noqa: E402
from edutransformers.tokenizers.sentencepiece_stages import engine_of, merges_of  # noqa: E402
from edutransformers.tokenizers.tokenizer_json import engine_to_json  # noqa: E402
from tests.tokenizers.sentencepiece_models import LONG, MODELS  # noqa: E402
from tests.tokenizers.texts import ADVERSARIAL  # noqa: E402

pytestmark = pytest.mark.reference

ENGLISH = [line for text in topics.topics.values() for line in text.splitlines() if line]
TRAINED = {
    "unigram": {"model_type": "unigram", "vocab_size": 700},
    "bpe": {"model_type": "bpe", "vocab_size": 700},
    "unigram, bytes": {"vocab_size": 800, "byte_fallback": True, "character_coverage": 0.98},
    "bpe, bytes": {"model_type": "bpe", "vocab_size": 800, "byte_fallback": True, "character_coverage": 0.98},
    "Llama's settings": {
        "model_type": "bpe",
        "vocab_size": 800,
        "byte_fallback": True,
        "normalization_rule_name": "identity",
        "remove_extra_whitespaces": False,
        "split_digits": True,
    },
    "own pieces": {"vocab_size": 500, "user_defined_symbols": ["the", "▁of", "<sep>", "\n"]},
    "own pieces, bpe": {"model_type": "bpe", "vocab_size": 500, "user_defined_symbols": ["the", "▁of", "<sep>", "  "]},
    "no blank before": {"vocab_size": 500, "add_dummy_prefix": False},
    "over words": {"vocab_size": 500, "split_by_whitespace": False},
    "blanks behind": {"vocab_size": 500, "treat_whitespace_as_suffix": True},
    "nfkc, lower case": {"vocab_size": 500, "normalization_rule_name": "nfkc_cf"},
    "ids moved": {"vocab_size": 500, "pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1},
    "char": {"model_type": "char", "vocab_size": 80},
    "char, bytes": {"model_type": "char", "vocab_size": 320, "byte_fallback": True},
    "word": {"model_type": "word", "vocab_size": 800},
}
WITHOUT_STAGES = ("blanks behind", "word")
POOL = "aAbé\u0301\u0323\u0308ÅÅﬁ½ｶﾞ각\u1100\u1161\u11a8\u0344\u0f73ǖ①İß   \t\n\u3000\u200b\ufeff㍿Ⅳﷺ😀🏽▁<s><unk>the of"


def texts():
    generator = random.Random(0)
    yield from ADVERSARIAL
    yield from generator.sample(ENGLISH, 120)
    for pool, count in ((POOL, 300), ("the  of e\n", 150), ("et", 30)):
        for _ in range(count):
            yield "".join(generator.choices(pool, k=generator.randrange(1, 25)))


TEXTS = list(texts())


@pytest.fixture(scope="module")
def trained():
    """The content of a `.model` file, by name; each is trained when it is first asked for."""

    @lru_cache
    def train(name):
        file = io.BytesIO()
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(ENGLISH[:1500]), model_writer=file, minloglevel=2, num_threads=1, **TRAINED[name]
        )
        return file.getvalue()

    return train


@pytest.fixture(scope="module")
def both(trained):
    """The library with a model, and our encoder."""

    @lru_cache
    def make(name):
        model = SentencePieceModel.from_bytes(trained(name))
        return sentencepiece.SentencePieceProcessor(model_proto=trained(name)), SentencePieceEncoder(model)

    return make


@pytest.mark.parametrize("name", TRAINED)
def test_the_file(name, trained, tmp_path):
    (tmp_path / "a.model").write_bytes(trained(name))
    model = read_sentencepiece(tmp_path / "a.model")
    assert model.to_bytes() == trained(name)
    library = sentencepiece.SentencePieceProcessor(model_proto=trained(name))
    kinds = {"unknown": library.is_unknown, "control": library.is_control, "byte": library.is_byte}
    for i, piece in enumerate(model.pieces):
        assert (piece.piece, piece.score) == (library.id_to_piece(i), library.get_score(i))
        assert [kind for kind, is_so in kinds.items() if is_so(i)] == [piece.type] * (piece.type in kinds)
    assert model.unk_id == model.trainer.unk_id == library.unk_id()
    ids = (model.trainer.bos_id, model.trainer.eos_id, model.trainer.pad_id)
    assert ids == (library.bos_id(), library.eos_id(), library.pad_id())


@pytest.mark.parametrize("name", TRAINED)
def test_the_library_itself(name, both):
    library, encoder = both(name)
    for text in TEXTS:
        ids = library.encode(text)
        assert encoder.normalize(text) == library.normalize(text), ascii(text)
        assert encoder.encode(text) == ids, ascii(text)
        assert [piece for piece, _ in encoder.pieces(text)] == library.encode(text, out_type=str), ascii(text)
        assert encoder.decode(ids) == library.decode(ids), ascii(text)
    generator = random.Random(0)
    for number in range(600):
        below = len(library) if number % 2 else min(300, len(library))
        ids = [generator.randrange(below) for _ in range(generator.randrange(1, 12))]
        assert encoder.decode(ids) == library.decode(ids), ids


ANY_TEXT = st.text(st.characters(codec="utf-8") | st.sampled_from(" ▁\u0301\u3000the"))


@pytest.mark.parametrize("name", ["unigram", "bpe, bytes", "Llama's settings", "own pieces"])
@settings(deadline=None, max_examples=200)
@given(text=ANY_TEXT)
def test_the_library_itself_on_made_up_texts(name, both, text):
    library, encoder = both(name)
    assert encoder.encode(text) == library.encode(text)


@pytest.mark.parametrize("name", MODELS)
def test_models_that_we_write(name):
    """The library loads what to_bytes gives, and cuts texts that the frozen tests don't have in the same way."""
    library = sentencepiece.SentencePieceProcessor(model_proto=MODELS[name].to_bytes())
    encoder = SentencePieceEncoder(MODELS[name])
    generator = random.Random(0)
    for _ in range(500):
        text = "".join(generator.choices("ethaoldrwn é1fi①▁\u0301\u0323<sep>an", k=generator.randrange(1, 30)))
        assert encoder.encode(text) == library.encode(text), ascii(text)
    assert encoder.encode(LONG) == library.encode(LONG)


def test_other_pieces(trained):
    """A model whose vocabulary was trained elsewhere: the library loads it, with our pieces, scores and ids."""
    model = SentencePieceModel.from_bytes(trained("unigram"))
    special = [("<pad>", 0.0, "control"), ("</s>", 0.0, "control"), ("?", 0.0, "unknown")]
    ours = model.with_pieces([*special, ("▁", -2.0), ("▁the", -3.5), ("the", -5.25), *((c, -4.0) for c in "theof")])
    library = sentencepiece.SentencePieceProcessor(model_proto=ours.to_bytes())
    assert [library.id_to_piece(i) for i in range(len(library))] == [piece.piece for piece in ours.pieces]
    assert (library.unk_id(), library.eos_id(), library.pad_id(), library.bos_id()) == (2, 1, 0, -1)
    encoder = SentencePieceEncoder(ours)
    for text in TEXTS:
        assert encoder.encode(text) == library.encode(text), ascii(text)


@pytest.mark.parametrize("name", [name for name in TRAINED if name not in WITHOUT_STAGES])
def test_stages(name, trained):
    """Ids, tokens and offsets of `tokenizers` with the same stages; and on prose the ids of the library itself."""
    engine = engine_of(SentencePieceModel.from_bytes(trained(name)))
    theirs = tokenizers.Tokenizer.from_str(json.dumps(engine_to_json(engine)))
    library = sentencepiece.SentencePieceProcessor(model_proto=trained(name))
    for text in TEXTS:
        encoding, (row,) = theirs.encode(text), engine.encode(engine.tokenize(text))
        assert row.ids == encoding.ids, ascii(text)
        assert row.tokens == encoding.tokens, ascii(text)
        assert row.offsets == encoding.offsets, ascii(text)
        tokens = [engine.id_to_token(i) for i in encoding.ids]
        assert engine.decode(tokens) == theirs.decode(encoding.ids, skip_special_tokens=False), ascii(text)
    # Cuts of a long run of one character have equal sums; then rounding to float32 decides in the library.
    prose = [text for text in random.Random(1).sample(ENGLISH, 600) if not re.search(r"(.)\1{7}", text.strip())]
    if "own pieces" in name:
        prose = [" ".join(text.split()) for text in prose if "the" not in text and " of" not in text]
    assert len(prose) > 100
    assert [text for text in prose if theirs.encode(text).ids != library.encode(text)] == []


def test_behind_an_own_piece():
    """What is behind a user-defined piece is a text of its own, with a blank before it; but not in the library."""
    model = MODELS["unigram, own pieces"]
    expected = sentencepiece.SentencePieceProcessor(model_proto=model.to_bytes()).encode("the<sep>he")
    assert engine_of(model, prepend_scheme="first").tokenize("the<sep>he").ids == expected
    assert engine_of(model).tokenize("the<sep>he").ids != expected


@pytest.mark.parametrize("name", ["unigram", "nfkc, lower case", "ids moved", "own pieces"])
def test_the_converter(name, trained, tmp_path):
    """The stages of transformers' SpmConverter, part for part."""
    (tmp_path / "a.model").write_bytes(trained(name))
    converted = SpmConverter(SimpleNamespace(vocab_file=str(tmp_path / "a.model"))).converted()
    assert engine_to_json(engine_of(read_sentencepiece(tmp_path / "a.model"))) == json.loads(converted.to_str())


@pytest.mark.parametrize("name", ["bpe", "bpe, bytes", "Llama's settings"])
def test_merges(name, trained, tmp_path):
    """transformers 5 puts the cuts of one piece in another order than 4.34, whose order is ours; ids are the same."""
    (tmp_path / "a.model").write_bytes(trained(name))
    extracted = SentencePieceExtractor(str(tmp_path / "a.model")).extract(tokenizers.models.BPE)
    model = read_sentencepiece(tmp_path / "a.model")
    ours = merges_of(model)
    assert extracted["vocab"] == {piece.piece: i for i, piece in enumerate(model.pieces)}
    assert set(extracted["merges"]) == set(ours)
    assert [left + right for left, right in extracted["merges"]] == [left + right for left, right in ours]
    mine, other = (BPE(extracted["vocab"], merges, unk_token="<unk>") for merges in (ours, extracted["merges"]))
    words = {word for line in ENGLISH for word in line.split()}
    assert all(mine.tokenize("▁" + word) == other.tokenize("▁" + word) for word in words)
