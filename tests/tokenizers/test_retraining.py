"""train_new_from_iterator: another vocabulary in the same stages, for every kind of model and post-processor."""

import pytest

from edutransformers.tokenizers import (
    AddedToken,
    BertTokenizer,
    ByteLevel,
    PreTrainedTokenizerFast,
    Unigram,
    WordLevel,
)
from edutransformers.tokenizers.bpe import BPE
from edutransformers.tokenizers.byte_level import ByteLevelDecoder, ByteLevelProcessor, RobertaProcessing
from edutransformers.tokenizers.decoders import BPEDecoder, Fuse, MetaspaceDecoder
from edutransformers.tokenizers.engine import Engine
from edutransformers.tokenizers.padding import Padding
from edutransformers.tokenizers.post_processors import BertProcessing, PostProcessorSequence, bert_template
from edutransformers.tokenizers.pre_tokenizers import Metaspace, PreTokenizerSequence, Split, WhitespaceSplit
from edutransformers.tokenizers.tokenizer_json import engine_to_json
from edutransformers.tokenizers.word_level import split_characters

TEXTS = ["the dog and the other dog", "The dogs bathe there", "a bath, then another"]


def test_train_new_from_iterator():
    old = BertTokenizer(
        vocab=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "x"], do_lower_case=False, padding_side="left"
    )
    old.add_special_tokens({"additional_special_tokens": ["<x>"]})
    new = old.train_new_from_iterator([TEXTS], 45, new_special_tokens=["<y>"], show_progress=False)
    assert new.convert_ids_to_tokens([0, 1, 2, 3, 4, 5, 6]) == [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        "<x>",
        "<y>",
    ]
    assert new.tokenize("The dog <x> <y>")[-2:] == ["<x>", "<y>"]
    assert new("the dog").input_ids[0] == new.cls_token_id
    assert (new.padding_side, len(new), len(old)) == ("left", 45, 7)
    assert new.additional_special_tokens == ["<x>", "<y>"]


def test_train_new_with_renamed_tokens():
    old = BertTokenizer()
    new = old.train_new_from_iterator(
        TEXTS, 60, special_tokens_map={"[CLS]": "<s>"}, new_special_tokens=[AddedToken("<z>")], show_progress=False
    )
    assert new.cls_token == "<s>"
    assert new.decode(new("the dog").input_ids) == "<s> the dog [SEP]"


def fast(model, special=("<s>", "</s>", "<unk>"), settings=None, **stages):
    """A tokenizer with these stages, whose vocabulary gives the special tokens other ids than a new one will."""
    engine = Engine(model, **stages)
    engine.add_tokens([AddedToken(token, special=True) for token in special])
    return PreTrainedTokenizerFast(engine=engine, **(settings or {}))


def retrained(tokenizer, size, texts=TEXTS, **options):
    return tokenizer.train_new_from_iterator(texts * 3, size, show_progress=False, **options)


@pytest.mark.parametrize("in_sequence", [False, True])
def test_byte_level_bpe(in_sequence):
    pre_tokenizer = ByteLevel(add_prefix_space=False)
    if in_sequence:
        pre_tokenizer = PreTokenizerSequence([Split(" ", "merged_with_next"), pre_tokenizer])
    old = fast(
        BPE({"x": 0, "<s>": 1, "</s>": 2, "y": 3, "xy": 4}, [("x", "y")], dropout=0.0, fuse_unk=True),
        special=("<s>", "</s>"),
        settings={"eos_token": "</s>", "model_max_length": 77},
        pre_tokenizer=pre_tokenizer,
        post_processor=RobertaProcessing(("</s>", 2), ("<s>", 1), trim_offsets=False),
        decoder=ByteLevelDecoder(),
    )
    new = retrained(old, 275)
    assert type(new) is PreTrainedTokenizerFast
    assert new.convert_ids_to_tokens([0, 1]) == ["<s>", "</s>"]
    assert set(new.convert_ids_to_tokens(range(2, 258))) == set(ByteLevel.alphabet())
    assert (len(new), new.model_max_length, new.eos_token_id) == (275, 77, 1)
    assert new.decode(new("日 the dog").input_ids) == "<s>日 the dog</s>"
    assert new.tokenize(" dog") == ["Ġdog"]
    (before, after) = (engine_to_json(tokenizer._engine) for tokenizer in (old, new))
    assert (after["model"]["fuse_unk"], after["model"]["dropout"]) == (True, 0.0)
    assert after["pre_tokenizer"] == before["pre_tokenizer"]
    assert after["post_processor"] == {**before["post_processor"], "sep": ["</s>", 1], "cls": ["<s>", 0]}
    assert len(old) == 5  # as it was


def test_bpe_with_prefix_and_suffix():
    model = BPE({"x": 0, "<unk>": 1}, [], unk_token="<unk>", continuing_subword_prefix="@", end_of_word_suffix="</w>")
    old = fast(model, special=["<unk>"], pre_tokenizer=WhitespaceSplit(), decoder=BPEDecoder())
    new = retrained(old, 60, ["ab ab abc"])
    assert [*new.get_vocab()] == ["<unk>", "a", "b", "c", "@b", "@b</w>", "@c</w>", "ab</w>", "ab", "abc</w>"]
    assert new.tokenize("ab abz") == ["ab</w>", "ab", "<unk>"]
    other = retrained(old, 60, ["ab ab abc"], end_of_word_suffix="$", min_frequency=4)
    assert [*other.get_vocab()] == ["<unk>", "a", "b", "c", "@b", "@b$", "@c$", "ab$"]
    assert other.tokenize("ab") == ["ab$"]


def test_unigram():
    old = fast(
        Unigram([("▁x", -2.0), ("<unk>", 0.0), ("x", -3.0)], unk_id=1),
        settings={"pad_token": "<pad>", "unk_token": "<unk>"},
        pre_tokenizer=Metaspace(),
        post_processor=bert_template("<s>", 3, "</s>", 4),
        decoder=MetaspaceDecoder(),
    )
    old.add_tokens(["NewTok"])
    old._engine.padding = Padding(None, None, "right", 5, 0, "<pad>")
    assert old.get_vocab() == {"▁x": 0, "<unk>": 1, "x": 2, "<s>": 3, "</s>": 4, "<pad>": 5, "NewTok": 6}
    new = retrained(old, 24, special_tokens_map={"</s>": "[SEP]", "<unk>": "[UNK]"})
    # The special tokens in the order of their ids; added tokens of a Unigram tokenizer become special ones.
    assert new.convert_ids_to_tokens(range(5)) == ["[UNK]", "<s>", "[SEP]", "<pad>", "NewTok"]
    assert (new.unk_token, new._engine.model.unk_id, new.unk_token_id) == ("[UNK]", 0, 0)
    assert new("the dog").tokens()[0] == "<s>"
    assert new("the dog é").input_ids[-2:] == [0, 2]
    assert new._engine.padding.pad_id == 3
    assert new.decode(new("the dog").input_ids, skip_special_tokens=True) == "the dog"
    assert len(new) == 24


def test_unigram_without_an_unknown_token():
    old = fast(Unigram([("x", -2.0)]), special=["<s>"], pre_tokenizer=Metaspace())
    new = retrained(old, 30)
    assert new._engine.model.unk_id is None
    assert new.convert_ids_to_tokens(0) == "<s>"


@pytest.mark.parametrize("split", [WhitespaceSplit(), split_characters()])
def test_word_level(split):
    model = WordLevel({"x": 0, "<unk>": 1, "<s>": 2}, unk_token="<unk>")
    old = fast(model, special=("<unk>", "<s>"), pre_tokenizer=split, decoder=Fuse())
    old._engine.post_processor = PostProcessorSequence([ByteLevelProcessor(), BertProcessing(("<unk>", 1), ("<s>", 2))])
    new = retrained(old, 8, special_tokens_map={"<s>": "<bos>"})
    assert new.convert_ids_to_tokens([0, 1]) == ["<unk>", "<bos>"]
    assert new("the").input_ids[0] == 1
    assert new("the").input_ids[-1] == 0
    assert len(new) == 8
    assert engine_to_json(new._engine)["post_processor"]["processors"][1]["cls"] == ["<bos>", 1]


def test_a_token_that_the_post_processor_needs():
    old = fast(WordLevel({"x": 0, "<s>": 1}), special=(), post_processor=BertProcessing(("x", 0), ("<s>", 1)))
    with pytest.raises(ValueError, match="The token '<s>', which the tokenizer puts into texts, is not in the new voc"):
        retrained(old, 8)
    new = retrained(old, 8, new_special_tokens=["x", "<s>"])
    assert new("a bath, then another").input_ids[::2] == [1, 0]
    assert new.additional_special_tokens == ["x", "<s>"]
