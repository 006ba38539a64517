"""What the classes with a unigram model share: their files, drawn cuts, bytes, and what they refuse."""

import json
import random
from collections import Counter

import pytest

import edutransformers
from edutransformers import AlbertTokenizer, DebertaV2Tokenizer, T5Tokenizer, XLNetTokenizer
from edutransformers.tokenizers import BPE, Engine, SentencePieceModel
from edutransformers.tokenizers.sentencepiece_model import NormalizerSettings, Piece, TrainerSettings

from ..texts import ADVERSARIAL, LONG
from .pieces import model, vocabulary, write_model

SPECIAL = {
    "T5Tokenizer": ("<pad>", "</s>", "<unk>"),
    "AlbertTokenizer": ("<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"),
    "XLNetTokenizer": ("<unk>", "<s>", "</s>", "<cls>", "<sep>", "<pad>", "<mask>", "<eod>", "<eop>"),
    "XLMRobertaTokenizer": ("<unk>", "<s>", "</s>"),
    "DebertaV2Tokenizer": ("[PAD]", "[CLS]", "[SEP]", "[UNK]"),
}


def unknown_of(name):
    return "[UNK]" if "[UNK]" in SPECIAL[name] else "<unk>"


def build(name, folder, charsmap=b"", **options):
    tokenizer_class = getattr(edutransformers, name)
    path = folder / tokenizer_class.vocab_files_names["vocab_file"]
    write_model(path, *SPECIAL[name], unknown=unknown_of(name), charsmap=charsmap)
    return tokenizer_class(path, **options)


@pytest.mark.parametrize("name", SPECIAL)
def test_the_models_bytes_are_kept(name, tmp_path):
    tokenizer = build(name, tmp_path)
    (kept,) = tmp_path.iterdir()
    assert tokenizer.can_save_slow_tokenizer
    tokenizer.save_pretrained(tmp_path / "saved")
    loaded = type(tokenizer).from_pretrained(tmp_path / "saved")
    assert loaded.vocabulary_files() == {kept.name: kept.read_bytes()}


@pytest.mark.parametrize("name", SPECIAL)
def test_a_tokenizer_json_alone(name, tmp_path):
    tokenizer = build(name, tmp_path)
    tokenizer.save_pretrained(tmp_path)
    loaded = getattr(edutransformers, f"{name}Fast")(tokenizer_file=tmp_path / "tokenizer.json")
    assert loaded.get_vocab() == tokenizer.get_vocab()
    assert loaded(ADVERSARIAL) == tokenizer(ADVERSARIAL)


@pytest.mark.parametrize("name", SPECIAL)
def test_a_model_is_made_of_tokenizer_json(name, tmp_path):
    tokenizer = build(name, tmp_path)
    tokenizer.save_pretrained(tmp_path / "saved")
    (tmp_path / "saved" / tokenizer.vocab_files_names["vocab_file"]).unlink()
    loaded = type(tokenizer).from_pretrained(tmp_path / "saved")
    (content,) = loaded.vocabulary_files().values()
    made, original = SentencePieceModel.from_bytes(content), model(*SPECIAL[name], unknown=tokenizer.unk_token)
    assert [piece[:2] for piece in made.pieces] == [
        piece[:2] for piece in SentencePieceModel.from_bytes(original.to_bytes()).pieces
    ]
    types = {piece.piece: piece.type for piece in made.pieces}
    assert types[tokenizer.unk_token] == "unknown"
    assert types["▁the"] == "normal"
    assert all(types[token] == "control" for token in SPECIAL[name] if token != tokenizer.unk_token)


def test_older_libraries_read_the_stages(tmp_path):
    """That of transformers 4.34 wants `add_prefix_space`, which later ones ignore."""
    build("T5Tokenizer", tmp_path).save_pretrained(tmp_path)
    content = json.loads((tmp_path / "tokenizer.json").read_text(encoding="utf-8"))
    for part in (content["pre_tokenizer"]["pretokenizers"][1], content["decoder"]):
        assert (part["type"], part["add_prefix_space"], part["prepend_scheme"]) == ("Metaspace", True, "always")


@pytest.mark.parametrize("name", SPECIAL)
def test_without_a_vocabulary(name):
    """There are the special tokens alone: enough to train it."""
    tokenizer = getattr(edutransformers, name)()
    assert None not in tokenizer.convert_tokens_to_ids(tokenizer.all_special_tokens)
    assert tokenizer("the fox").input_ids.count(tokenizer.unk_token_id) >= 1
    new = tokenizer.train_new_from_iterator([LONG] * 10, 300, show_progress=False)
    assert new.decode(new.encode(LONG), skip_special_tokens=True, clean_up_tokenization_spaces=False) == LONG


@pytest.mark.parametrize("name", SPECIAL)
def test_the_map_of_replacements_is_applied_and_written_again(name, tmp_path):
    charsmap = one_entry_map("好".encode(), b"x")
    tokenizer = build(name, tmp_path, charsmap)
    assert tokenizer.tokenize("the 好") == ["▁the", "▁x"]
    tokenizer.save_pretrained(tmp_path / "saved")
    (tmp_path / "saved" / tokenizer.vocab_files_names["vocab_file"]).unlink()
    (content,) = type(tokenizer).from_pretrained(tmp_path / "saved").vocabulary_files().values()
    assert SentencePieceModel.from_bytes(content).normalizer.precompiled_charsmap == charsmap


def one_entry_map(key: bytes, value: bytes) -> bytes:
    """A double array (precompiled.py) with one key, and what stands for it."""
    units = [0] * 1024
    place, offset = 0, 1
    units[0] = offset << 10
    for i, byte in enumerate(key):
        place ^= offset ^ byte
        last = i + 1 == len(key)
        units[place] = byte | offset << 10 | (1 << 8 if last else 0)
    units[place ^ offset] = 1 << 31  # the value: where in the replacements it stands
    trie = b"".join(unit.to_bytes(4, "little") for unit in units)
    return len(trie).to_bytes(4, "little") + trie + value + b"\0"


# ----- drawn cuts ----------------------------------------------------------------------------------------------------


def test_drawn_cuts(tmp_path):
    tokenizer = build("T5Tokenizer", tmp_path, sp_model_kwargs={"enable_sampling": True, "alpha": 0.05})
    random.seed(0)
    cuts = Counter(tuple(tokenizer.tokenize("the brown fox")) for _ in range(50))
    assert len(cuts) > 5
    assert all("".join(cut) == "▁the▁brown▁fox" for cut in cuts)
    for text in ADVERSARIAL[:6]:
        encoded = tokenizer(text, return_offsets_mapping=True)
        starts = [start for start, _ in encoded.offset_mapping[:-1]]
        assert starts == sorted(starts)
    pieces = tokenizer.train_new_from_iterator([LONG] * 10, 300, show_progress=False)
    assert pieces.sp_model_kwargs == tokenizer.sp_model_kwargs


@pytest.mark.parametrize("options", [{"enable_sampling": False}, {"enable_sampling": True, "nbest_size": 1}])
def test_nothing_is_drawn(options, tmp_path):
    tokenizer = build("T5Tokenizer", tmp_path, sp_model_kwargs=options)
    assert not tokenizer._engine.model.is_random
    assert {tuple(tokenizer.tokenize(LONG)) for _ in range(5)} == {tuple(build("T5Tokenizer", tmp_path).tokenize(LONG))}


def test_drawn_from_two_best_cuts(tmp_path):
    tokenizer = build("T5Tokenizer", tmp_path, sp_model_kwargs={"enable_sampling": True, "nbest_size": 2, "alpha": 0.0})
    random.seed(0)
    assert len({tuple(tokenizer.tokenize("brown")) for _ in range(40)}) == 2


# ----- bytes ---------------------------------------------------------------------------------------------------------


def test_bytes_of_unknown_characters(tmp_path):
    special = [Piece("<pad>", 0, "control"), Piece("</s>", 0, "control"), Piece("<unk>", 0, "unknown")]
    bytes_ = [Piece(f"<0x{byte:02X}>", 0, "byte") for byte in range(256)]
    normal = [Piece(token, score) for token, score in vocabulary()]
    of_bytes = SentencePieceModel(
        (*special, *bytes_, *normal), TrainerSettings(byte_fallback=True), NormalizerSettings()
    )
    (tmp_path / "spiece.model").write_bytes(of_bytes.to_bytes())
    tokenizer = T5Tokenizer(tmp_path / "spiece.model")
    assert tokenizer.tokenize("the 好") == ["▁the", "▁", "<0xE5>", "<0xA5>", "<0xBD>"]
    assert tokenizer.decode(tokenizer.encode("好 the 好"), skip_special_tokens=True) == "好 the 好"
    tokenizer._model_file = None
    made = SentencePieceModel.from_bytes(tokenizer.vocabulary_files()["spiece.model"])
    assert made.trainer.byte_fallback
    assert [piece.type for piece in made.pieces[3:259]] == ["byte"] * 256


# ----- bad input -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SPECIAL)
def test_bad_vocabularies(name, tmp_path):
    tokenizer_class = getattr(edutransformers, name)
    with pytest.raises(OSError, match="There is no SentencePiece model .*none.model"):
        tokenizer_class(tmp_path / "none.model")
    whole = model(*SPECIAL[name], unknown=unknown_of(name)).to_bytes()
    (tmp_path / "cut.model").write_bytes(whole[:-3])
    with pytest.raises(ValueError, match="cut.model is no whole SentencePiece model"):
        tokenizer_class(tmp_path / "cut.model")
    with pytest.raises(ValueError, match="The vocabulary has no '(<unk>|.UNK.)', which stands for unknown characters"):
        tokenizer_class(vocab=vocabulary("<pad>"))
    with pytest.raises(ValueError, match=f"vocab is a dict; {name} needs pieces with their scores"):
        tokenizer_class(vocab={"<unk>": 0, "[UNK]": 1})
    with pytest.raises(ValueError, match="twice"):
        tokenizer_class(vocab=vocabulary("<unk>", "[UNK]", "▁the"))
    bpe = SentencePieceModel(model("<unk>", "<s>", "</s>").pieces, TrainerSettings(model_type="bpe"))
    (tmp_path / "bpe.model").write_bytes(bpe.to_bytes())
    with pytest.raises(ValueError, match=f"bpe.model is a bpe model; {name} needs a unigram model"):
        tokenizer_class(tmp_path / "bpe.model")


def test_the_models_own_unknown_piece_counts(tmp_path):
    """Whatever the class calls its unknown token."""
    path = write_model(tmp_path / "spm.model", "<unk>", "[UNK]")
    tokenizer = DebertaV2Tokenizer(path)
    assert (tokenizer.encode("好")[2], tokenizer.unk_token_id) == (0, 1)


def test_a_path_as_vocab(tmp_path):
    path = write_model(tmp_path / "spiece.model", *SPECIAL["AlbertTokenizer"])
    assert AlbertTokenizer(vocab=path).get_vocab() == AlbertTokenizer(path).get_vocab()
    assert XLNetTokenizer(vocab=str(path)).get_vocab() == XLNetTokenizer(path).get_vocab()


def test_stages_of_another_algorithm_have_no_model_file():
    """A tokenizer.json with BPE is read as it is."""
    engine = Engine(BPE({"[UNK]": 0, "a": 1}, [], unk_token="[UNK]"))
    tokenizer = DebertaV2Tokenizer(engine=engine)
    assert tokenizer.encode("a", add_special_tokens=False) == [1]
    assert tokenizer.vocabulary_files() == {}
    assert not tokenizer.can_save_slow_tokenizer
