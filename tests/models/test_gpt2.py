"""GPT-2: what every model promises, for each of its heads, and what only GPT-2 has."""

import numpy as np
import pytest

from edutransformers import GPT2Config, GPT2LMHeadModel
from edutransformers.layers import KeyValueCache
from edutransformers.module import skip_initialization

from .common import promises_of
from .gpt2_cases import CASES, LEGACY, TINY, batch_of, model_of
from .proof import flatten
from .subject import Subject


def subject(case, **special) -> Subject:
    return Subject(
        lambda dtype: model_of(case, dtype),
        lambda dtype: batch_of(case, dtype),
        has_loss=case.labels is not None,
        **special,
    )


SUBJECTS = {
    **{name: subject(CASES[name]) for name in (
        "model", "lm", "classes", "one_number", "several_labels", "token_classes",
        "cross_attention", "cross_attention_lm", "inner_width", "scaled_by_layer",
    )},
    "double_heads": subject(CASES["chosen_tokens"], losses=("loss", "mc_loss")),
    "question_answering": subject(CASES["question_answering"], loss_sees_padding=True),
    "head_mask": subject(LEGACY["head_mask"]),
}  # fmt: skip


@pytest.mark.parametrize(("name", "promise"), promises_of(SUBJECTS))
def test_promise(name, promise, tmp_path):
    promise(SUBJECTS[name], tmp_path)


# -- what only GPT-2 has ----------------------------------------------------------------------------------------------

# Known from the original's gpt2 (124M) and gpt2-medium, -large, -xl.
SIZES = {(768, 12, 12): 124_439_808, (1024, 24, 16): 354_823_168, (1280, 36, 20): 774_030_080}


@pytest.mark.parametrize("shape", SIZES)
def test_sizes(shape):
    width, layers, heads = shape
    with skip_initialization():
        model = GPT2LMHeadModel(GPT2Config(n_embd=width, n_layer=layers, n_head=heads))
    assert model.num_parameters() == SIZES[shape]


def test_the_other_names_of_its_fields():
    config = GPT2Config(hidden_size=96, num_attention_heads=3, num_hidden_layers=5, max_position_embeddings=77)
    assert (config.n_embd, config.n_head, config.n_layer, config.n_positions) == (96, 3, 5, 77)


def test_fresh_weights():
    """Layers that add to the shortcut start smaller by √(2L)."""
    config = GPT2Config(**{**TINY, "n_embd": 60, "vocab_size": 500, "initializer_range": 0.05, "n_layer": 8})
    state = GPT2LMHeadModel(config, generator=np.random.default_rng(3)).state_dict()
    for name, x in state.items():
        if name.endswith("bias"):
            assert (x == 0).all()
        elif ".ln_" in name:
            assert (x == 1).all()
        else:
            expected = 0.05 / 4 if name.endswith("c_proj.weight") else 0.05
            assert 0.9 * expected < x.std() < 1.1 * expected, f"{name}: {x.std()}"


def test_names_are_those_of_the_original():
    names = dict(model_of(CASES["lm"]).named_parameters(remove_duplicate=False))
    assert {"transformer.h.1.attn.c_attn.weight", "transformer.h.0.mlp.c_fc.bias", "lm_head.weight"} <= set(names)
    assert names["transformer.h.0.attn.c_attn.weight"].shape == (18, 54)
    assert names["lm_head.weight"] is names["transformer.wte.weight"]


# -- the key/value cache ----------------------------------------------------------------------------------------------

CACHED = {
    "lm": CASES["lm"],
    "by_layer": CASES["scaled_by_layer"],
    "cross": CASES["cross_attention_lm"]._replace(inputs=("padding", "source", "source_padding")),
}


@pytest.mark.parametrize("step", [1, 2, 5])
@pytest.mark.parametrize("name", CACHED)
def test_cached_is_uncached(name, step):
    """A text read in pieces: every token's logits are those of the whole text read at once, left padding included."""
    case = CACHED[name]
    model = model_of(case)
    batch = {key: x for key, x in batch_of(case).items() if key.startswith("encoder_")}
    ids = np.random.default_rng(1).integers(0, 31, (4, 9))
    mask = (np.arange(9) >= np.array([0, 3, 1, 0])[:, None]).astype(np.int64)
    positions = np.maximum(mask.cumsum(axis=1) - 1, 0)
    whole = model(input_ids=ids, attention_mask=mask, position_ids=positions, **batch).logits
    past, logits = None, []
    for start in range(0, 9, step):
        stop = min(start + step, 9)
        output = model(
            input_ids=ids[:, start:stop],
            attention_mask=mask[:, :stop],
            position_ids=positions[:, start:stop],
            past_key_values=past,
            use_cache=True,
            **batch,
        )
        past = output.past_key_values
        assert past.length == stop
        logits.append(output.logits)
    got = np.concatenate(logits, axis=1)
    np.testing.assert_allclose(got[mask == 1], whole[mask == 1], rtol=0, atol=1e-12)
    assert np.abs(whole).max() > 0.1


def test_positions_are_counted_on():
    model, ids = model_of(CASES["lm"]), np.array([[3, 5, 7, 9, 11]])
    first = model(ids[:, :3], use_cache=True)
    second = model(ids[:, 3:], past_key_values=first.past_key_values)
    np.testing.assert_allclose(second.logits, model(ids).logits[:, 3:], atol=1e-12)
    assert second.past_key_values.length == 5


def test_the_cache_grows_in_blocks(monkeypatch):
    monkeypatch.setattr("edutransformers.layers.key_value_cache.BLOCK", 4)
    model, ids = model_of(CASES["lm"]), np.arange(12)[None] + 3
    past, rooms = KeyValueCache(), []
    for place in range(12):
        model(ids[:, place : place + 1], past_key_values=past)
        rooms.append(past.layers[0]._keys.shape[2])
    assert rooms == [1, 4, 4, 4, 8, 8, 8, 8, 12, 12, 12, 12]
    last = model(ids[:, -1:], past_key_values=past.crop(-1)).logits
    np.testing.assert_allclose(last, model(ids).logits[:, -1:], atol=1e-12)


def test_beams_take_over_each_others_past():
    model, ids = model_of(CASES["lm"]), np.array([[3, 5, 7], [2, 4, 6], [9, 8, 1]])
    past = model(ids, use_cache=True).past_key_values
    rows = np.array([2, 0, 2, 1])
    apart = past.copy()
    past.reorder(rows)
    following = np.array([[11], [12], [13], [14]])
    got = model(following, past_key_values=past).logits
    wanted = model(np.concatenate([ids[rows], following], axis=1)).logits[:, -1:]
    np.testing.assert_allclose(got, wanted, atol=1e-12)
    assert apart.length == 3
    assert len(apart[0][0]) == 3


def test_a_tuple_of_tuples_is_a_cache_too():
    """transformers 4 passes keys and values as plain tuples."""
    model, ids = model_of(CASES["lm"]), np.array([[3, 5, 7, 9]])
    past = tuple(model(ids[:, :3], use_cache=True).past_key_values)
    assert [len(layer) for layer in past] == [2, 2]
    np.testing.assert_allclose(model(ids[:, 3:], past_key_values=past).logits, model(ids).logits[:, 3:], atol=1e-12)
    with pytest.raises(TypeError, match="past_key_values must be a KeyValueCache or one .* a layer, got ndarray"):
        model(ids, past_key_values=np.zeros(3))


def test_a_cache_from_threads():
    from edutransformers.speed import use_batch_threads

    model, ids = model_of(CASES["lm"]), np.array([[3, 5, 7], [2, 4, 6], [9, 8, 1]])
    before = use_batch_threads()
    try:
        use_batch_threads(2)
        past = model(ids, use_cache=True).past_key_values
    finally:
        use_batch_threads(before)
    assert past[1][0].shape == (3, 3, 3, 6)
    following = np.array([[11], [12], [13]])
    wanted = model(np.concatenate([ids, following], axis=1)).logits[:, -1:]
    np.testing.assert_allclose(model(following, past_key_values=past).logits, wanted, atol=1e-12)


def test_who_gets_a_cache():
    """In inference by default (`config.use_cache`); a forward pass with a backward only when it asks."""
    config = GPT2Config(**{**TINY, "use_cache": True})
    model, ids = GPT2LMHeadModel(config).eval(), np.array([[3, 5, 7]])
    assert model(ids).past_key_values.length == 3
    assert "past_key_values" not in model(ids, use_cache=False)
    output, cache = model.forward(ids, labels=ids)
    assert "past_key_values" not in output
    output, cache = model.forward(ids, labels=ids, use_cache=True)
    assert output.past_key_values.length == 3
    model.backward({"loss": 1.0}, cache)


def test_a_backward_behind_a_past():
    """What was read before is a constant: the gradient is that of the new tokens alone."""
    model, ids = model_of(CASES["lm"]), np.array([[3, 5, 7, 9, 11]])
    past = model(ids[:, :3], use_cache=True).past_key_values
    output, cache = model.forward(ids[:, 3:], past_key_values=past.copy())
    d = np.random.default_rng(2).standard_normal(output.logits.shape)
    d_inputs = model.backward({"logits": d}, cache)["inputs_embeds"]
    vectors = model.transformer.wte.weight.data[ids[:, 3:]]

    def loss(x):
        return (model(inputs_embeds=x, past_key_values=past.copy()).logits * d).sum()

    for place in ((0, 0, 4), (0, 1, 17)):
        h = np.zeros_like(vectors)
        h[place] = 1e-6
        np.testing.assert_allclose(d_inputs[place], (loss(vectors + h) - loss(vectors - h)) / 2e-6, rtol=1e-6)


def test_logits_to_keep():
    model, ids = model_of(CASES["lm"]), np.array([[3, 5, 7, 9], [1, 2, 3, 4]])
    np.testing.assert_array_equal(model(ids, logits_to_keep=2).logits, model(ids).logits[:, -2:])
    with pytest.raises(ValueError, match="logits_to_keep is for inference"):
        model.forward(ids, logits_to_keep=1)


def test_the_last_token_wherever_padding_stands():
    case = CASES["classes"]
    model, ids = model_of(case), np.array([[4, 5, 6, 0, 0], [0, 0, 4, 5, 6], [4, 5, 6, 7, 8]])
    output = model(ids)
    alone = model(np.array([[4, 5, 6]])).logits
    np.testing.assert_allclose(output.logits[:1], alone, atol=1e-12)
    states = model.transformer(ids).last_hidden_state
    np.testing.assert_allclose(output.logits[1], model.head(states[1, 4]), atol=1e-12)


# -- outputs ----------------------------------------------------------------------------------------------------------


def test_hidden_states_end_normed():
    output = model_of(CASES["model"])(**batch_of(CASES["model"]))
    np.testing.assert_array_equal(output.hidden_states[-1], output.last_hidden_state)
    assert len(flatten(output)) == 1 + 3 + 2
