"""Texts on which tokenizers go wrong, for the common suite and for the comparisons with the original."""

PROSE = [
    "The quick brown fox's unaffable hello-world!",
    "Hello, WORLD... don't we've I'm 123 abc123 3,141.59 x=2*y;",
    "naïve café NAÏVE CAFÉ e\u0301 é",
    "Der Käse schmeckt größer als groß; ßẞ.",
    'for (int i = 0; i < n; ++i) {\n\tprintf("%d\\n", a[i]);  // done\n}',
]

SCRIPTS = [
    "我爱NLP，真的！ 豈 𠀀𫜴",
    "العَرَبِيَّة لغة جميلة ـ",
    "हिन्दी में क़ ड़ लिखना",
    "ภาษาไทย กำลังดี",
    "日本語のテキスト、ｶﾀｶﾅ ﾞ",
    "한국어 각 \u1100\u1161\u11a8",
    "Привет, мир! Ελληνικά ΑΣ Σας",
    "עִבְרִית",
]

SYMBOLS = [
    "👩‍👩‍👧‍👦 👍🏽 🇩🇪 ❤️",
    "\u0301",
    "\u0301\u0301 a\u0301",
    "e\u0323\u0301 e\u0301\u0323 \u00e9\u0323",
    "a\x00b\ufffdc\x7fd\x85e\u200bf\u2060g\ufeffh",
    "tab\there\nnew\r\nline\x0bvt\x0cff\x1cfs\x1fus",
    "\u00a0nbsp\u2028ls\u2029ps\u3000ideographic\u1680ogham\u180emvs",
    "ﬁ ﬃ ½ ² Ⅷ ㎏ ℃ …“”’",
    "▁underscore ▁ ▁▁ Ġg Ċ </w> @@ ## <0x41> |",
    "\U000e0001\U000e0041\U000f0000\ue000",
]

BLANKS = ["", " ", "  ", "a", " a", "a ", "  two  blanks  ", "\n", "\n\n a\n", "\t", "a\n b"]

ADVERSARIAL = [*PROSE, *SCRIPTS, *SYMBOLS, *BLANKS, "x" * 300, "ab" * 200 + " " + "é" * 120]

# Inputs of calls: (text, text_pair), each alone and in a batch.
SHORT, LONG, OTHER = "the quick fox", "hello world the quick brown foxes , unaffable !", "the brown fox hello"
INPUTS = {
    "one text": (LONG, None),
    "one pair": (LONG, OTHER),
    "pair, first shorter": (SHORT, LONG),
    "batch": ([SHORT, LONG, "", OTHER], None),
    "batch of pairs": ([SHORT, LONG, ""], [LONG, OTHER, SHORT]),
}
