"""resize_token_embeddings: rows that were there stay, ties hold, and the model trains and saves with its new size."""

import numpy as np
import pytest

from edutransformers import BertConfig, BertForMaskedLM, BertForPreTraining, BertForSequenceClassification
from edutransformers.tokenizers import BertTokenizer

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "cat", "sat", "on", "the", "mat"]


def config(**fields):
    return BertConfig(
        **{
            "vocab_size": len(WORDS),
            "hidden_size": 8,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "intermediate_size": 16,
            "max_position_embeddings": 16,
            "initializer_range": 0.3,
            **fields,
        }
    )


def model_of(kind=BertForMaskedLM, **fields):
    model = kind(config(**fields), generator=np.random.default_rng(0))
    for _, parameter in model.named_parameters():
        parameter.data += np.float32(0.01)  # biases too are not at their first values
    return model.eval()


def test_new_tokens_of_a_tokenizer(tmp_path):
    """Add tokens, resize, train a step, save, load: as a user does it."""
    tokenizer, model = BertTokenizer(vocab=WORDS), model_of()
    before = model(**tokenizer("a cat sat", return_tensors="np")).logits
    tokenizer.add_tokens(["purring", "mewing"])
    assert model.resize_token_embeddings(len(tokenizer)) is model.get_input_embeddings()
    assert model.config.vocab_size == len(tokenizer) == len(WORDS) + 2
    after = model(**tokenizer("a cat sat", return_tensors="np")).logits
    np.testing.assert_array_equal(after[..., : len(WORDS)], before)
    batch = tokenizer("the purring cat", return_tensors="np")
    out, cache = model.forward(**batch, labels=batch["input_ids"])
    model.backward({"loss": 1.0}, cache)
    assert model.get_input_embeddings().weight.grad[tokenizer.convert_tokens_to_ids("purring")].any()
    model.save_pretrained(tmp_path)
    loaded = BertForMaskedLM.from_pretrained(tmp_path)
    np.testing.assert_array_equal(loaded(**batch).logits, out.logits)


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("kind", [BertForMaskedLM, BertForPreTraining])
def test_every_weight_with_a_row_for_each_word(kind, tied, tmp_path):
    model = model_of(kind, tie_word_embeddings=tied)
    old = {name: p.data.copy() for name, p in model.named_parameters(remove_duplicate=False)}
    model.resize_token_embeddings(100, generator=np.random.default_rng(1))
    changed = {name for name, p in model.named_parameters(remove_duplicate=False) if p.shape != old[name].shape}
    head = "cls.predictions"
    assert changed == {
        "bert.embeddings.word_embeddings.weight",
        f"{head}.bias",
        f"{head}.decoder.weight",
        f"{head}.decoder.bias",
    }
    for name, p in model.named_parameters(remove_duplicate=False):
        np.testing.assert_array_equal(p.data[: len(old[name])], old[name])
        if name in changed:
            assert p.shape[0] == 100
            assert p.dtype == np.float32
            new = p.data[len(old[name]) :]
            assert abs(new.std() - 0.3) < 0.05 if p.data.ndim > 1 else not new.any()
    table = model.get_input_embeddings().weight
    assert (model.get_output_embeddings().weight is table) == tied
    model.save_pretrained(tmp_path)
    loaded, report = kind.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(report.values())
    assert loaded.config.vocab_size == 100


def test_fewer_words():
    model = model_of(BertForSequenceClassification)
    model.resize_token_embeddings(7)
    assert model.get_input_embeddings().weight.shape == (7, 8)
    assert model(np.array([[2, 6, 3]])).logits.shape == (1, 2)
    with pytest.raises(ValueError, match="input_ids holds 7|ids holds 7"):
        model(np.array([[2, 7, 3]]))


def test_sizes():
    model = model_of()
    table = model.get_input_embeddings().weight.data
    assert model.resize_token_embeddings() is model.get_input_embeddings()
    assert model.get_input_embeddings().weight.data is table
    model.resize_token_embeddings(pad_to_multiple_of=8)
    assert model.config.vocab_size == 16
    model.resize_token_embeddings(17, pad_to_multiple_of=64)
    assert model.config.vocab_size == 64


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({"new_num_tokens": 0}, ValueError, "new_num_tokens is 0, expected 1 or more"),
        ({"new_num_tokens": -3}, ValueError, "new_num_tokens is -3"),
        ({"new_num_tokens": 3.0}, TypeError, r"new_num_tokens must be a whole number, got 3\.0"),
        ({"new_num_tokens": 5, "pad_to_multiple_of": 0}, ValueError, "pad_to_multiple_of is 0"),
    ],
)
def test_what_is_no_size(arguments, error, match):
    with pytest.raises(error, match=match):
        model_of().resize_token_embeddings(**arguments)


def test_on_a_gpu(fake_cupy):
    model = model_of().to("cuda")
    model.resize_token_embeddings(20)
    assert isinstance(model.get_input_embeddings().weight.data, fake_cupy.ndarray)
    assert model.get_output_embeddings().weight is model.get_input_embeddings().weight


def test_float64_stays(rng):
    model = model_of().astype("float64")
    model.resize_token_embeddings(20, generator=rng)
    assert model.get_input_embeddings().weight.dtype == np.float64
