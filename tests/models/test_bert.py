"""BERT: what every model promises, for each of its heads, and what only BERT has."""

import numpy as np
import pytest

import edutransformers
from edutransformers import BertConfig, BertForMaskedLM, BertModel
from edutransformers.module import skip_initialization

from .bert_cases import CASES, LEGACY, TINY, batch_of, model_of
from .common import promises_of
from .subject import Subject

POSITIONS = "embeddings.position_embeddings.weight"


def subject(case, **special) -> Subject:
    # A key's bias adds the same to all scores of a query, and softmax doesn't see that. (Relative positions that
    # involve the key do.)
    flat = ("self.key.bias",)
    return Subject(
        lambda dtype: model_of(case, dtype),
        lambda dtype: batch_of(case, dtype),
        has_loss=case.labels is not None,
        flat=flat,
        **special,
    )


SUBJECTS = {
    **{name: subject(CASES[name]) for name in (
        "model", "pretraining", "masked_lm", "causal_lm", "next_sentence", "classes", "one_number",
        "several_labels", "multiple_choice", "token_classes", "cross_attention", "cross_attention_lm", "embeds",
    )},
    "question_answering": subject(CASES["question_answering"], loss_sees_padding=True),
    "relative_key": subject(LEGACY["relative_key"], unused=(f"bert.{POSITIONS}",)),
    "relative_key_query": subject(LEGACY["relative_key_query"], unused=(f"bert.{POSITIONS}",)),
    "head_mask": subject(LEGACY["head_mask"]),
}  # fmt: skip


@pytest.mark.parametrize(("name", "promise"), promises_of(SUBJECTS))
def test_promise(name, promise, tmp_path):
    promise(SUBJECTS[name], tmp_path)


# -- what only BERT has -----------------------------------------------------------------------------------------------

# Known from the original's bert-base-uncased, for each class with two labels.
SIZES = {
    "BertModel": 109_482_240,
    "BertForPreTraining": 110_106_428,
    "BertForMaskedLM": 109_514_298,
    "BertForNextSentencePrediction": 109_483_778,
    "BertForSequenceClassification": 109_483_778,
    "BertForMultipleChoice": 109_483_009,
    "BertForTokenClassification": 108_893_186,
    "BertForQuestionAnswering": 108_893_186,
}


@pytest.mark.parametrize("name", SIZES)
def test_size_of_bert_base(name):
    with skip_initialization():
        assert getattr(edutransformers, name)(BertConfig()).num_parameters() == SIZES[name]


def test_fresh_weights():
    config = BertConfig(**{**TINY, "hidden_size": 60, "vocab_size": 500, "initializer_range": 0.05})
    one, same = (BertForMaskedLM(config, generator=np.random.default_rng(3)).state_dict() for _ in range(2))
    other = BertForMaskedLM(config).state_dict()
    for name, x in one.items():
        assert x.dtype == np.float32
        np.testing.assert_array_equal(x, same[name])
        if name.endswith("LayerNorm.weight"):
            assert (x == 1).all()
        elif name.endswith("bias"):
            assert (x == 0).all()
        else:
            assert 0.04 < x.std() < 0.06, f"{name}: {x.std()}"
            assert abs(x.mean()) < 0.01
            assert np.abs(x - other[name]).max() > 0.01
    assert (one["bert.embeddings.word_embeddings.weight"][0] == 0).all()  # the padding token's


def test_a_text_that_may_see_nothing():
    """A mask of zeros: attention gives zeros and no gradient, not nan and not (as the original) an average."""
    model = model_of(CASES["model"])
    ids = np.array([[4, 7, 9], [4, 7, 9]])
    mask = np.array([[0, 0, 0], [1, 1, 1]])
    output, cache = model.forward(ids, mask, output_attentions=True)
    assert (output.attentions[0][0] == 0).all()
    np.testing.assert_allclose(output.attentions[0][1].sum(axis=-1), 1)
    assert np.isfinite(output.last_hidden_state).all()
    d_output = np.zeros_like(output.last_hidden_state)
    d_output[0] = 1.0 + np.arange(18)
    model.backward({"last_hidden_state": d_output}, cache)
    gradients = {name: p.grad for name, p in model.named_parameters()}
    assert (gradients["encoder.layer.0.attention.self.value.weight"] == 0).all()
    assert (gradients["encoder.layer.0.attention.self.query.weight"] == 0).all()
    assert np.abs(gradients["encoder.layer.0.intermediate.dense.weight"]).max() > 0


def test_the_gradient_of_the_words_comes_with_ids_too():
    """backward returns it as "inputs_embeds", equal to what it is when the vectors themselves are passed."""
    model, batch = model_of(CASES["classes"]), batch_of(CASES["classes"])
    output, cache = model.forward(**batch)
    from_ids = model.backward({"loss": 1.0}, cache)["inputs_embeds"]
    words = {name: x for name, x in batch.items() if name != "input_ids"}
    words["inputs_embeds"] = model.bert.embeddings.word_embeddings.weight.data[batch["input_ids"]]
    again, cache = model.forward(**words)
    assert again.loss == output.loss
    np.testing.assert_array_equal(model.backward({"loss": 1.0}, cache)["inputs_embeds"], from_ids)
    assert np.abs(from_ids).max() > 0


def test_labels_that_all_do_not_count():
    """The mean over nothing is nan, as in the original; the gradient is 0, so that one such batch ruins no training."""
    model, batch = model_of(CASES["masked_lm"]), dict(batch_of(CASES["masked_lm"]))
    batch["labels"] = np.full_like(batch["labels"], -100)
    output, cache = model.forward(**batch)
    assert np.isnan(output.loss)
    model.backward({"loss": 1.0}, cache)
    assert all((p.grad == 0).all() for p in model.parameters() if p.grad is not None)


def test_labels_decide_the_loss_anew_each_time():
    """The original writes its first choice into the config; here whole numbers and floats may alternate."""
    model, batch = model_of(CASES["classes"]), dict(batch_of(CASES["classes"]))
    single = model.forward(**batch)[0].loss
    batch["labels"] = batch_of(CASES["several_labels"])["labels"]
    several = model.forward(**batch)[0].loss
    assert model.config.problem_type is None
    assert abs(single - several) > 1e-3


def test_outputs_by_name_place_and_attribute():
    case = CASES["pretraining"]
    output = model_of(case)(**batch_of(case))
    assert output[0] is output.loss is output["loss"]
    assert list(output) == ["loss", "prediction_logits", "seq_relationship_logits", "hidden_states", "attentions"]
    assert [len(x) for x in output.to_tuple()[3:]] == [3, 2]
    config = BertConfig(**{**TINY, "output_hidden_states": True})
    assert list(BertModel(config).eval()(np.array([[1, 2]]))) == ["last_hidden_state", "pooler_output", "hidden_states"]


@pytest.mark.parametrize("name", ["classes", "multiple_choice", "question_answering", "pretraining"])
def test_arguments_by_place(name):
    """In the original's order: ids, mask, segments, positions, head mask."""
    model, batch = model_of(CASES[name]), batch_of(CASES[name])
    shape = batch["input_ids"].shape
    places = (batch["input_ids"], batch["attention_mask"], batch["token_type_ids"],
              np.broadcast_to(np.arange(shape[-1])[::-1], shape), np.array([1.0, 0.0, 0.5]))  # fmt: skip
    names = ("input_ids", "attention_mask", "token_type_ids", "position_ids", "head_mask")
    by_place, by_name = model(*places), model(**dict(zip(names, places)))
    assert list(by_place) == list(by_name)
    assert "loss" not in by_place
    for output, x in by_name.items():
        np.testing.assert_array_equal(by_place[output], x)


def test_a_model_without_a_pooler():
    model = BertModel(BertConfig(**TINY), add_pooling_layer=False).eval()
    output, cache = model.forward(np.array([[1, 2]]))
    assert list(output) == ["last_hidden_state"]
    with pytest.raises(KeyError, match="BertModel.backward got a gradient for 'pooler_output'"):
        model.backward({"pooler_output": np.zeros((1, 18))}, cache)


def test_a_frozen_body_and_a_learning_head():
    case = CASES["classes"]
    model, batch = model_of(case), batch_of(case)
    model.bert.requires_grad_(False)
    assert model.num_parameters(only_trainable=True) == 18 * 5 + 5
    _, cache = model.forward(**batch)
    model.backward({"loss": 1.0}, cache)
    learned = {name for name, p in model.named_parameters() if p.grad is not None}
    assert learned == {"classifier.weight", "classifier.bias"}


def test_a_decoder_does_not_see_the_future():
    model = model_of(CASES["causal_lm"], "float16")  # where a finite mask value would be too small to hide it
    ids = np.array([[3, 5, 7, 9, 11]])
    changed = ids.copy()
    changed[0, 3:] = [20, 30]
    before, after = model(ids).logits, model(changed).logits
    np.testing.assert_array_equal(before[:, :3], after[:, :3])
    assert (before[:, 3:] != after[:, 3:]).any()


def test_untied_models_use_the_decoders_own_bias():
    """As in 5.x, which unties the bias together with the weight, and then has one that is of no use."""
    case = CASES["untied"]
    model, batch = model_of(case), batch_of(case)
    before = model(**batch).logits
    biases = [dict(model.named_parameters())[f"cls.predictions.{name}"] for name in ("bias", "decoder.bias")]
    biases[0].data = biases[0].data + 1
    np.testing.assert_array_equal(model(**batch).logits, before)
    biases[1].data = biases[1].data + 1
    np.testing.assert_allclose(model(**batch).logits, before + 1)
    tied = BertForMaskedLM(BertConfig(**TINY))
    assert tied.head.decoder.bias is tied.head.bias
    assert tied.head.decoder.weight is tied.bert.embeddings.word_embeddings.weight


@pytest.mark.parametrize("name", ["causal_lm", "cross_attention_lm", "relative_key_query_decoder"])
def test_a_decoder_goes_on_where_it_stopped(name):
    """Read in pieces with a key/value cache: the numbers of reading all at once."""
    case = {**CASES, **LEGACY}[name]
    model = model_of(case)
    given = {key: x for key, x in batch_of(case).items() if key.startswith("encoder_")}
    ids = np.random.default_rng(1).integers(1, 31, (4, 7))
    output_name = "logits" if case.labels else "last_hidden_state"
    whole = model(ids, use_cache=False, **given)[output_name]
    past, parts = None, []
    for start, stop in ((0, 3), (3, 4), (4, 7)):
        output = model(ids[:, start:stop], past_key_values=past, use_cache=True, **given)
        past = output.past_key_values
        parts.append(output[output_name])
    assert past.length == 7
    np.testing.assert_allclose(np.concatenate(parts, axis=1), whole, rtol=0, atol=1e-12)


def test_an_encoder_has_no_cache():
    assert "past_key_values" not in model_of(CASES["model"])(np.array([[1, 2]]), use_cache=True)
