"""Pre-tokenizers, decoders and post-processors by hand. (tests/reference compares them with the Rust library.)"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edutransformers.tokenizers.aligned_text import AlignedText
from edutransformers.tokenizers.byte_level import ByteLevel, ByteLevelProcessor, RobertaProcessing
from edutransformers.tokenizers.decoders import (
    BPEDecoder,
    ByteFallback,
    CTCDecoder,
    DecoderSequence,
    Fuse,
    MetaspaceDecoder,
    ReplaceDecoder,
    StripDecoder,
)
from edutransformers.tokenizers.engine import Engine
from edutransformers.tokenizers.patterns import Pattern
from edutransformers.tokenizers.post_processors import BertProcessing, PostProcessorSequence, bert_template
from edutransformers.tokenizers.pre_tokenizers import (
    CharDelimiterSplit,
    Digits,
    Metaspace,
    PreTokenizerSequence,
    Punctuation,
    Split,
    Whitespace,
    WhitespaceSplit,
)
from edutransformers.tokenizers.stages import read_stage
from edutransformers.tokenizers.tokenizer_json import STAGES
from edutransformers.tokenizers.unigram import Unigram


def words(stage, text):
    return [word.text for word in stage.pre_tokenize(AlignedText(text)) if word.text]


def spans(stage, text):
    return [word.original_span(0, len(word)) for word in stage.pre_tokenize(AlignedText(text)) if word.text]


CUTS = [
    (Whitespace(), "it's 3.5 a_b\u200dé", ["it", "'", "s", "3", ".", "5", "a_b\u200dé"]),
    (WhitespaceSplit(), " it's\u3000ok\n", ["it's", "ok"]),
    (Punctuation(), "it's --", ["it", "'", "s ", "-", "-"]),
    (Punctuation("MergedWithPrevious"), "a.b", ["a.", "b"]),
    (Digits(), "a12b³", ["a", "12", "b", "³"]),
    (Digits(individual_digits=True), "a12", ["a", "1", "2"]),
    (CharDelimiterSplit("|"), "a b|c||d", ["a b", "c", "d"]),
    (Split("-", "Removed"), "the-final--countdown", ["the", "final", "countdown"]),
    (Split("-", "isolated"), "the-final--countdown", ["the", "-", "final", "-", "-", "countdown"]),
    (Split("-", "merged_with_previous"), "the-final--countdown", ["the-", "final-", "-", "countdown"]),
    (Split("-", "merged_with_next"), "the-final--countdown", ["the", "-final", "-", "-countdown"]),
    (Split("-", "contiguous"), "the-final--countdown", ["the", "-", "final", "--", "countdown"]),
    (Split("", "isolated"), "a b", ["a", " ", "b"]),
    (Split(Pattern("-*", is_regex=True), "merged_with_next"), "a--b", ["a", "--b"]),
    (Split(Pattern(r"\p{L}+", is_regex=True), "Removed", invert=True), "ab1é!", ["ab", "é"]),
    (Metaspace(), "a b  c", ["▁a", "▁b", "▁", "▁c"]),
    (Metaspace(), " a", ["▁a"]),
    (Metaspace(prepend_scheme="never"), "a b", ["a", "▁b"]),
    (Metaspace("_", split=False), "a b", ["_a_b"]),
    (PreTokenizerSequence([WhitespaceSplit(), Metaspace()]), "a  b", ["▁a", "▁b"]),
    (PreTokenizerSequence([Whitespace(), Digits(True)]), "a12 b", ["a", "1", "2", "b"]),
]


@pytest.mark.parametrize(("stage", "text", "expected"), CUTS, ids=[f"{type(cut[0]).__name__}-{cut[1]}" for cut in CUTS])
def test_words(stage, text, expected):
    assert words(stage, text) == expected
    assert read_stage("pre_tokenizer", stage.to_json(), STAGES["pre_tokenizer"]).to_json() == stage.to_json()


def test_spans_lead_back():
    assert spans(Metaspace(), "a b") == [(0, 1), (1, 3)]
    assert spans(Split("-", "Removed"), "ab-c") == [(0, 2), (3, 4)]
    first = Metaspace(prepend_scheme="first")
    assert [word.text for word in first.pre_tokenize(AlignedText("a b", first=5))] == ["a", "▁b"]


ANY_TEXT = st.text(st.characters(codec="utf-8") | st.sampled_from(" ▁-.1a\n"))


@pytest.mark.parametrize(
    "stage",
    [
        Metaspace(),
        Metaspace(prepend_scheme="first"),
        Metaspace(prepend_scheme="never"),
        Whitespace(),
        PreTokenizerSequence([WhitespaceSplit(), Metaspace()]),
        PreTokenizerSequence([Metaspace(prepend_scheme="first"), Digits()]),
        PreTokenizerSequence([ByteLevel(), Digits()]),
    ],
    ids=lambda stage: str(stage.to_json()),
)
@given(text=ANY_TEXT)
def test_stretch_by_stretch_is_all_at_once(stage, text):
    """What the cache puts together is what the whole text gives, twice."""
    engine = Engine(Unigram([("<unk>", 0.0), ("▁", -1.0), ("a", -1.0), ("▁a", -1.5), ("1", -1.0)], 0), None, stage)
    whole = engine._tokenize_whole(text)
    for _ in range(2):
        row = engine.tokenize(text)
        assert (row.ids, row.tokens, row.offsets) == (list(whole.ids), list(whole.tokens), list(whole.offsets))
        assert row.word_ids == list(whole.words)


DECODED = [
    (BPEDecoder(), ["lo", "w</w>", "est</w>"], "low est"),
    (MetaspaceDecoder(), ["▁a", "b", "▁c"], "ab c"),
    (MetaspaceDecoder(prepend_scheme="never"), ["▁a", "b", "▁c"], " ab c"),
    (ByteFallback(), ["a", "<0xC3>", "<0xA9>", "<0xC3>", "b"], "a\ufffd\ufffd\ufffdb"),
    (ByteFallback(), ["a", "<0xC3>", "<0xA9>", "b", "<0xC3>"], "aéb\ufffd"),
    (Fuse(), ["a", "b"], "ab"),
    (StripDecoder(" ", 1, 0), ["  a "], " a "),
    (StripDecoder("a", 1, 2), ["aab", "baaa", ""], "abba"),
    (ReplaceDecoder("▁", " "), ["▁a▁"], " a "),
    (CTCDecoder(), ["h", "h", "<pad>", "e", "l", "<pad>", "l", "|", "|", "o"], "hell o"),
    (CTCDecoder(cleanup=False), ["h", "|", "."], "h|."),
    (
        DecoderSequence([ReplaceDecoder("▁", " "), ByteFallback(), Fuse(), StripDecoder(" ", 1, 0)]),
        ["▁a", "<0x21>"],
        "a!",
    ),
]


@pytest.mark.parametrize(("decoder", "tokens", "text"), DECODED)
def test_decoders(decoder, tokens, text):
    assert decoder.decode(tokens) == text
    assert read_stage("decoder", decoder.to_json(), STAGES["decoder"]).to_json() == decoder.to_json()


def layout(processor, is_pair):
    return [(slot.sequence, slot.type_id, slot.ids) for slot in processor.layout(is_pair, True)]


def test_post_processors():
    roberta = RobertaProcessing(("</s>", 2), ("<s>", 1))
    assert layout(roberta, False) == [(None, 0, (1,)), (0, 0, ()), (None, 0, (2,))]
    assert layout(roberta, True)[2:] == [(None, 0, (2,)), (None, 0, (2,)), (1, 0, ()), (None, 0, (2,))]
    assert [slot.sequence for slot in roberta.layout(True, False)] == [0, 1]
    assert roberta.trim(["Ġa", "Ġb"], [(0, 2), (2, 4)]) == [(0, 2), (3, 4)]
    assert RobertaProcessing(("</s>", 2), ("<s>", 1), trim_offsets=False).trim is None
    both = PostProcessorSequence([ByteLevelProcessor(False), bert_template("[CLS]", 1, "[SEP]", 2)])
    assert layout(both, False) == layout(BertProcessing(("[SEP]", 2), ("[CLS]", 1)), False)
    assert both.trim(["Ġa"], [(0, 2)]) == [(1, 2)]
    for processor in (roberta, both):
        again = read_stage("post_processor", processor.to_json(), STAGES["post_processor"])
        assert again.to_json() == processor.to_json()


def test_errors():
    with pytest.raises(ValueError, match="the behavior is 'gone': expected one of Removed"):
        Punctuation("gone")
    with pytest.raises(ValueError, match="the delimiter is 'ab'"):
        CharDelimiterSplit("ab")
    with pytest.raises(ValueError, match="prepend_scheme is 'last'"):
        Metaspace(prepend_scheme="last")
    with pytest.raises(ValueError, match="replacement is '__'"):
        Metaspace("__")
    with pytest.raises(ValueError, match="the pre_tokenizer is of type 'Nothing'"):
        read_stage(
            "pre_tokenizer", {"type": "Sequence", "pretokenizers": [{"type": "Nothing"}]}, STAGES["pre_tokenizer"]
        )
    with pytest.raises(ValueError, match="the part 'decoder' lacks 'suffix'"):
        read_stage("decoder", {"type": "BPEDecoder"}, STAGES["decoder"])
