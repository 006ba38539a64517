"""BERT's tokenizer against the `tokenizers` library and transformers' fast tokenizer: id for id, offset for offset."""

import itertools
import json
import sys
import unicodedata

import pytest

tokenizers = pytest.importorskip("tokenizers")
transformers = pytest.importorskip("transformers")

from hypothesis import HealthCheck, given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from edutransformers.tokenizers import AddedToken, BertNormalizer, BertTokenizer  # noqa: E402
from edutransformers.tokenizers.training import wordpiece_from_counts  # noqa: E402

pytestmark = [
    pytest.mark.reference,
    pytest.mark.skipif(int(transformers.__version__.split(".")[0]) < 5, reason="needs transformers 5.x"),
    pytest.mark.filterwarnings("ignore"),
]

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
# Of most scripts every character, inside a word and at its beginning, so that an id stands for a character.
SCRIPTS = [(0x21, 0x3100), (0x4E00, 0x4F00), (0xA000, 0xABFF), (0xAC00, 0xAD00), (0xF900, 0x11FFF), (0x1D000, 0x1FAFF)]
CHARACTERS = [chr(c) for first, last in SCRIPTS for c in range(first, last)]
WORDS = ["un", "##aff", "##able", "the", "quick", "brown", "fox", "##es", "hello", "world", "##ing"]
VOCAB = {
    token: i for i, token in enumerate(dict.fromkeys(SPECIAL + WORDS + CHARACTERS + ["##" + c for c in CHARACTERS]))
}

# (lowercase, strip_accents, handle_chinese_chars)
SETTINGS = {
    "uncased": (True, None, True),
    "cased": (False, None, True),
    "uncased, accents kept": (True, False, True),
    "cased, accents stripped": (False, True, True),
    "uncased, Chinese joined": (True, None, False),
    "cased, Chinese joined": (False, False, False),
}

ADVERSARIAL = [
    "",
    " ",
    "\u0301",
    "\u0301\u0301 a\u0301",
    "e\u0323\u0301 e\u0301\u0323 \u00e9\u0323",
    "\u0344\u0323 \u0f73\u0f71 \u0344\u0f73",
    "a\u302e\u0301 \u0301\u302e",
    "👩‍👩‍👧‍👦 👍🏽 🇩🇪",
    "我爱NLP，真的！",
    "𠀀𫜴𫠝𬺡 豈",
    "a\x00b\ufffdc\x7fd\x85e\u200bf\u2060g\ufeffh",
    "tab\there\nnew\r\nline\x0bvt\x0cff\x1cfs\x1fus",
    "\u00a0nbsp\u2028ls\u2029ps\u3000ideographic\u1680ogham\u180emvs",
    "İstanbul IİıI ẞß ſ ﬁ ǅ Σας ΑΣ",
    "한국어 각 \u1100\u1161\u11a8",
    "ภาษาไทย กำ",
    "हिन्दी क़ ড়",
    "العَرَبِيَّة ـ",
    "עִבְרִית",
    "x" * 100,
    "x" * 101,
    "é" * 100 + " " + "é" * 101,
    "[CLS]a[SEP] [MASK][mask] [UNK][PAD]",
    "don't won't can't I'm we've they're it's",
    "$+<=>^`|~ ¿¡«»",
    "\u11938\U00011938\U000113c5 \U0001612a",
    "\U00010400\U00010d50\U00016ea0\ua7cb\u1c89",
    "\U000e0001\U000e0041\U000f0000\ue000",
]


def theirs_of(lowercase=True, strip_accents=None, chinese=True):
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordPiece(VOCAB, unk_token="[UNK]"))
    tokenizer.normalizer = tokenizers.normalizers.BertNormalizer(
        clean_text=True, handle_chinese_chars=chinese, strip_accents=strip_accents, lowercase=lowercase
    )
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = tokenizers.processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.decoder = tokenizers.decoders.WordPiece()
    tokenizer.add_special_tokens(SPECIAL)
    return tokenizer


def ours_of(lowercase=True, strip_accents=None, chinese=True):
    return BertTokenizer(
        vocab=VOCAB, do_lower_case=lowercase, strip_accents=strip_accents, tokenize_chinese_chars=chinese
    )


@pytest.fixture(scope="module")
def pairs():
    return {name: (ours_of(*setting), theirs_of(*setting)) for name, setting in SETTINGS.items()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tokenizer that this library saved."""
    path = tmp_path_factory.mktemp("saved")
    ours_of().save_pretrained(path)
    return path


@pytest.fixture(scope="module")
def both(folder):
    """This library's tokenizer and transformers', both from the same folder."""
    return BertTokenizer.from_pretrained(folder), transformers.AutoTokenizer.from_pretrained(folder)


def assert_equal(ours, theirs, texts, text_pairs=None):
    encoded = ours(texts, text_pairs, return_offsets_mapping=True, return_special_tokens_mask=True)
    rows = theirs.encode_batch(texts if text_pairs is None else list(zip(texts, text_pairs)))
    for i, (text, row) in enumerate(zip(texts, rows)):
        assert (encoded.input_ids[i], encoded.offset_mapping[i]) == (row.ids, row.offsets), ascii(text)
        assert encoded.tokens(i) == row.tokens, ascii(text)
        assert encoded.word_ids(i) == row.word_ids, ascii(text)
        assert encoded.sequence_ids(i) == row.sequence_ids, ascii(text)
        assert encoded.token_type_ids[i] == row.type_ids, ascii(text)
        assert encoded.special_tokens_mask[i] == row.special_tokens_mask, ascii(text)


# ----- any text ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SETTINGS)
def test_adversarial_texts(pairs, name):
    assert_equal(*pairs[name], ADVERSARIAL)
    assert_equal(*pairs[name], ADVERSARIAL, ADVERSARIAL[::-1])


@pytest.mark.parametrize("name", SETTINGS)
def test_normalizer_on_every_code_point(name):
    """All 1,112,064, assigned or not: so no difference between Unicode versions is left out."""
    lowercase, strip_accents, chinese = SETTINGS[name]
    options = {"lowercase": lowercase, "strip_accents": strip_accents, "handle_chinese_chars": chinese}
    ours, theirs = BertNormalizer(**options), tokenizers.normalizers.BertNormalizer(**options)
    for start in range(0, sys.maxunicode + 1, 512):
        if not 0xD800 <= start < 0xE000:
            text = "a".join(map(chr, range(start, start + 512)))
            assert ours.normalize(text).text == theirs.normalize_str(text), hex(start)


@pytest.mark.parametrize("name", SETTINGS)
def test_encoding_of_every_assigned_code_point(pairs, name):
    """As a word of its own and in the middle of a word. One setting has them all, the others every 16th of the 120,000
    ideographs and Hangul syllables, of which one is like the other."""
    assigned = [c for c in map(chr, range(sys.maxunicode + 1)) if unicodedata.category(c) not in ("Cn", "Cs", "Co")]
    if name != "uncased":
        assigned = [
            c for c in assigned if ord(c) % 16 == 0 or not (c.isalpha() and (c > "\U00020000" or "㐀" <= c <= "힣"))
        ]
    texts = [" ".join(f"{c} x{c}y" for c in assigned[start : start + 256]) for start in range(0, len(assigned), 256)]
    assert_equal(*pairs[name], texts)


def test_combining_classes(pairs):
    """Every mark behind and before marks of a low and a high class: the reference reorders those it knows."""
    marks = [c for c in map(chr, range(sys.maxunicode + 1)) if unicodedata.category(c) in ("Mn", "Mc", "Me", "Cn")]
    texts = [
        " ".join(f"a{c}\u0334b\u0345{c}" for c in marks[start : start + 512])
        for start in range(0, min(len(marks), 40000), 512)
    ]
    ours, theirs = BertNormalizer(strip_accents=True), tokenizers.normalizers.BertNormalizer(strip_accents=True)
    assert [ours.normalize(text).text for text in texts] == [theirs.normalize_str(text) for text in texts]
    assert_equal(*pairs["uncased"], texts)


MIXED = st.one_of(
    st.text(),
    st.text(st.characters(codec="utf-8", max_codepoint=0x500)),
    st.text(st.sampled_from("aAbé\u0301\u0323\u0344\u0f73\u302e\U0001d165\u1b44 \t\n\x00\u200b好한각İßΣ.,[]CLSEP'")),
    st.lists(st.sampled_from(["[CLS]", "[MASK]", "hello", "World", "unaffable", "foxes", " ", "!", "é"])).map("".join),
)


@pytest.mark.parametrize("name", SETTINGS)
def test_any_string(pairs, name):
    @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(MIXED, min_size=1, max_size=8))
    def check(texts):
        assert_equal(*pairs[name], texts)
        assert_equal(*pairs[name], texts, texts[::-1])

    check()


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(words=st.lists(MIXED, min_size=1, max_size=6), others=st.lists(MIXED, min_size=1, max_size=6))
def test_words(pairs, words, others):
    ours, theirs = pairs["uncased"]
    row = theirs.encode(words, others, is_pretokenized=True)
    encoded = ours(words, others, is_split_into_words=True, return_offsets_mapping=True)
    assert (encoded.input_ids, encoded.offset_mapping) == (row.ids, row.offsets)
    assert (encoded.word_ids(), encoded.sequence_ids()) == (row.word_ids, row.sequence_ids)


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(text=MIXED, other=MIXED)
def test_the_way_back_to_the_text(pairs, text, other):
    ours, theirs = pairs["uncased"]
    row, encoded = theirs.encode(text, other), ours([text], [other])
    for sequence in (0, 1):
        for char in range(len((text, other)[sequence]) + 2):
            assert encoded.char_to_token(0, char, sequence) == row.char_to_token(char, sequence)
            assert encoded.char_to_word(0, char, sequence) == row.char_to_word(char, sequence)
        for word in range(8):
            assert encoded.word_to_tokens(0, word, sequence) == row.word_to_tokens(word, sequence)
            assert encoded.word_to_chars(0, word, sequence) == row.word_to_chars(word, sequence)
    for token in range(len(row.ids)):
        span = row.token_to_chars(token)
        assert encoded.token_to_chars(0, token) == span
        assert encoded.token_to_word(0, token) == row.token_to_word(token)
        assert encoded.token_to_sequence(0, token) == row.token_to_sequence(token)


# ----- added tokens --------------------------------------------------------------------------------------------------

ADDED_TEXTS = [
    "foo",
    "a foo b",
    "foofoo foo  foo",
    "xfoo foox foo! _foo foo_ foo1",
    "FOO Foo\tfoo\n foo\u3000foo",
    "  new   york  NEW YORK newyork",
    "foo\u0301 \u0301foo éfoo",
    "fo foo fooo foofo",
    "½foo foo² \u200dfoo",
    "naïve NAIVE naive [CLS] foo[SEP]foo",
    "好foo好",
]


@pytest.mark.parametrize("flags", list(itertools.product([False, True], repeat=5)))
def test_added_tokens(flags):
    names = ("single_word", "lstrip", "rstrip", "normalized", "special")
    options = dict(zip(names, flags))
    ours, theirs = ours_of(), theirs_of()
    contents = ["foo", "new york", "naïve", "fooo", "oo"]
    added = ours.add_tokens([AddedToken(content, **options) for content in contents])
    assert added == theirs.add_tokens([tokenizers.AddedToken(content, **options) for content in contents])
    assert_equal(ours, theirs, ADDED_TEXTS)
    assert ours.get_vocab() == theirs.get_vocab()


def test_added_tokens_that_normalize_to_blanks_or_nothing():
    ours, theirs = ours_of(), theirs_of()
    for content in ["\u200b", " x", "y ", "b\u00a0c"]:
        assert ours.add_tokens([content]) == theirs.add_tokens([content])
        assert_equal(ours, theirs, ["abc x y b c", "y x  b c.", "b\tc x", "\u200b", ""])


def test_added_tokens_again_with_other_flags():
    ours, theirs = ours_of(), theirs_of()
    for content, special in [("foo", False), ("hello", False), ("foo", True), ("foo", False), ("[MASK]", False)]:
        mine, other = AddedToken(content, special=special), tokenizers.AddedToken(content, special=special)
        assert ours.add_tokens([mine]) == theirs.add_tokens([other])
        assert ours.add_tokens([mine], special_tokens=True) == theirs.add_special_tokens([other])
        assert_equal(ours, theirs, ["foo FOO hello HELLO [MASK]"])
        ids = ours("foo hello").input_ids  # not [MASK]: newer libraries decode a normalized token as its normal form
        for skip in (False, True):
            text = theirs.decode(ids, skip_special_tokens=skip)
            assert ours.decode(ids, skip_special_tokens=skip, clean_up_tokenization_spaces=False) == text


def test_word_characters_around_single_word_tokens():
    ours, theirs = ours_of(), theirs_of()
    ours.add_tokens([AddedToken("qq", single_word=True, normalized=False)])
    theirs.add_tokens([tokenizers.AddedToken("qq", single_word=True, normalized=False)])
    assigned = [c for c in map(chr, range(0x11000)) if unicodedata.category(c) not in ("Cn", "Cs", "Co")]
    texts = [" ".join(f"qq{c}" for c in assigned[start : start + 64]) for start in range(0, len(assigned), 64)]
    rows = theirs.encode_batch(texts, add_special_tokens=False)
    qq = ours.convert_tokens_to_ids("qq")
    for text, row, ids in zip(texts, rows, ours(texts, add_special_tokens=False).input_ids):
        assert ids.count(qq) == row.ids.count(qq), ascii(text)


# ----- calling -------------------------------------------------------------------------------------------------------

SHORT, LONG, OTHER = "the quick fox", "hello world the quick brown foxes , unaffable !", "the brown fox hello"
INPUTS = {
    "one text": (LONG, None),
    "one pair": (LONG, OTHER),
    "pair, first shorter": (SHORT, LONG),
    "batch": ([SHORT, LONG, "", OTHER], None),
    "batch of pairs": ([SHORT, LONG, ""], [LONG, OTHER, SHORT]),
}


def call(tokenizer, text, text_pair, **options):
    """The result as plain data, or "error"."""
    try:
        encoded = tokenizer(
            text,
            text_pair,
            return_offsets_mapping=True,
            return_special_tokens_mask=True,
            return_length=True,
            verbose=False,
            **options,
        )
    except BaseException as error:  # the Rust side panics, and its PanicException is no Exception
        if isinstance(error, KeyboardInterrupt):
            raise
        return "error"
    rows = len(encoded.encodings)
    return dict(encoded), [(encoded.word_ids(i), encoded.sequence_ids(i), encoded.tokens(i)) for i in range(rows)]


@pytest.mark.parametrize("sides", list(itertools.product(["right", "left"], repeat=2)))
@pytest.mark.parametrize("inputs", INPUTS)
def test_padding_and_truncation_table(both, inputs, sides):
    ours, theirs = both
    for tokenizer in both:
        tokenizer.padding_side, tokenizer.truncation_side = sides
    text, text_pair = INPUTS[inputs]
    table = itertools.product(
        [False, True, "longest", "max_length", "do_not_pad"],
        [None, False, True, "longest_first", "only_first", "only_second", "do_not_truncate"],
        [None, 4, 7, 8, 16],
        [None, 8],
        [0, 2],
        [False, True],
    )
    for padding, truncation, max_length, multiple, stride, overflow in table:
        options = {
            "padding": padding,
            "truncation": truncation,
            "max_length": max_length,
            "pad_to_multiple_of": multiple,
            "stride": stride,
            "return_overflowing_tokens": overflow,
        }
        assert call(ours, text, text_pair, **options) == call(theirs, text, text_pair, **options), options
    for tokenizer in both:
        tokenizer.padding_side = tokenizer.truncation_side = "right"


@pytest.mark.parametrize(
    ("text", "text_pair"),
    [
        (["the", "foxes", "unaffable"], None),
        (["the", "foxes"], ["hello", "world", ""]),
        ([["the", "foxes"], ["hello"]], None),
        ([["the"], ["foxes", "hello"]], [["hello", "é"], []]),
        ([(["the"], ["foxes", "hello"])], None),
        ([], None),
    ],
)
def test_words_and_truncation(both, text, text_pair):
    ours, theirs = both
    for max_length, stride, special in itertools.product([None, 5, 6], [0, 1], [True, False]):
        options = {
            "is_split_into_words": True,
            "truncation": max_length is not None,
            "max_length": max_length,
            "stride": stride,
            "return_overflowing_tokens": True,
            "add_special_tokens": special,
            "padding": True,
        }
        assert call(ours, text, text_pair, **options) == call(theirs, text, text_pair, **options), options


def test_pairs_inside_a_batch(both):
    ours, theirs = both
    for batch in ([("the", "fox"), ("hello", "world fox")], [["the", "fox"], ["hello", ""]], ["the", ("fox", "hello")]):
        assert call(ours, batch, None) == call(theirs, batch, None)
    assert call(ours, "the", "") == call(theirs, "the", "")


def test_arrays(both):
    ours, theirs = both
    mine = ours([SHORT, LONG], padding=True, return_tensors="np")
    other = theirs([SHORT, LONG], padding=True, return_tensors="np")
    for key in other:
        assert mine[key].dtype == other[key].dtype
        assert (mine[key] == other[key]).all()


def test_pad(both):
    ours, theirs = both
    rows = [dict(ours(text)) for text in (SHORT, LONG, "")]
    for padding, max_length, multiple in itertools.product([True, False, "max_length"], [None, 8, 20], [None, 8]):
        if padding == "max_length" and max_length is None:
            continue  # would pad to the model's length, which these have none of
        for inputs in (rows, {key: [row[key] for row in rows] for key in rows[0]}, rows[0]):
            options = {"padding": padding, "max_length": max_length, "pad_to_multiple_of": multiple, "verbose": False}
            assert dict(ours.pad(inputs, **options)) == dict(theirs.pad(inputs, **options))


def test_methods(both):
    ours, theirs = both
    assert ours.tokenize(LONG) == theirs.tokenize(LONG)
    assert ours.tokenize(LONG, OTHER, add_special_tokens=True) == theirs.tokenize(LONG, OTHER, add_special_tokens=True)
    assert ours.encode(LONG, OTHER) == theirs.encode(LONG, OTHER)
    assert ours.convert_tokens_to_ids(["the", "nowhere", "[SEP]"]) == theirs.convert_tokens_to_ids(
        ["the", "nowhere", "[SEP]"]
    )
    assert ours.convert_ids_to_tokens([2, 5, 3], skip_special_tokens=True) == ["un"]
    assert (len(ours), ours.vocab_size) == (len(theirs), theirs.vocab_size)
    assert ours.get_vocab() == theirs.get_vocab()
    assert ours.all_special_ids == theirs.all_special_ids
    assert ours.all_special_tokens == theirs.all_special_tokens
    assert ours.special_tokens_map == theirs.special_tokens_map
    assert ours.num_special_tokens_to_add() == theirs.num_special_tokens_to_add() == 2
    assert ours.num_special_tokens_to_add(pair=True) == theirs.num_special_tokens_to_add(pair=True) == 3
    assert ours.model_max_length == theirs.model_max_length


def test_decoding(both):
    ours, theirs = both
    texts = ["don't do not , stop ! I'm here . they ' ve it 's", *ADVERSARIAL]
    for ids in ours(texts).input_ids:
        for skip, clean in itertools.product([False, True], repeat=2):
            options = {"skip_special_tokens": skip, "clean_up_tokenization_spaces": clean}
            assert ours.decode(ids, **options) == theirs.decode(ids, **options)
        tokens = ours.convert_ids_to_tokens(ids)
        assert ours.convert_tokens_to_string(tokens) == theirs.convert_tokens_to_string(tokens)


# ----- files ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SETTINGS)
def test_transformers_loads_what_we_save(tmp_path, name):
    ours = ours_of(*SETTINGS[name])
    ours.add_tokens(["newword", AddedToken("foo", lstrip=True, normalized=False)])
    ours.add_special_tokens({"additional_special_tokens": ["<x>"], "mask_token": AddedToken("<mask>", lstrip=True)})
    ours.save_pretrained(tmp_path)
    texts = [*ADVERSARIAL, "a newword <x> foo <mask> [MASK]"]
    for loaded in (
        transformers.AutoTokenizer.from_pretrained(tmp_path),
        BertTokenizer.from_pretrained(tmp_path),
    ):
        assert loaded(texts)["input_ids"] == ours(texts)["input_ids"]
        assert loaded.mask_token_id == ours.mask_token_id
        assert len(loaded) == len(ours)
    library = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    assert [row.ids for row in library.encode_batch(texts)] == ours(texts)["input_ids"]


@pytest.mark.parametrize("name", SETTINGS)
def test_we_load_what_transformers_saves(tmp_path, name):
    lowercase, strip_accents, chinese = SETTINGS[name]
    theirs = transformers.BertTokenizer(
        vocab=VOCAB,
        do_lower_case=lowercase,
        strip_accents=strip_accents,
        tokenize_chinese_chars=chinese,
        padding_side="left",
        model_max_length=99,
    )
    theirs.add_tokens(["newword"])
    theirs.add_special_tokens({"extra_special_tokens": ["<x>"], "mask_token": "<mask>"})
    theirs.save_pretrained(tmp_path)
    ours = BertTokenizer.from_pretrained(tmp_path)
    texts = [*ADVERSARIAL, "a newword <x> <mask> [MASK]"]
    assert ours(texts, padding=True)["input_ids"] == theirs(texts, padding=True)["input_ids"]
    assert (ours.model_max_length, ours.padding_side, ours.mask_token_id) == (99, "left", theirs.mask_token_id)
    assert ours.additional_special_tokens == ["<x>"]


def test_tokenizer_json_is_written_as_the_library_writes_it(tmp_path):
    ours_of().save_pretrained(tmp_path)
    written = json.loads((tmp_path / "tokenizer.json").read_text("utf-8"))
    library = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    assert json.loads(library.to_str()) == written


# ----- training ------------------------------------------------------------------------------------------------------

CORPUS = [
    "The quick brown fox jumps over the lazy dog; the dog, unimpressed, sleeps on.",
    "Unbelievable believers leave leaves of believable books: aaaa aaa aa abababab banana bandana.",
    "Ünïcödé tëxt, 好好学习 天天向上, Привет мир, γειά σου Κόσμε, naïve café — déjà vu!",
    "she sells sea shells by the sea shore; 1999, 2000, 2001 and 2010.",
] * 3


@pytest.mark.parametrize(
    "options",
    [
        {"vocab_size": 60},
        {"vocab_size": 150},
        {"vocab_size": 400},
        {"vocab_size": 400, "min_frequency": 4},
        {"vocab_size": 200, "initial_alphabet": ["z", "q", "ж", "Zebra"]},
        {"vocab_size": 120, "limit_alphabet": 3},
        {"vocab_size": 120, "limit_alphabet": 5, "initial_alphabet": ["ж", "q"]},
        {"vocab_size": 200, "continuing_subword_prefix": "@@"},
        {"vocab_size": 200, "continuing_subword_prefix": ""},
        {"vocab_size": 10},
    ],
)
def test_trained_vocabularies(options):
    prefix = options.get("continuing_subword_prefix", "##")
    library = tokenizers.Tokenizer(tokenizers.models.WordPiece(unk_token="[UNK]"))
    library.normalizer = tokenizers.normalizers.BertNormalizer()
    library.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    trainer = tokenizers.trainers.WordPieceTrainer(special_tokens=SPECIAL, show_progress=False, **options)
    library.train_from_iterator(CORPUS, trainer)
    theirs = library.get_vocab()

    words: dict[str, int] = {}
    for text in CORPUS:
        normalized = library.normalizer.normalize_str(text)
        for word, _ in library.pre_tokenizer.pre_tokenize_str(normalized):
            words[word] = words.get(word, 0) + 1
    # The library numbers the characters inside words in the order of a hash table; take that order from its result.
    order = [
        token for token in sorted(theirs, key=theirs.get) if token.startswith(prefix) and len(token) == len(prefix) + 1
    ]
    ours = wordpiece_from_counts(words, special_tokens=SPECIAL, show_progress=False, spelled_order=order, **options)
    assert ours == theirs
