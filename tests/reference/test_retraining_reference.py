"""train_new_from_iterator against transformers': the same tokenizer.json, whatever the model and the post-processor."""

import json

import pytest

tokenizers = pytest.importorskip("tokenizers")
transformers = pytest.importorskip("transformers")

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors  # noqa: E402

from edutransformers.tokenizers import BertTokenizer, PreTrainedTokenizerFast  # noqa: E402
from edutransformers.tokenizers.tokenizer_json import engine_to_json  # noqa: E402
from tests.reference.test_tokenizers_reference import ADVERSARIAL, CORPUS  # noqa: E402

pytestmark = [
    pytest.mark.reference,
    pytest.mark.skipif(int(transformers.__version__.split(".")[0]) < 5, reason="needs transformers 5.x"),
]

SPECIAL = ["<s>", "</s>", "<unk>", "<pad>"]
TEMPLATE = processors.TemplateProcessing("<s> $A </s>", "<s> $A </s> $B:1 </s>:1", [("<s>", 0), ("</s>", 1)])
BYTE_LEVEL = pre_tokenizers.ByteLevel(add_prefix_space=False)


def build(model, normalizer=None, pre_tokenizer=None, post_processor=None, decoder=None, special=SPECIAL):
    tokenizer = Tokenizer(model)
    stages = {
        "normalizer": normalizer,
        "pre_tokenizer": pre_tokenizer,
        "post_processor": post_processor,
        "decoder": decoder,
    }
    for name, stage in stages.items():
        if stage is not None:
            setattr(tokenizer, name, stage)
    tokenizer.add_special_tokens(special)
    tokenizer.add_tokens(["New Tok"])
    return tokenizer


IDS = {token: i for i, token in enumerate([*SPECIAL, "a", "b", "ab"])}
SCORES = [(token, 0.0) for token in SPECIAL] + [("▁", -1.0), ("a", -2.0)]
BUILDERS = {
    "GPT-2": lambda: build(
        models.BPE(IDS, [("a", "b")]), None, BYTE_LEVEL, processors.ByteLevel(), decoders.ByteLevel()
    ),
    "RoBERTa": lambda: build(
        models.BPE(IDS, [("a", "b")], fuse_unk=True),
        None,
        BYTE_LEVEL,
        processors.RobertaProcessing(("</s>", 1), ("<s>", 0), trim_offsets=False),
        special=[*SPECIAL, AddedToken("<mask>", lstrip=True)],
    ),
    "Llama 3": lambda: build(
        models.BPE(IDS, [("a", "b")], ignore_merges=True),
        None,
        pre_tokenizers.Sequence(
            [pre_tokenizers.Split(tokenizers.Regex(r"\w+|\W"), "isolated"), pre_tokenizers.ByteLevel(False, False)]
        ),
        TEMPLATE,
    ),
    "GPT": lambda: build(
        models.BPE(IDS, [("a", "b")], unk_token="<unk>"),
        normalizers.BertNormalizer(),
        pre_tokenizers.BertPreTokenizer(),
        TEMPLATE,
        decoders.BPEDecoder(),
    ),
    "BERT": lambda: build(
        models.WordPiece(IDS, unk_token="<unk>"),
        normalizers.BertNormalizer(lowercase=False),
        pre_tokenizers.BertPreTokenizer(),
        processors.BertProcessing(("</s>", 1), ("<s>", 0)),
    ),
    "T5": lambda: build(
        models.Unigram(SCORES, unk_id=2),
        normalizers.Nmt(),
        pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()]),
        TEMPLATE,
        decoders.Metaspace(),
    ),
    "words": lambda: build(models.WordLevel(IDS, unk_token="<unk>"), None, pre_tokenizers.Whitespace(), TEMPLATE),
    "characters": lambda: build(
        models.WordLevel(IDS, unk_token="<unk>"), None, pre_tokenizers.Split("", "isolated"), TEMPLATE, decoders.Fuse()
    ),
}
OPTIONS = {
    "as it was": {},
    "renamed": {"special_tokens_map": {"<s>": "[CLS]", "<unk>": "[UNK]"}},
    "new special tokens": {"new_special_tokens": ["<x>", "<y>"]},
}
NAMES = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}


# The library numbers characters inside words in the order of a hash table, another one in each run, and the numbers
# decide between pairs that occur equally often. So for "BERT" no two pairs do, and ids are not compared.
WITHOUT_TIES = ["ab " * 7, "cd " * 5 + "abe " * 3]


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("name", BUILDERS)
def test_the_same_tokenizer(name, option):
    library = BUILDERS[name]()
    ours = PreTrainedTokenizerFast(tokenizer_object=library, model_max_length=99, **NAMES)
    theirs = transformers.PreTrainedTokenizerFast(tokenizer_object=library, model_max_length=99, **NAMES)
    texts = [WITHOUT_TIES] if name == "BERT" else [CORPUS[:5], CORPUS[5:]]
    ours = ours.train_new_from_iterator(texts, 500, show_progress=False, **OPTIONS[option])
    theirs = theirs.train_new_from_iterator(texts, 500, show_progress=False, **OPTIONS[option])

    found, expected = engine_to_json(ours._engine), json.loads(theirs._tokenizer.to_str())
    models_found, models_expected = found.pop("model"), expected.pop("model")
    assert found == expected
    vocab_found, vocab_expected = models_found.pop("vocab"), models_expected.pop("vocab")
    if name == "T5":
        assert {piece for piece, _ in vocab_found} == {piece for piece, _ in vocab_expected}
    elif name == "BERT":
        assert set(vocab_found) == set(vocab_expected)
    else:
        assert vocab_found == vocab_expected
    assert models_found == models_expected
    assert set(ours.all_special_tokens) == set(theirs.all_special_tokens)
    assert ours.additional_special_tokens == theirs.extra_special_tokens
    assert [getattr(ours, key) for key in NAMES] == [getattr(theirs, key) for key in NAMES]
    assert ours.model_max_length == theirs.model_max_length
    for text in [*CORPUS, *ADVERSARIAL, "a New Tok <x></s>"]:
        assert ours.tokenize(text) == theirs.tokenize(text), ascii(text)
        if name not in ("T5", "BERT"):
            assert ours(text, "a pair").input_ids == theirs(text, "a pair")["input_ids"], ascii(text)


def test_bert(tmp_path):
    """The class stays, with its settings; what it saves, transformers loads."""
    old = BertTokenizer(vocab=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "x"], do_lower_case=False)
    new = old.train_new_from_iterator(CORPUS, 2000, show_progress=False)
    assert type(new) is BertTokenizer
    new.save_pretrained(tmp_path)
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    for text in [*CORPUS, *ADVERSARIAL]:
        assert new(text, "Pair").input_ids == theirs(text, "Pair")["input_ids"], ascii(text)
