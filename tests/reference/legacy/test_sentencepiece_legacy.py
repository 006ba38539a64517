"""SentencePiece models as the converter of transformers 4.34.1 makes stages of them."""

import io
import random
from pydoc_data import topics
from types import SimpleNamespace

import pytest

sentencepiece = pytest.importorskip("sentencepiece")
transformers = pytest.importorskip("transformers", minversion="4.34")

from transformers.convert_slow_tokenizer import SentencePieceExtractor, SpmConverter  # noqa: E402

from edutransformers.tokenizers.sentencepiece_model import MODEL_TYPES, read_sentencepiece  # noqa: E402
from edutransformers.tokenizers.sentencepiece_stages import engine_of, merges_of  # noqa: E402
from tests.tokenizers.texts import ADVERSARIAL  # noqa: E402

pytestmark = pytest.mark.legacy

ENGLISH = [line for text in topics.topics.values() for line in text.splitlines() if line]


@pytest.fixture(scope="module", params=["unigram", "bpe"])
def path(request, tmp_path_factory):
    file = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(ENGLISH[:1500]),
        model_writer=file,
        model_type=request.param,
        vocab_size=600,
        minloglevel=2,
        num_threads=1,
    )
    path = tmp_path_factory.mktemp(request.param) / "a.model"
    path.write_bytes(file.getvalue())
    return path


def converted(path):
    """The converter wants the file's content as a message of Google's library; this has the same names."""
    model = read_sentencepiece(path)
    converter = SpmConverter.__new__(SpmConverter)
    converter.original_tokenizer = SimpleNamespace(vocab_file=str(path))
    kind = {name: number for number, name in MODEL_TYPES.items()}[model.trainer.model_type]
    converter.proto = SimpleNamespace(
        pieces=model.pieces,
        trainer_spec=SimpleNamespace(model_type=kind, unk_id=model.trainer.unk_id, unk_piece=model.trainer.unk_piece),
        normalizer_spec=SimpleNamespace(precompiled_charsmap=model.normalizer.precompiled_charsmap),
    )
    return converter.converted()


def test_ids_and_offsets(path):
    """Equal but for blanks at a text's end, which 4.34 writes as a "▁" of their own, and SentencePiece drops."""
    theirs, ours = converted(path), engine_of(read_sentencepiece(path))
    generator = random.Random(0)
    made = [
        "".join(generator.choices("the  of aé\u0301\u3000ﬁ½\n日", k=generator.randrange(1, 20))) for _ in range(300)
    ]
    for text in [*ADVERSARIAL, *generator.sample(ENGLISH, 500), *made]:
        encoding, (row,) = theirs.encode(text), ours.encode(ours.tokenize(text))
        kept = len(encoding.ids)
        while kept and encoding.tokens[kept - 1] == "▁":
            kept -= 1
        assert row.ids == encoding.ids[:kept], ascii(text)
        assert row.offsets == encoding.offsets[:kept], ascii(text)
    assert theirs.encode("the ").tokens[-1] == "▁"
    assert ours.tokenize("the ").ids == ours.tokenize("the").ids


def test_merges(path):
    model = read_sentencepiece(path)
    if model.trainer.model_type == "bpe":
        _, merges = SentencePieceExtractor(str(path)).extract()
        assert merges_of(model) == merges
