"""Equal to the `tokenizers` library and transformers' fast tokenizer, as frozen by make_fixtures.py."""

import json
from pathlib import Path

import pytest

from edutransformers.tokenizers import BertTokenizer
from edutransformers.tokenizers.normalizers import BertNormalizer
from edutransformers.tokenizers.pre_tokenizers import BertPreTokenizer
from edutransformers.tokenizers.training import count_words, wordpiece_from_counts

FOLDER = Path(__file__).parents[1] / "fixtures" / "tokenizers"


def read(name):
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("number", range(6))
def test_encodings(number):
    frozen = read("bert_encodings")
    case = frozen["cases"][number]
    lowercase, strip_accents, chinese = case["setting"]
    tokenizer = BertTokenizer(
        vocab=frozen["vocab"], do_lower_case=lowercase, strip_accents=strip_accents, tokenize_chinese_chars=chinese
    )
    encoded = tokenizer(frozen["texts"], return_offsets_mapping=True)
    for i, (ids, offsets, word_ids) in enumerate(case["rows"]):
        text = ascii(frozen["texts"][i])
        assert encoded.input_ids[i] == ids, text
        assert [list(span) for span in encoded.offset_mapping[i]] == offsets, text
        assert encoded.word_ids(i) == word_ids, text


@pytest.mark.filterwarnings("ignore:max_length")
def test_calls():
    frozen = read("bert_calls")
    tokenizer = BertTokenizer(vocab=frozen["vocab"])
    assert len(frozen["calls"]) == 240
    for call in frozen["calls"]:
        text, text_pair = frozen["inputs"][call["inputs"]]
        tokenizer.padding_side, tokenizer.truncation_side = call["sides"]
        options = {
            **call["options"],
            "return_offsets_mapping": True,
            "return_special_tokens_mask": True,
            "return_length": True,
            "verbose": False,
        }
        if call["result"] is None:
            with pytest.raises(ValueError, match=r"stride|truncation|max_length|multiple"):
                tokenizer(text, text_pair, **options)
        else:
            result = dict(tokenizer(text, text_pair, **options))
            assert json.loads(json.dumps(result)) == call["result"], call


@pytest.mark.parametrize("number", range(6))
def test_trained_vocabularies(number):
    frozen = read("wordpiece_training")
    run = frozen["runs"][number]
    prefix = run["options"].get("continuing_subword_prefix", "##")
    words = count_words(frozen["corpus"], BertNormalizer(), BertPreTokenizer(), show_progress=False)
    # The library numbers the characters inside words in the order of a hash table: take its order.
    order = [token for token in run["vocab"] if token.startswith(prefix) and len(token) == len(prefix) + 1]
    ours = wordpiece_from_counts(
        words, special_tokens=frozen["special"], show_progress=False, spelled_order=order, **run["options"]
    )
    assert list(ours) == run["vocab"]
