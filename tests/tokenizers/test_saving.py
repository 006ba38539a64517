"""Folders: what is written is read, in the forms of transformers 4 and 5, and what is broken is named."""

import json

import pytest

from edutransformers.tokenizers import AddedToken, BertTokenizer
from edutransformers.tokenizers.tokenizer_json import engine_from_json, engine_to_json

from .conftest import TOKENS

TEXTS = ["The dogs, unaffable!", "a newword <x> <mask> NEWWORD", "éÉ好 [CLS]"]
FLAGS = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}


def write(folder, **files):
    for name, content in files.items():
        path = folder / (name + (".txt" if name == "vocab" else ".json"))
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")


def test_round_trip(tokenizer, tmp_path):
    tokenizer.add_tokens(["newword", AddedToken("foo", lstrip=True)])
    tokenizer.add_special_tokens(
        {"additional_special_tokens": ["<x>"], "mask_token": AddedToken("<mask>", lstrip=True)}
    )
    tokenizer.model_max_length = 77
    tokenizer.padding_side = "left"
    names = {path.rsplit("/", 1)[-1] for path in tokenizer.save_pretrained(tmp_path / "deep" / "folder")}
    assert names == {
        "tokenizer.json",
        "tokenizer_config.json",
        "special_tokens_map.json",
        "added_tokens.json",
        "vocab.txt",
    }
    for drop in ((), ("tokenizer.json",), ("special_tokens_map.json", "added_tokens.json", "vocab.txt")):
        for name in drop:
            (tmp_path / "deep" / "folder" / name).rename(tmp_path / name)
        loaded = BertTokenizer.from_pretrained(tmp_path / "deep" / "folder")
        assert loaded(TEXTS, return_offsets_mapping=True) == tokenizer(TEXTS, return_offsets_mapping=True)
        assert loaded.get_vocab() == tokenizer.get_vocab()
        assert loaded.special_tokens_map == tokenizer.special_tokens_map
        assert loaded.added_tokens_decoder == tokenizer.added_tokens_decoder
        assert (loaded.model_max_length, loaded.padding_side, loaded.truncation_side) == (77, "left", "right")
        for name in drop:
            (tmp_path / name).rename(tmp_path / "deep" / "folder" / name)


@pytest.mark.parametrize(
    "options",
    [
        {"do_lower_case": False},
        {"strip_accents": False},
        {"tokenize_chinese_chars": False},
        {"do_basic_tokenize": False},
        {"never_split": ["É"]},
    ],
)
def test_options_survive(tmp_path, options):
    tokens = [*TOKENS, "é", "É", "e", "好", "##好", "É好"]
    tokenizer = BertTokenizer(vocab=tokens, **options)
    tokenizer.save_pretrained(tmp_path)
    loaded = BertTokenizer.from_pretrained(tmp_path)
    text = "É é É好 好 the"
    assert loaded.tokenize(text) == tokenizer.tokenize(text)
    assert tokenizer.tokenize(text) != BertTokenizer(vocab=tokens).tokenize(text)


def test_vocab_txt_alone(tmp_path):
    write(tmp_path, vocab="\n".join(TOKENS) + "\n")
    assert BertTokenizer.from_pretrained(tmp_path)("the dogs").input_ids == [2, 5, 6, 7, 3]
    assert BertTokenizer.from_pretrained(str(tmp_path), do_lower_case=False).tokenize("The") == ["[UNK]"]
    assert BertTokenizer(tmp_path / "vocab.txt").tokenize("The") == ["the"]
    write(tmp_path, vocab="\r\n".join(TOKENS))
    assert BertTokenizer.from_pretrained(tmp_path)("the dogs").input_ids == [2, 5, 6, 7, 3]


def test_files_of_transformers_4(tmp_path):
    write(
        tmp_path,
        vocab="\n".join(TOKENS) + "\n",
        tokenizer_config={
            "added_tokens_decoder": {
                **{str(i): {"content": TOKENS[i], **FLAGS} for i in range(5)},
                "27": {"content": "newword", **FLAGS, "normalized": True, "special": False},
                "28": {"content": "<x>", **FLAGS},
            },
            "additional_special_tokens": ["<x>"],
            "do_lower_case": True,
            "mask_token": {"__type": "AddedToken", "content": "[MASK]", **FLAGS},
            "model_max_length": 512,
            "tokenizer_class": "BertTokenizer",
            "max_length": 128,
            "tokenizer_file": "/somewhere/else",
        },
        special_tokens_map={"cls_token": "[CLS]", "pad_token": {"content": "[PAD]", "lstrip": False}},
        added_tokens={"newword": 27, "<x>": 28},
    )
    loaded = BertTokenizer.from_pretrained(tmp_path, use_fast=True)
    assert loaded("NewWord <x> [MASK]").input_ids == [2, 27, 28, 4, 3]
    assert loaded.additional_special_tokens == ["<x>"]
    assert (loaded.model_max_length, loaded.pad_token, loaded.mask_token) == (512, "[PAD]", "[MASK]")


def test_added_tokens_json_alone(tmp_path):
    write(tmp_path, vocab="\n".join(TOKENS) + "\n", added_tokens={"newword": 27, "[CLS]": 2})
    loaded = BertTokenizer.from_pretrained(tmp_path)
    assert loaded("newword the").input_ids == [2, 27, 5, 3]
    assert loaded.decode([2, 27], skip_special_tokens=True) == "newword"


def test_files_of_transformers_5(tokenizer, tmp_path):
    tokenizer.add_tokens(["newword"])
    tokenizer.add_special_tokens({"additional_special_tokens": ["<x>"]})
    write(
        tmp_path,
        tokenizer=engine_to_json(tokenizer._engine),
        tokenizer_config={
            "backend": "tokenizers",
            "extra_special_tokens": ["<x>"],
            "is_local": True,
            "cls_token": "[CLS]",
            "model_max_length": 512,
            "tokenizer_class": "BertTokenizer",
            "truncation_side": "left",
        },
    )
    loaded = BertTokenizer.from_pretrained(tmp_path)
    assert loaded(TEXTS) == tokenizer(TEXTS)
    assert (loaded.additional_special_tokens, loaded.truncation_side) == (["<x>"], "left")


def test_tokenizer_json_decides_where_the_config_is_silent(tmp_path):
    cased = BertTokenizer(vocab=[*TOKENS, "The"], do_lower_case=False)
    write(tmp_path, tokenizer=engine_to_json(cased._engine))
    assert BertTokenizer.from_pretrained(tmp_path).tokenize("The") == ["The"]
    assert BertTokenizer.from_pretrained(tmp_path, do_lower_case=True).tokenize("The") == ["the"]


def test_truncation_and_padding_of_the_file_are_kept_but_not_used(tokenizer):
    content = engine_to_json(tokenizer._engine)
    content["truncation"] = {"direction": "Left", "max_length": 3, "strategy": "LongestFirst", "stride": 1}
    content["padding"] = {
        "strategy": {"Fixed": 9},
        "direction": "Right",
        "pad_to_multiple_of": 8,
        "pad_id": 0,
        "pad_type_id": 0,
        "pad_token": "[PAD]",
    }
    engine = engine_from_json(content)
    written = engine_to_json(engine)
    assert written == content
    assert BertTokenizer(engine=engine)("a b c").input_ids == [2, 20, 21, 22, 3]


def test_bert_processing_is_the_same_layout(tokenizer):
    content = engine_to_json(tokenizer._engine)
    content["post_processor"] = {"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]}
    old = BertTokenizer(engine=engine_from_json(content))
    assert old("a", "b") == tokenizer("a", "b")
    assert engine_to_json(old._engine) == content


@pytest.mark.parametrize("part", ["normalizer", "pre_tokenizer", "model", "post_processor", "decoder"])
def test_unknown_parts_are_named(tokenizer, part):
    content = engine_to_json(tokenizer._engine)
    content[part] = {"type": "Quantum"}
    with pytest.raises(
        ValueError, match=f"the {part} is of type 'Quantum', which edutransformers can't build; it knows"
    ):
        engine_from_json(content)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.pop("model"), "with a 'model'"),
        (lambda c: c["model"].pop("vocab"), "'model' lacks 'vocab'"),
        (lambda c: c["model"].update(vocab={}), "empty"),
        (lambda c: c["model"].update(vocab=[1]), "The vocabulary is a list"),
        (lambda c: c["model"].update(vocab={"a": 0, "b": 0}), "id 0 to both"),
        (lambda c: c["post_processor"].pop("pair"), "'post_processor' lacks 'pair'"),
        (lambda c: c["post_processor"].update(special_tokens={}), "not among its special tokens"),
        (lambda c: c["added_tokens"][0].pop("id"), "'added_tokens' lacks 'id'"),
        (lambda c: c["added_tokens"][0].update(id=17), r"added token '\[PAD\]' has the id 17, but the vocabulary"),
        (lambda c: c.update(truncation={"strategy": "LongestFirst"}), "'truncation' lacks 'max_length'"),
    ],
)
def test_malformed_tokenizer_json(tokenizer, tmp_path, change, message):
    content = engine_to_json(tokenizer._engine)
    content = json.loads(json.dumps(content))
    change(content)
    write(tmp_path, tokenizer=content)
    with pytest.raises(ValueError, match=message) as error:
        BertTokenizer.from_pretrained(tmp_path)
    assert "tokenizer.json" in str(error.value)


def test_broken_files(tmp_path):
    with pytest.raises(OSError, match=r"no tokenizer\.json and no vocab\.txt"):
        BertTokenizer.from_pretrained(tmp_path)
    write(tmp_path, tokenizer='{"model": {')
    with pytest.raises(ValueError, match=r"tokenizer\.json is not valid JSON .* downloaded completely"):
        BertTokenizer.from_pretrained(tmp_path)
    write(tmp_path, tokenizer="[1, 2]")
    with pytest.raises(ValueError, match="something else"):
        BertTokenizer.from_pretrained(tmp_path)
    write(tmp_path, tokenizer_config="[]")
    with pytest.raises(ValueError, match=r"tokenizer_config\.json must hold a JSON object"):
        BertTokenizer.from_pretrained(tmp_path)
    with pytest.raises(OSError, match="is a file"):
        BertTokenizer.from_pretrained(tmp_path / "tokenizer.json")
    with pytest.raises(TypeError, match="folder or a name"):
        BertTokenizer.from_pretrained(None)


def test_a_name_is_resolved_elsewhere(tokenizer, tmp_path, monkeypatch):
    tokenizer.save_pretrained(tmp_path)
    asked = []

    def resolve_file(name, filename, **arguments):
        asked.append((name, filename, arguments))
        path = tmp_path / filename
        return path if path.exists() else None

    monkeypatch.setattr("edutransformers.checkpoints.resolve.resolve_file", resolve_file)
    loaded = BertTokenizer.from_pretrained("someone/something", revision="v1")
    assert loaded(TEXTS) == tokenizer(TEXTS)
    assert ("someone/something", "tokenizer.json", {"revision": "v1"}) in asked


def test_an_interrupted_save_leaves_the_old_file(tokenizer, tmp_path, monkeypatch):
    tokenizer.save_pretrained(tmp_path)
    before = (tmp_path / "tokenizer.json").read_bytes()

    def fail(*arguments):
        raise OSError("disk full")

    monkeypatch.setattr("os.replace", fail)
    tokenizer.add_tokens(["more"])
    with pytest.raises(OSError, match="disk full"):
        tokenizer.save_pretrained(tmp_path)
    assert (tmp_path / "tokenizer.json").read_bytes() == before
