"""GPT-2 against transformers 5.x: every output, every gradient, float64; names, dropout, files, the real vocabulary."""

import importlib.metadata
import json

import numpy as np
import pytest

import edutransformers
from edutransformers import GPT2Config, GPT2LMHeadModel, GPT2Tokenizer
from edutransformers.checkpoints.safetensors_file import write_safetensors
from edutransformers.tokenizers import read_tiktoken
from tests.models.gpt2_cases import CASES, CROSS, batch_of, model_of
from tests.models.proof import assert_same, flatten, run_model
from tests.models.seeded import seed_weights, seeded_integers

from .common import MAJOR, check_float32, original_of, run_original, tied_names, to_torch, torch, transformers

pytestmark = [pytest.mark.reference, pytest.mark.skipif(MAJOR < 5, reason="needs transformers 5.x")]


def losses_of(case):
    return ("loss", "mc_loss") if case.labels == "words_and_choice" else ("loss",)


@pytest.mark.parametrize("name", CASES)
def test_outputs_and_gradients(name):
    case = CASES[name]
    ours, batch = model_of(case), batch_of(case)
    theirs = original_of(ours)
    if case.labels:
        assert_same(run_model(ours, batch, losses_of(case)), run_original(theirs, batch, losses_of(case)))
    assert_same(run_model(ours, batch), run_original(theirs, batch))


# -- one output at a time, so that no large gradient can hide a small one ---------------------------------------------

OUTPUTS = {
    "model": ("last_hidden_state", "hidden_states", "attentions"),
    "lm": ("logits", "hidden_states", "attentions"),
    "double_heads": ("logits", "mc_logits", "hidden_states", "attentions"),
    "classes": ("logits", "hidden_states", "attentions"),
    "token_classes": ("logits", "hidden_states", "attentions"),
    "question_answering": ("start_logits", "end_logits", "hidden_states", "attentions"),
    "cross_attention": ("last_hidden_state", "hidden_states", "attentions", "cross_attentions"),
    "cross_attention_lm": ("logits", "hidden_states", "attentions", "cross_attentions"),
}


@pytest.mark.parametrize("name", OUTPUTS)
def test_gradients_of_each_output(name):
    case = CASES[name]
    ours, batch = model_of(case), batch_of(case)
    theirs = original_of(ours)
    all_of_ours = {n.partition(".")[0] for n in run_original(theirs, batch).outputs} - {"loss", "mc_loss"}
    assert all_of_ours == set(OUTPUTS[name])  # none was forgotten
    for output in OUTPUTS[name]:
        assert_same(run_model(ours, batch, (output,)), run_original(theirs, batch, (output,)))


# -- names ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*OUTPUTS, "untied"])
def test_names_and_tied_weights(name):
    ours = model_of(CASES[name], "float32")
    theirs = original_of(ours, "float32")  # compares all names
    mine = tied_names(ours.named_parameters(remove_duplicate=False))
    assert mine == tied_names(theirs.named_parameters(remove_duplicate=False))
    assert ours.num_parameters() == theirs.num_parameters()


# -- dropout: the same masks on both sides ----------------------------------------------------------------------------

DROPOUT = {"resid_pdrop": 0.3, "attn_pdrop": 0.2, "embd_pdrop": 0.4}
TRAINED = {
    "lm": (CASES["lm"]._replace(config=DROPOUT), set(DROPOUT.values())),
    "cross_attention_lm": (CASES["cross_attention_lm"]._replace(config={**DROPOUT, **CROSS}), set(DROPOUT.values())),
    "classes": (
        CASES["classes"]._replace(config={**DROPOUT, "num_labels": 5, "pad_token_id": 0}),
        set(DROPOUT.values()),
    ),
    "token_classes": (
        CASES["token_classes"]._replace(config={**DROPOUT, "num_labels": 5, "classifier_dropout": 0.6}),
        {*DROPOUT.values(), 0.6},
    ),
    "token_classes_hidden": (
        CASES["token_classes"]._replace(config={**DROPOUT, "num_labels": 5, "hidden_dropout": 0.7}),
        {*DROPOUT.values(), 0.7},
    ),
    "token_classes_default": (
        CASES["token_classes"]._replace(config={**DROPOUT, "num_labels": 5}),
        {*DROPOUT.values(), 0.1},
    ),
    "double_heads": (
        CASES["double_heads"]._replace(config={**DROPOUT, "summary_first_dropout": 0.6}),
        {*DROPOUT.values(), 0.6},
    ),
    "question_answering": (CASES["question_answering"]._replace(config=DROPOUT), set(DROPOUT.values())),
    "inner_width": (CASES["inner_width"]._replace(config={**DROPOUT, "n_inner": 29}), set(DROPOUT.values())),
}


class Masks:
    """Dropout masks in the order in which they are asked for, and a list of what was asked."""

    def __init__(self):
        self.generator, self.asked = np.random.default_rng(11), []

    def draw(self, shape, p):
        self.asked.append((tuple(shape), p))
        return self.generator.random(shape) >= p


@pytest.mark.parametrize("name", TRAINED)
def test_dropout_stands_where_the_original_has_it(name, monkeypatch):
    case, rates = TRAINED[name]
    ours, batch = model_of(case).train(), batch_of(case)
    theirs = original_of(ours).train()
    our_masks, their_masks = Masks(), Masks()

    def their_dropout(x, p=0.5, training=True, inplace=False):
        if not training or p == 0:
            return x
        return x * torch.tensor(their_masks.draw(x.shape, p)) / (1 - p)

    monkeypatch.setattr(
        "edutransformers.layers.dropout.random_keep_mask", lambda generator, shape, p, like: our_masks.draw(shape, p)
    )
    monkeypatch.setattr(torch.nn.functional, "dropout", their_dropout)
    mine = run_model(ours, batch, losses_of(case))
    other = run_original(theirs, batch, losses_of(case))
    assert our_masks.asked == their_masks.asked
    assert {p for _, p in our_masks.asked} == rates
    assert_same(mine, other)
    assert_same(run_model(ours, batch), run_original(theirs, batch))  # the returned attentions are those after dropout


# -- the real vocabulary, and float32 at the width of GPT-2 -----------------------------------------------------------


def real_tokenizer():
    """GPT-2's 50,257 tokens, from a package that carries them."""
    files = importlib.metadata.files("openai-whisper")
    vocab, merges = read_tiktoken(next(file.locate() for file in files if file.name == "gpt2.tiktoken"))
    vocab = {**vocab, "<|endoftext|>": 50256}
    return GPT2Tokenizer(vocab=vocab, merges=merges, model_max_length=64)


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """A narrow model over the real vocabulary, saved by us, loaded by both."""
    folder = tmp_path_factory.mktemp("gpt2")
    model = GPT2LMHeadModel(GPT2Config(n_embd=48, n_layer=3, n_head=4, n_positions=64))
    seed_weights(model, std=0.15)
    model.save_pretrained(folder)
    real_tokenizer().save_pretrained(folder)
    ours = GPT2LMHeadModel.from_pretrained(folder), GPT2Tokenizer.from_pretrained(folder)
    theirs = (
        transformers.GPT2LMHeadModel.from_pretrained(folder, attn_implementation="eager"),
        transformers.GPT2Tokenizer.from_pretrained(folder),
    )
    return ours, theirs


TEXTS = ["Once upon a time", "  The naïve café — didn't it close in 1999?\n", "日本語 🙂 def f(x):\n    return x"]


@pytest.mark.parametrize(
    "settings",
    [{}, {"num_beams": 3, "num_return_sequences": 2}, {"repetition_penalty": 1.3, "no_repeat_ngram_size": 2}],
    ids=str,
)
@pytest.mark.parametrize("text", TEXTS)
def test_text_goes_on_as_with_the_original(real, text, settings):
    (ours, our_tokenizer), (theirs, their_tokenizer) = real
    ids, their_ids = our_tokenizer(text, return_tensors="np"), their_tokenizer(text, return_tensors="pt")
    np.testing.assert_array_equal(ids.input_ids, their_ids.input_ids.numpy())
    mine = ours.generate(**ids, max_new_tokens=20, **settings)
    with torch.no_grad():
        other = theirs.generate(**their_ids, max_new_tokens=20, do_sample=False, pad_token_id=50256, **settings)
    np.testing.assert_array_equal(mine, other.numpy())
    assert our_tokenizer.batch_decode(mine) == their_tokenizer.batch_decode(other)
    assert len(np.unique(mine)) > 10


def test_a_padded_batch_goes_on_as_with_the_original(real):
    (ours, our_tokenizer), (theirs, their_tokenizer) = real
    for tokenizer in (our_tokenizer, their_tokenizer):
        tokenizer.pad_token, tokenizer.padding_side = tokenizer.eos_token, "left"
    ids = our_tokenizer(TEXTS, return_tensors="np", padding=True)
    their_ids = their_tokenizer(TEXTS, return_tensors="pt", padding=True)
    np.testing.assert_array_equal(ids.input_ids, their_ids.input_ids.numpy())
    np.testing.assert_array_equal(ids.attention_mask, their_ids.attention_mask.numpy())
    mine = ours.generate(**ids, max_new_tokens=12)
    with torch.no_grad():
        other = theirs.generate(**their_ids, max_new_tokens=12, do_sample=False, pad_token_id=50256)
    np.testing.assert_array_equal(mine, other.numpy())


def test_float32_at_the_width_of_gpt2():
    config = GPT2Config(vocab_size=997, n_layer=4, n_positions=64, bos_token_id=1, eos_token_id=1, use_cache=False)
    ours = GPT2LMHeadModel(config).eval()
    batch = {
        "input_ids": seeded_integers("wide ids", 1, 997, (3, 41)),
        "attention_mask": (np.arange(41) < np.array([41, 17, 1])[:, None]).astype(np.int64),
        "output_hidden_states": True,
        "output_attentions": True,
    }
    check_float32(ours, batch)


# -- files: each side loads what the other saved ----------------------------------------------------------------------

SAVED = ["model", "lm", "double_heads", "classes", "token_classes", "question_answering", "cross_attention_lm",
         "inner_width", "untied"]  # fmt: skip


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


@pytest.mark.parametrize("name", ["lm", "cross_attention_lm"])
@pytest.mark.parametrize("prefix", [True, False])
@pytest.mark.parametrize("head", [True, False])
def test_files_of_older_versions(name, prefix, head, tmp_path):
    """The hub's gpt2 has no `transformer.` and no head, and masks among its tensors."""
    ours, batch = model_of(CASES[name], "float32"), batch_of(CASES[name], "float32")
    ours.save_pretrained(tmp_path)
    tensors = {name: p.data for name, p in ours.named_parameters()}
    if not prefix:
        tensors = {name.removeprefix("transformer."): x for name, x in tensors.items()}
    if head:
        tensors["lm_head.weight"] = ours.head.weight.data
    for layer in range(2):
        place = f"{'transformer.' if prefix else ''}h.{layer}."
        tensors[place + "attn.bias"] = np.tril(np.ones((1, 1, 13, 13), dtype=np.uint8))
        tensors[place + "attn.masked_bias"] = np.array(-1e4, dtype=np.float32)
        if name == "cross_attention_lm":
            tensors[place + "crossattention.bias"] = np.tril(np.ones((1, 1, 13, 13), dtype=np.uint8))
    with open(tmp_path / "model.safetensors", "wb") as file:
        write_safetensors(file, tensors, metadata={"format": "pt"})
    loaded, report = GPT2LMHeadModel.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(report.values()), report
    assert loaded.head.weight is loaded.transformer.wte.weight
    theirs = transformers.GPT2LMHeadModel.from_pretrained(tmp_path, attn_implementation="eager")
    compare_outputs(loaded, theirs, batch)
    np.testing.assert_array_equal(loaded(**batch).logits, ours(**batch).logits)


def test_the_base_model_loads_from_a_language_model_and_back(tmp_path):
    lm = model_of(CASES["lm"], "float32")
    lm.save_pretrained(tmp_path / "lm")
    base, report = edutransformers.GPT2Model.from_pretrained(tmp_path / "lm", output_loading_info=True)
    assert not any(report.values()), report
    base.save_pretrained(tmp_path / "base")
    again, report = GPT2LMHeadModel.from_pretrained(tmp_path / "base", output_loading_info=True)
    assert not any(report.values()), report
    batch = batch_of(CASES["lm"], "float32")
    np.testing.assert_array_equal(again(**batch).logits, lm(**batch).logits)


@pytest.mark.parametrize("fields", [
    {}, {"n_embd": 96, "n_head": 3, "n_layer": 5, "n_positions": 77}, {"n_inner": 99, "activation_function": "relu"},
    {"hidden_size": 96, "num_attention_heads": 3, "num_hidden_layers": 5, "max_position_embeddings": 77},
    {"num_labels": 5, "pad_token_id": 7}, {"add_cross_attention": True, "a_field": 3, "output_hidden_states": True},
    {"summary_type": "mean", "summary_use_proj": False, "scale_attn_by_inverse_layer_idx": True},
    {"task_specific_params": {"text-generation": {"do_sample": True, "max_length": 50}}},
])  # fmt: skip
def test_configs_are_read_and_written_alike(fields, tmp_path):
    ours, theirs = GPT2Config(**fields), transformers.GPT2Config(**fields)
    assert GPT2Config.from_dict(theirs.to_diff_dict()) == ours
    theirs.save_pretrained(tmp_path)
    assert GPT2Config.from_pretrained(tmp_path) == ours
    written = transformers.GPT2Config.from_dict(json.loads(ours.to_json_string())).to_dict()
    assert {k: x for k, x in written.items() if k != "label2id"} == {
        k: x for k, x in theirs.to_dict().items() if k != "label2id"
    }
