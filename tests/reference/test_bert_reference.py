"""BERT against transformers 5.x: every output, every gradient, float64."""

import numpy as np
import pytest

import edutransformers
from edutransformers import BertConfig, BertForPreTraining
from tests.models.bert_cases import CASES, batch_of, model_of
from tests.models.proof import assert_same, flatten, run_model
from tests.models.seeded import seeded_integers

from .common import MAJOR, Masks, check_float32, original_of, run_original, tied_names, to_torch, torch, transformers

pytestmark = [pytest.mark.reference, pytest.mark.skipif(MAJOR < 5, reason="needs transformers 5.x")]


@pytest.mark.parametrize("name", CASES)
def test_outputs_and_gradients(name):
    case = CASES[name]
    ours, batch = model_of(case), batch_of(case)
    theirs = original_of(ours)
    if case.labels:
        assert_same(run_model(ours, batch, ("loss",)), run_original(theirs, batch, ("loss",)))
    assert_same(run_model(ours, batch), run_original(theirs, batch))


# -- one output at a time, so that no large gradient can hide a small one ---------------------------------------------

OUTPUTS = {
    "model": ("last_hidden_state", "pooler_output", "hidden_states", "attentions"),
    "pretraining": ("prediction_logits", "seq_relationship_logits", "hidden_states", "attentions"),
    "masked_lm": ("logits", "hidden_states", "attentions"),
    "causal_lm": ("logits", "hidden_states", "attentions"),
    "next_sentence": ("logits", "hidden_states", "attentions"),
    "classes": ("logits", "hidden_states", "attentions"),
    "multiple_choice": ("logits", "hidden_states", "attentions"),
    "token_classes": ("logits", "hidden_states", "attentions"),
    "question_answering": ("start_logits", "end_logits", "hidden_states", "attentions"),
    "cross_attention": ("last_hidden_state", "pooler_output", "hidden_states", "attentions", "cross_attentions"),
    "cross_attention_lm": ("logits", "hidden_states", "attentions", "cross_attentions"),
    "cross_attention_masked_lm": ("logits", "hidden_states", "attentions"),
}


@pytest.mark.parametrize("name", OUTPUTS)
def test_gradients_of_each_output(name):
    case = CASES[name]
    ours, batch = model_of(case), batch_of(case)
    theirs = original_of(ours)
    all_of_ours = {n.partition(".")[0] for n in run_original(theirs, batch).outputs} - {"loss"}
    assert all_of_ours == set(OUTPUTS[name])  # none was forgotten
    for output in OUTPUTS[name]:
        assert_same(run_model(ours, batch, (output,)), run_original(theirs, batch, (output,)))


def test_what_is_compared_can_fail():
    """The comparison must notice a gradient that is off by one part in ten million, in one place."""
    case = CASES["masked_lm"]
    ours, batch = model_of(case), batch_of(case)
    right, wrong = (run_model(ours, batch, ("loss",)) for _ in range(2))
    name = "bert.encoder.layer.0.attention.self.value.weight"
    wrong.gradients[name][3, 5] += 1e-7 * np.linalg.norm(wrong.gradients[name])
    assert_same(right, right)
    with pytest.raises(AssertionError, match=name):
        assert_same(wrong, right)
    wrong = run_model(ours, batch, ("loss",))
    wrong.outputs["logits"][1, 2, 3] += 1e-8
    with pytest.raises(AssertionError, match="logits"):
        assert_same(wrong, right)


# -- names ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*OUTPUTS, "untied", "untied_pretraining"])
def test_names_and_tied_weights(name):
    ours = model_of(CASES[name], "float32")
    theirs = original_of(ours, "float32")  # compares all names
    mine = tied_names(ours.named_parameters(remove_duplicate=False))
    other = tied_names(theirs.named_parameters(remove_duplicate=False))
    assert mine == other
    assert ours.num_parameters() == theirs.num_parameters()


# -- dropout: the same masks on both sides ----------------------------------------------------------------------------

DROPOUT = {"hidden_dropout_prob": 0.3, "attention_probs_dropout_prob": 0.2}
TRAINED = {
    "pretraining": CASES["pretraining"]._replace(config=DROPOUT),
    "cross_attention_lm": CASES["cross_attention_lm"]._replace(config={**DROPOUT, **CASES["cross_attention"].config}),
    "classes": CASES["classes"]._replace(config={**DROPOUT, "num_labels": 5, "classifier_dropout": 0.6}),
    "classes_without": CASES["classes"]._replace(config={**DROPOUT, "num_labels": 5, "classifier_dropout": 0.0}),
    "classes_default": CASES["classes"]._replace(config={**DROPOUT, "num_labels": 5}),
    "multiple_choice": CASES["multiple_choice"]._replace(config={**DROPOUT, "classifier_dropout": 0.6}),
    "token_classes": CASES["token_classes"]._replace(config={**DROPOUT, "num_labels": 5, "classifier_dropout": 0.6}),
    "question_answering": CASES["question_answering"]._replace(config=DROPOUT),
    "chunks": CASES["masked_lm"]._replace(config={**DROPOUT, "chunk_size_feed_forward": 7}),
}


@pytest.mark.parametrize("name", TRAINED)
def test_dropout_stands_where_the_original_has_it(name, monkeypatch):
    case = TRAINED[name]
    ours, batch = model_of(case).train(), batch_of(case)
    theirs = original_of(ours).train()
    our_masks, their_masks = Masks(), Masks()

    def our_draw(generator, shape, p, like):
        return our_masks.draw(shape, p)

    def their_dropout(x, p=0.5, training=True, inplace=False):
        if not training or p == 0:
            return x
        return x * torch.tensor(their_masks.draw(x.shape, p)) / (1 - p)

    monkeypatch.setattr("edutransformers.layers.dropout.random_keep_mask", our_draw)
    monkeypatch.setattr(torch.nn.functional, "dropout", their_dropout)
    mine, other = run_model(ours, batch, ("loss",)), run_original(theirs, batch, ("loss",))
    assert our_masks.asked == their_masks.asked
    assert {p for _, p in our_masks.asked} >= {0.2, 0.3}
    assert_same(mine, other)
    assert_same(run_model(ours, batch), run_original(theirs, batch))  # the returned attentions are those after dropout


# -- float32 at BERT-base's width -------------------------------------------------------------------------------------


def test_float32_at_the_width_of_bert_base():
    config = BertConfig(vocab_size=997, num_hidden_layers=4, max_position_embeddings=64)
    ours = BertForPreTraining(config).eval()
    batch = {
        "input_ids": seeded_integers("wide ids", 1, 997, (3, 41)),
        "attention_mask": (np.arange(41) < np.array([41, 17, 1])[:, None]).astype(np.int64),
        "output_hidden_states": True,
        "output_attentions": True,
    }
    check_float32(ours, batch)


# -- files: each side loads what the other saved ----------------------------------------------------------------------

SAVED = ["model", "pretraining", "masked_lm", "causal_lm", "next_sentence", "classes", "multiple_choice",
         "token_classes", "question_answering", "cross_attention", "untied", "one_segment"]  # fmt: skip


@pytest.mark.parametrize("name", SAVED)
def test_the_original_loads_what_we_save(name, tmp_path):
    ours, batch = model_of(CASES[name], "float32"), batch_of(CASES[name], "float32")
    ours.save_pretrained(tmp_path)
    theirs, report = getattr(transformers, CASES[name].model).from_pretrained(
        tmp_path, attn_implementation="eager", output_loading_info=True
    )
    assert not any(report[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys")), report
    compare_outputs(ours, theirs, batch)


@pytest.mark.parametrize("name", SAVED)
def test_we_load_what_the_original_saves(name, tmp_path):
    batch = batch_of(CASES[name], "float32")
    theirs = original_of(model_of(CASES[name], "float32"), "float32")
    if name == "untied":  # 5.x has two biases then, and uses the decoder's
        theirs.cls.predictions.bias.data = theirs.cls.predictions.bias.data + 1
    theirs.save_pretrained(tmp_path)
    ours, report = getattr(edutransformers, CASES[name].model).from_pretrained(tmp_path, output_loading_info=True)
    assert not any(report.values()), report
    compare_outputs(ours, theirs, batch)


def compare_outputs(ours, theirs, batch):
    theirs.config.use_cache = False
    with torch.no_grad():
        wanted = flatten(theirs(**{name: to_torch(x) for name, x in batch.items()}))
    got = flatten(ours(**batch))
    assert got.keys() == wanted.keys()
    for output, x in got.items():
        np.testing.assert_allclose(x, wanted[output].numpy(), rtol=0, atol=2e-5, err_msg=output)


@pytest.mark.parametrize("fields", [
    {}, {"num_labels": 5}, {"id2label": {0: "a", 1: "b", 2: "c"}, "label2id": {"a": 0, "b": 1, "c": 2}},
    {"num_labels": 4, "id2label": {0: "a", 1: "b", 2: "c"}, "label2id": {"a": 0}},
    {"num_labels": 3, "label2id": {"x": 0}},
    {"is_decoder": True, "add_cross_attention": True, "a_field": 3, "output_hidden_states": True},
    {"problem_type": "regression", "num_labels": 1, "tie_word_embeddings": False, "chunk_size_feed_forward": 2},
])  # fmt: skip
def test_configs_are_read_and_written_alike(fields):
    ours, theirs = BertConfig(**fields), transformers.BertConfig(**fields)
    assert (ours.num_labels, ours.id2label) == (theirs.num_labels, theirs.id2label)
    assert theirs.label2id in (None, ours.label2id)  # we fill in what id2label says
    assert BertConfig.from_dict(theirs.to_diff_dict()) == ours
    written = transformers.BertConfig.from_dict(ours.to_diff_dict()).to_dict()
    added = {"position_embedding_type", "label2id"}  # a field that 5.x dropped, and see above
    assert {k: x for k, x in written.items() if k not in added} == {
        k: x for k, x in theirs.to_dict().items() if k not in added
    }
