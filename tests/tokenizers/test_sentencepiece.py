"""SentencePiece models: read, written, cut as the library cuts (frozen), made into stages (frozen), and broken ones."""

import dataclasses
import json
import random
import struct
import zlib
from pathlib import Path

import pytest

from edutransformers.tokenizers.protobuf import BYTES, VARINT, Field, read_fields, write_fields
from edutransformers.tokenizers.sentencepiece_encoder import SentencePieceEncoder
from edutransformers.tokenizers.sentencepiece_model import (
    NormalizerSettings,
    Piece,
    SentencePieceModel,
    TrainerSettings,
    read_sentencepiece,
)
from edutransformers.tokenizers.sentencepiece_stages import (
    added_tokens_of,
    engine_of,
    merges_of,
    model_of,
    normalizer_of,
    pre_tokenizer_of,
)
from edutransformers.tokenizers.tokenizer_json import engine_from_json, engine_to_json
from tests.tokenizers.sentencepiece_models import LETTERS, LONG, MODELS, SPECIAL, TEXTS, WITH_STAGES, make

FROZEN = json.loads((Path(__file__).parents[1] / "fixtures" / "tokenizers" / "sentencepiece.json").read_text("utf-8"))


def test_the_fixture_is_of_these_models():
    assert FROZEN["texts"] == TEXTS
    assert list(FROZEN["models"]) == list(MODELS)


# ----- the file ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MODELS)
def test_written_and_read(name, tmp_path):
    model = MODELS[name]
    path = tmp_path / "spiece.model"
    path.write_bytes(model.to_bytes())
    found = read_sentencepiece(path)
    assert found == model
    assert found.to_bytes() == path.read_bytes()


def test_a_file_by_hand(tmp_path):
    """Bytes as sentencepiece_model.proto says; settings that have no name here are kept."""
    unknown = b"\x0a\x05<unk>" + b"\x15" + struct.pack("<f", 0.0) + b"\x18\x02"
    letter = b"\x0a\x03\xe2\x96\x81" + b"\x15" + struct.pack("<f", -1.5)
    trainer = b"\x0a\x05a.txt" + b"\x18\x02" + b"\x20\x02" + b"\xd8\x02" + b"\xff" * 9 + b"\x01" + b"\x98\x02\x01"
    normalizer = b"\x0a\x08identity" + b"\x18\x00"
    data = b"".join(
        tag + bytes([len(part)]) + part
        for tag, part in ((b"\x0a", unknown), (b"\x0a", letter), (b"\x12", trainer), (b"\x1a", normalizer))
    )
    path = tmp_path / "a.model"
    path.write_bytes(data + b"\x30\x07")  # a field 6, of which nothing is known
    model = read_sentencepiece(path)
    assert model.pieces == (Piece("<unk>", 0.0, "unknown"), Piece("▁", -1.5))
    trainer = model.trainer
    assert (trainer.model_type, trainer.vocab_size, trainer.byte_fallback, trainer.pad_id) == ("bpe", 2, True, -1)
    assert trainer.bos_piece == "<s>"
    assert trainer.others == (Field(1, BYTES, b"a.txt"), Field(43, VARINT, 2**64 - 1))[:1]
    assert (model.normalizer.name, model.normalizer.add_dummy_prefix) == ("identity", False)
    assert model.normalizer.remove_extra_whitespaces
    assert model.others == (Field(6, VARINT, 7),)
    assert model.to_bytes() == path.read_bytes()  # as it came, and not as it would be written here
    again = SentencePieceModel.from_bytes(model.with_pieces(model.pieces).to_bytes())
    assert again.trainer.others == trainer.others
    assert again.others == model.others


def test_other_pieces():
    pieces = [Piece("a", -1.0), Piece("</s>", 0.0, "control"), ("<pad>", 0.0, "control"), Piece("?", 0.0, "unknown")]
    model = MODELS["unigram"].with_pieces(pieces)
    trainer = model.trainer
    assert (trainer.vocab_size, trainer.unk_id, trainer.unk_piece) == (4, 3, "?")
    assert (trainer.bos_id, trainer.eos_id, trainer.pad_id) == (-1, 1, 2)
    assert model.unk_id == 3
    assert model.normalizer == MODELS["unigram"].normalizer
    assert SentencePieceModel.from_bytes(model.to_bytes()) == model
    # A changed model is written anew, also where it came from a file.
    read = SentencePieceModel.from_bytes(model.to_bytes())
    changed = dataclasses.replace(read, normalizer=NormalizerSettings(name="identity"))
    assert SentencePieceModel.from_bytes(changed.to_bytes()).normalizer.name == "identity"


# ----- cutting as the library does -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MODELS)
def test_frozen_ids_of_the_library(name):
    encoder = SentencePieceEncoder(MODELS[name])
    frozen = FROZEN["models"][name]
    for text, ids, decoded in zip(TEXTS, frozen["ids"], frozen["decoded"]):
        assert encoder.encode(text) == ids, ascii(text)
        assert encoder.decode(ids) == decoded, ascii(text)


def pieces_of(name, text):
    return [piece for piece, _ in SentencePieceEncoder(MODELS[name]).pieces(text)]


def test_by_hand():
    assert pieces_of("bpe", "hello  world") == ["▁hello", "▁world"]
    assert pieces_of("bpe", "hexyello") == ["▁he", "xy", "e", "llo"]  # unknown characters are fused
    assert pieces_of("bpe, bytes, all blanks", "é日") == ["▁", "é", "<0xE6>", "<0x97>", "<0xA5>"]
    assert pieces_of("bpe, own pieces", "an and") == ["▁an", "▁an", "d"]
    assert pieces_of("bpe, unused pieces", "the") == ["▁t", "he"]  # what "▁the" was made of
    assert pieces_of("char", "the") == ["▁", "t", "h", "e"]
    assert pieces_of("word", "hello there an") == ["▁hello", "▁there", "▁an"]
    assert SentencePieceEncoder(MODELS["unigram"]).normalize(" ﬁ \u3000e\u0301 ") == "▁fi▁é"
    assert SentencePieceEncoder(MODELS["unigram, blanks behind"]).normalize("a b") == "a▁b▁"


def test_own_pieces_of_unigram():
    """Of user-defined pieces, whose scores the file doesn't say, few long ones are better than many short ones."""
    own = [(piece, 0.0, "user_defined") for piece in ("a", "b", "cde", "abc", "de")]
    model = SentencePieceModel([*SPECIAL, *own, ("▁", -1.0), *((letter, -3.0) for letter in "cd")])
    assert [piece for piece, _ in SentencePieceEncoder(model).pieces("abcde")] == ["▁", "abc", "de"]


def test_unused_pieces_of_words_and_characters():
    unused = [("a", -1.0), ("b", 0.0, "unused"), ("▁", -1.0), ("▁a", -1.0), ("▁b", 0.0, "unused")]
    for kind, expected in (("char", [3 + 2, 3, 3 + 2, 0, 3 + 2, 3]), ("word", [3 + 3, 0, 3 + 3])):
        assert SentencePieceEncoder(make(kind, [*SPECIAL, *unused])).encode("a b a") == expected


def test_decoding_by_hand():
    """What of the blanks at the beginning is left out; bytes that are no text, each by itself."""
    encoder = SentencePieceEncoder(MODELS["bpe"])
    assert encoder.decode([encoder.ids["▁"], encoder.ids["▁the"], 1, encoder.ids["▁a"]]) == "the a"
    encoder = SentencePieceEncoder(MODELS["bpe, bytes, all blanks"])
    assert encoder.decode([encoder.ids["▁"], encoder.ids["▁the"]]) == " the"
    bytes_of = encoder.byte_ids
    ids = [bytes_of[0xE6], bytes_of[0x97], encoder.ids["a"], bytes_of[0xE6], bytes_of[0x97], bytes_of[0xA5]]
    assert encoder.decode(ids) == "\ufffd\ufffda日"


@pytest.mark.parametrize("name", ["unigram", "bpe"])
def test_a_long_text_without_blanks(name):
    """The sum of scores grows beyond what float32 can add a piece to, were it not taken back in between."""
    ids = SentencePieceEncoder(MODELS[name]).encode(LONG)
    assert len(ids) > 30_000
    assert zlib.crc32(json.dumps(ids).encode()) == FROZEN["models"][name]["long"]


def test_text_after_decoding():
    """A model with a denormalizer: hardly any has one."""
    plain = NormalizerSettings(
        precompiled_charsmap=MODELS["bpe"].normalizer.precompiled_charsmap,
        add_dummy_prefix=False,
        remove_extra_whitespaces=False,
        escape_whitespaces=False,
    )
    model = dataclasses.replace(MODELS["char"], denormalizer=plain)
    assert SentencePieceModel.from_bytes(model.to_bytes()) == model
    encoder = SentencePieceEncoder(model)
    ids = [3 + LETTERS.index(letter) for letter in "▁the1"]
    assert encoder.decode(ids) == "the1"
    assert encoder.decode([3 + LETTERS.index("e"), 0]) == "e \u2047 "


# ----- stages --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", WITH_STAGES)
def test_frozen_ids_and_offsets_of_the_stages(name):
    engine = engine_of(MODELS[name])
    again = engine_from_json(json.loads(json.dumps(engine_to_json(engine))))
    for text, (ids, offsets) in zip(TEXTS, FROZEN["models"][name]["stages"]):
        for stages in (engine, again):
            (row,) = stages.encode(stages.tokenize(text))
            assert row.ids == ids, ascii(text)
            assert [list(span) for span in row.offsets] == offsets, ascii(text)


def test_most_texts_give_the_same_either_way():
    for name in set(WITH_STAGES) - {"unigram, unused pieces", "bpe, unused pieces"}:
        frozen = FROZEN["models"][name]
        same = sum(ids == row[0] for ids, row in zip(frozen["ids"], frozen["stages"]))
        assert same >= len(TEXTS) - 6, name


def test_merges():
    assert merges_of(MODELS["bpe"])[:4] == [("▁", "t"), ("h", "e"), ("▁t", "he"), ("▁", "he")]
    # Every cut into two pieces, by the score of the whole, then by those of the parts.
    eee = [(left, right) for left, right in merges_of(MODELS["bpe"]) if left + right == "eee"]
    assert eee == [("ee", "e"), ("e", "ee")]
    assert ("▁a", "n") not in merges_of(MODELS["bpe, own pieces"])  # "▁an" is the user's, found as a whole


def test_added_tokens():
    added = added_tokens_of(MODELS["unigram, own pieces"])
    assert {i: (token.content, token.special, token.normalized) for i, token in added.items()} == {
        1: ("<s>", True, False),
        2: ("</s>", True, False),
        3: ("<sep>", False, False),
        4: ("▁an", False, False),
        5: ("d", False, False),
    }


def test_words_are_cut_only_where_no_piece_reaches_over_their_ends():
    pieces = [*SPECIAL, *(Piece(letter, -4.0) for letter in LETTERS), Piece("a▁l", -5.0)]
    across = MODELS["unigram"].with_pieces(pieces)
    assert pre_tokenizer_of(MODELS["unigram"]) is not None
    assert pre_tokenizer_of(across) is None
    tokens = engine_of(across).tokenize("la  la").ids
    assert [across.pieces[i].piece for i in tokens] == ["▁", "l", "a▁l", "a"]
    assert normalizer_of(across).normalize(" a  b ").text == "▁a▁b"


def test_what_no_stages_can_do():
    with pytest.raises(ValueError, match="marks where a word ends .* SentencePieceEncoder can"):
        engine_of(MODELS["unigram, blanks behind"])
    with pytest.raises(ValueError, match="has words as pieces"):
        model_of(MODELS["word"])
    plain = dataclasses.replace(MODELS["char"], normalizer=NormalizerSettings(escape_whitespaces=False))
    with pytest.raises(ValueError, match="leaves blanks as they are"):
        model_of(plain)


# ----- broken files --------------------------------------------------------------------------------------------------


def broken(**parts):
    """A small model's bytes with other fields: pieces as bytes, trainer, normalizer."""
    fields = [Field(1, BYTES, piece) for piece in parts.get("pieces", [b"\x0a\x01u\x18\x02", b"\x0a\x01a"])]
    fields += [Field(2, BYTES, parts.get("trainer", b"")), Field(3, BYTES, parts.get("normalizer", b""))]
    return write_fields(fields)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "it has no pieces"),
        (b"\n", "ends in the middle of a number"),
        (b"version https://git-lfs", "is of wire type"),
        (b'{"a": 1}', "said to have|wire type|number 0"),
        (broken(pieces=[b"\x0a\x00\x18\x02"]), "piece 0 is empty"),
        (broken(pieces=[b"\x0a\x01a"]), "0 pieces are of type 'unknown'; expected one"),
        (broken(pieces=[b"\x0a\x01a\x18\x02", b"\x0a\x01b\x18\x02"]), "2 pieces are of type 'unknown'"),
        (broken(pieces=[b"\x0a\x01u\x18\x02", b"\x0a\x01u"]), "it has the piece 'u' twice, as 0 and 1"),
        (broken(pieces=[b"\x0a\x01u\x18\x09"]), "piece 0, 'u', is of type 9; expected 1 to 6"),
        (broken(pieces=[b"\x0a\x02\xff\xfe"]), "piece 0 is not UTF-8"),
        (broken(pieces=[b"\x0a\x01u\x18\x02", b"\x0a\x01a\x15\x00\x00\xc0\x7f"]), "the score of piece 1, 'a', is nan"),
        (broken(trainer=b"\x18\x07"), "the model is of type 7; expected 1 to 4"),
        (broken(trainer=b"\x1a\x01a"), "the setting model_type is of wire type 2"),
        (broken(trainer=b"\xea\x02\x01\xff"), "the setting unk_piece is not UTF-8"),
        (broken(normalizer=b"\x12\x09ab"), "field 2 is said to have 9 bytes, but only 2 are left"),
        (b"\x08\x01", "field 1 is of wire type 0; expected 2"),
    ],
)
def test_errors(data, message, tmp_path):
    path = tmp_path / "broken.model"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=message) as caught:
        read_sentencepiece(path)
    assert str(caught.value).startswith(f"{path} is no whole SentencePiece model")


def test_no_file(tmp_path):
    with pytest.raises(OSError, match="There is no SentencePiece model"):
        read_sentencepiece(tmp_path / "none.model")


def test_a_truncated_file_is_an_error_or_lacks_its_end(tmp_path):
    """Cut at each of its bytes: an error, but for the few places where a whole field ends."""
    data = MODELS["word"].to_bytes()
    ends = {0}
    for field in read_fields(data):
        ends.add(max(ends) + len(write_fields([field])))
    for stop in range(len(data)):
        try:
            SentencePieceModel.from_bytes(data[:stop])
        except ValueError:
            continue
        assert stop in ends


def test_random_bytes_are_an_error():
    generator = random.Random(0)
    data = bytearray(MODELS["unigram, own pieces"].to_bytes())
    read = 0
    for _ in range(400):
        changed = bytearray(data)
        for _ in range(generator.randrange(1, 4)):
            changed[generator.randrange(len(changed))] = generator.randrange(256)
        for candidate in (bytes(changed), generator.randbytes(generator.randrange(200))):
            try:
                SentencePieceModel.from_bytes(candidate)
                read += 1
            except ValueError:
                pass
    assert read  # a changed letter is no error


def test_a_broken_map_of_replacements():
    for charsmap, message in ((b"\x01", "has 1 bytes"), (b"\x08\0\0\0\0\0\0\0", "is said to have 8 of 4 bytes")):
        model = dataclasses.replace(MODELS["char"], normalizer=NormalizerSettings(precompiled_charsmap=charsmap))
        with pytest.raises(ValueError, match=message):
            SentencePieceEncoder(model)
    whole = bytearray(MODELS["char"].normalizer.precompiled_charsmap)
    generator, seen = random.Random(1), set()
    for _ in range(60):
        changed = bytearray(whole)
        for _ in range(3000):
            changed[generator.randrange(4, 40_000)] = generator.randrange(256)
        model = dataclasses.replace(MODELS["char"], normalizer=NormalizerSettings(precompiled_charsmap=bytes(changed)))
        try:
            SentencePieceEncoder(model).encode("ﬁ\u3000½a")
        except ValueError as error:
            seen.add(str(error))
    assert seen
    assert all(message.startswith("the precompiled map is broken") for message in seen)


def test_errors_of_the_encoder():
    encoder = SentencePieceEncoder(MODELS["char"])
    with pytest.raises(ValueError, match="The id 18 is outside the vocabulary, which has 18 pieces"):
        encoder.decode([3, 18])
    with pytest.raises(ValueError, match="The id -1"):
        encoder.decode([-1])
    pieces = MODELS["bpe, bytes, all blanks"].pieces
    without = MODELS["bpe, bytes, all blanks"].with_pieces([p for p in pieces if p.piece != "<0x41>"])
    with pytest.raises(ValueError, match="1 of the 256 have no piece, the first is <0x41>"):
        SentencePieceEncoder(without)
    with pytest.raises(ValueError, match=r"text holds a lone surrogate \(U\+D800 at character 1\)"):
        encoder.encode("a\ud800")
    with pytest.raises(ValueError, match="is of type 'special'; known are normal, unknown"):
        SentencePieceModel([Piece("a", 0.0, "special")])
    assert TrainerSettings().model_type == "unigram"
