"""XLM's tokenizer, and Moses' words with their places. (Needs sacremoses, which the extra `test` has.)"""

import sys
import types

import pytest

from edutransformers import XLMTokenizer
from edutransformers.tokenizers import train_bpe
from edutransformers.tokenizers.aligned_text import AlignedText, PlainText
from edutransformers.tokenizers.moses import MosesPunctuation, MosesWords
from edutransformers.tokenizers.xlm_words import XLMWords

from ..texts import ADVERSARIAL, LONG, OTHER
from .suite import PANGRAM, TokenizerSuite

SPECIAL = ["<s>", "</s>", "<pad>", "<unk>", *(f"<special{i}>" for i in range(10))]
VOCAB, MERGES = train_bpe(
    [*LONG.split(), *OTHER.split(), *PANGRAM.split(), "cafe", *".'sabx1!,-"],
    180,
    special_tokens=SPECIAL,
    end_of_word_suffix="</w>",
    show_progress=False,
)


class TestXLMTokenizer(TokenizerSuite):
    decoded = {
        "Hello, the “unaffable” World!": "hello, the unaffable world!",
        "Café  b": "cafe b",
        "the fox. ": "the fox.",
    }

    def build(self, **options):
        return XLMTokenizer(**{"vocab": VOCAB, "merges": MERGES, **options})

    def test_layout(self):
        encoded = self.build()("the fox", "hello")
        assert encoded.tokens() == ["<s>", "the</w>", "fox</w>", "</s>", "hello</w>", "</s>"]
        assert encoded.token_type_ids == [0, 0, 0, 0, 1, 1]
        assert self.build()("the").tokens() == ["<s>", "the</w>", "</s>"]
        assert (self.build().cls_token, self.build().mask_token) == ("</s>", "<special1>")

    def test_places(self):
        text = "(The “FOX” …\x00 Ést)"
        encoded = self.build()(text, return_offsets_mapping=True, add_special_tokens=False)
        words = {}
        for number, (start, stop) in zip(encoded.word_ids(), encoded.offset_mapping):
            words.setdefault(number, []).append(text[start:stop])
        assert ["".join(pieces) for pieces in words.values()] == ["(", "The", "“", "FOX", "”", "…" * 3, "Ést", ")"]

    def test_case_and_accents(self):
        tokenizer = self.build(do_lowercase_and_remove_accent=False)
        assert "".join(tokenizer.tokenize("ÉΣ The")) == "ÉΣ</w>The</w>"
        assert "".join(self.build().tokenize("ÉΣ The")) == "eς</w>the</w>"
        assert (tokenizer.do_lower_case, self.build().do_lower_case) == (False, True)

    def test_added_tokens_are_found_in_the_text_as_given(self):
        tokenizer = self.build()
        tokenizer.add_tokens(["New"])
        assert tokenizer.tokenize("the New new</s>x")[:2] == ["the</w>", "New"]
        assert tokenizer.tokenize("the New new</s>x")[-2:] == ["</s>", "x</w>"]

    def test_languages(self):
        tokenizer = self.build(lang2id={"en": 0, "fr": 1, "ro": 2}, id2lang={0: "en", 1: "fr", 2: "ro"})
        assert tokenizer.lang == "en"
        assert "".join(tokenizer.tokenize("l'ab")) == "l</w>'ab</w>"
        tokenizer.lang = "fr"
        assert "".join(tokenizer.tokenize("l'ab")) == "l'</w>ab</w>"
        assert "".join(tokenizer._tokenize("ştaţ Î", lang="ro")) == "stat</w>i</w>"
        assert tokenizer._tokenize("the Fox.", bypass_tokenizer=True)[0] == "the</w>"
        assert "".join(tokenizer._tokenize("the Fox.", bypass_tokenizer=True)) == "the</w>Fox.</w>"

    def test_an_unknown_language_is_logged(self, caplog):
        tokenizer = self.build(lang2id={"en": 0}, id2lang={0: "en"})
        tokenizer.lang = "xx"
        assert "'xx' is not among the languages" in caplog.text
        with pytest.raises(ValueError, match="lang2id has 1 languages and id2lang 2"):
            self.build(lang2id={"en": 0}, id2lang={0: "en", 1: "fr"})

    def test_languages_are_saved(self, tmp_path):
        tokenizer = self.build(lang2id={"en": 0}, id2lang={0: "en"}, do_lowercase_and_remove_accent=False)
        tokenizer.save_pretrained(tmp_path)
        loaded = XLMTokenizer.from_pretrained(tmp_path)
        assert (loaded.lang2id, loaded.do_lowercase_and_remove_accent) == ({"en": 0}, False)

    def test_files(self, tmp_path):
        self.build().save_vocabulary(tmp_path)
        lines = (tmp_path / "merges.txt").read_text(encoding="utf-8").split("\n")
        assert lines[0] == " ".join(MERGES[0])
        with_counts = "".join(f"{line} {10 - i}\n" for i, line in enumerate(lines[:5]))
        (tmp_path / "merges.txt").write_text(with_counts, encoding="utf-8")
        loaded = XLMTokenizer(tmp_path / "vocab.json", tmp_path / "merges.txt")
        assert loaded._engine.model.merge_list == MERGES[:5]
        (tmp_path / "merges.txt").write_text("a\n", encoding="utf-8")
        with pytest.raises(ValueError, match="line 1: 'a' is no merge"):
            XLMTokenizer(tmp_path / "vocab.json", tmp_path / "merges.txt")

    def test_without_sacremoses(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "sacremoses", None)
        with pytest.raises(ImportError, match="XLMTokenizer cuts texts into words with sacremoses"):
            self.build()

    @pytest.mark.parametrize(("lang", "package"), [("zh", "jieba"), ("th", "pythainlp"), ("ja", "Mykytea")])
    def test_without_the_package_of_a_language(self, monkeypatch, lang, package):
        monkeypatch.setitem(sys.modules, package, None)
        tokenizer = self.build()
        tokenizer.lang = lang
        with pytest.raises(ImportError, match=f"XLM cuts .*{package.removeprefix('My')}".replace("kytea", "KyTea")):
            tokenizer("ab")

    def test_chinese_and_thai(self, monkeypatch):
        """Packages that cut every two characters; Chinese is cut as it stands, Thai after normalization."""

        def cut(text):
            return [text[i : i + 2] for i in range(0, len(text), 2)]

        monkeypatch.setitem(sys.modules, "jieba", types.SimpleNamespace(cut=cut))
        monkeypatch.setitem(sys.modules, "pythainlp", types.SimpleNamespace(word_tokenize=cut))
        tokenizer = self.build()
        text = "（ＡＢ，cd e"
        for lang, expected in [("zh", "(a</w>b,</w>cd</w>e</w>"), ("th", "(a</w>b,</w>cd</w>e</w>")]:
            tokenizer.lang = lang
            encoded = tokenizer(text.replace("ＡＢ", "AB"), return_offsets_mapping=True, add_special_tokens=False)
            assert "".join(encoded.tokens()) == expected
            assert "".join(text[start:stop] for start, stop in encoded.offset_mapping) == "（ＡＢ，cde"


@pytest.mark.parametrize("language", ["en", "de", "fr"])
def test_places_of_normalized_punctuation(language):
    """What has no places, has the same text; and each character that was there has its own place."""
    punctuation = MosesPunctuation(language)
    for text in [*ADVERSARIAL, '«\u00a0Ça », 5\u00a0000 "a", `b` ‘c’ (d ) ... "e."', "''a\u00a0%", ""]:
        aligned, plain = AlignedText(text), PlainText(text)
        punctuation.apply(aligned)
        punctuation.apply(plain)
        assert aligned.text == plain.text
        for i, character in enumerate(aligned.text):
            start, stop = aligned.original_span(i, i + 1)
            assert 0 <= start <= stop <= len(text)
            assert character in text[start:stop] or not character.isalnum()


def test_words_that_are_not_in_the_text():
    """What Moses puts in has the place of what it stands beside; what it drops has none."""
    words = MosesWords("en", aggressive_dash_splits=True)
    text = "well-known\x07 U.S. DOTMULTI x... DOTDOTMULTI"
    found = words.pre_tokenize(AlignedText(text))
    assert [word.text for word in found] == ["well", "@-@", "known", "U.S.", ".", "x", "...", ".."]
    places = [text[slice(*word.original_span(0, len(word)))] for word in found]
    assert places == ["well", "-", "known", "U.S.", "DOTMULTI", "x", "...", "DOTDOTMULTI"]


def test_characters_that_become_several_or_none():
    word = XLMWords("en", lowercase=True).pre_tokenize(AlignedText("İ\u200dáΣ"))[0]
    assert word.text == "iaς"
    assert [word.original_span(i, i + 1) for i in range(3)] == [(0, 1), (2, 3), (3, 4)]
