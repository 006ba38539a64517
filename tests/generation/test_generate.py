"""generate(): against a loop written out, against all texts there are, and against the odds."""

import itertools
import logging
from threading import Thread

import numpy as np
import pytest

from edutransformers import AutoModelForCausalLM
from edutransformers.generation import (
    GenerationConfig,
    LogitsProcessor,
    StoppingCriteria,
    TextIteratorStreamer,
    TextStreamer,
)

from .tiny import BATCH, EOS, MASK, PAD, PROMPT, V, log_probabilities, model_of

NEVER_ENDS = {"suppress_tokens": [EOS]}


@pytest.fixture(scope="module")
def model():
    return model_of()


def greedy(model, ids, steps):
    """The likeliest word, again and again, the whole text read each time."""
    ids = list(ids)
    for _ in range(steps):
        ids.append(int(log_probabilities(model, ids).argmax()))
        if ids[-1] == EOS:
            break
    return ids


# -- greedy search ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("use_cache", [True, False])
def test_greedy_is_the_loop_written_out(model, use_cache):
    for start in range(1, V - 1):
        wanted = greedy(model, [start, 3], 12)
        got = model.generate(np.array([[start, 3]]), max_new_tokens=12, use_cache=use_cache)
        assert got.tolist() == [wanted]


def test_padding_on_the_left_shifts_nothing(model):
    together = model.generate(BATCH, attention_mask=MASK, max_new_tokens=10, pad_token_id=PAD)
    for row, mask, text in zip(BATCH, MASK, together):
        alone = greedy(model, row[mask == 1], 10)
        got = text[mask.argmin() if mask.all() else int((mask == 0).sum()) :].tolist()
        assert got[: len(alone)] == alone
        assert set(got[len(alone) :]) <= {PAD}


def test_without_a_padding_token_an_end_token_fills_up():
    settings = {"attention_mask": MASK, "max_new_tokens": 12}
    ends = [model_of(eos_token_id=word).generate(BATCH, pad_token_id=PAD, **settings) for word in (3, 4, 6, 7)]
    filled = next(text for text in ends if (text[:, 5:] == PAD).any() and (text[:, -1] != PAD).any())
    word = (3, 4, 6, 7)[next(place for place, text in enumerate(ends) if text is filled)]
    got = model_of(eos_token_id=word).generate(BATCH, **settings)
    np.testing.assert_array_equal(got[:, 5:], np.where(filled[:, 5:] == PAD, word, filled[:, 5:]))


def test_a_text_from_nothing(model):
    assert model.generate(max_new_tokens=4).tolist() == [greedy(model, [1], 4)]


def test_lengths(model):
    assert model.generate(PROMPT, max_new_tokens=3, **NEVER_ENDS).shape == (1, 6)
    assert model.generate(PROMPT, max_length=5, **NEVER_ENDS).shape == (1, 5)
    assert model.generate(PROMPT, max_length=5, max_new_tokens=7, **NEVER_ENDS).shape == (1, 10)
    assert model.generate(PROMPT, **NEVER_ENDS).shape == (1, 20)  # the default


def test_it_stops_where_the_models_positions_end(model, caplog):
    with caplog.at_level(logging.WARNING):
        assert model.generate(PROMPT, max_new_tokens=100, **NEVER_ENDS).shape == (1, 32)
    assert "max_length is 103, but this model has positions for 32" in caplog.text


def test_what_comes_back(model):
    output = model.generate(
        BATCH,
        attention_mask=MASK,
        max_new_tokens=4,
        pad_token_id=PAD,
        return_dict_in_generate=True,
        output_scores=True,
        output_logits=True,
        output_attentions=True,
        output_hidden_states=True,
        repetition_penalty=1.5,
        **NEVER_ENDS,
    )
    assert list(output) == ["sequences", "scores", "logits", "attentions", "hidden_states", "past_key_values"]
    assert output.sequences.shape == (3, 9)
    assert [x.shape for x in output.scores] == [(3, V)] * 4
    assert [x[0].shape[2:] for x in output.attentions] == [(5, 5), (1, 6), (1, 7), (1, 8)]
    assert len(output.hidden_states[0]) == 3
    assert output.past_key_values.length == 8
    assert np.abs(output.scores[0] - output.logits[0]).max() > 0.1
    for step in range(4):
        np.testing.assert_array_equal(output.scores[step].argmax(axis=1), output.sequences[:, 5 + step])
    chances = model.compute_transition_scores(output.sequences, output.scores, normalize_logits=True)
    wanted = np.exp(output.scores[0]) / np.exp(output.scores[0]).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(np.exp(chances[:, 0]), wanted[range(3), output.sequences[:, 5]], rtol=1e-12)


def test_rules_of_ones_own(model):
    class Only(LogitsProcessor):
        def __call__(self, input_ids, scores):
            return np.where(np.arange(V) == 4, scores, -np.inf)

    class AtSix(StoppingCriteria):
        def __call__(self, input_ids, scores, **kwargs):
            return input_ids.shape[1] >= 6

    got = model.generate(PROMPT, logits_processor=[Only()], stopping_criteria=[AtSix()])
    assert got.tolist() == [[5, 7, 9, 4, 4, 4]]


def test_allowed_words(model):
    got = model.generate(PROMPT, max_new_tokens=4, prefix_allowed_tokens_fn=lambda text, ids: [3 + len(ids) % 2])
    assert got.tolist() == [[5, 7, 9, 4, 3, 4, 3]]
    with pytest.raises(ValueError, match="prefix_allowed_tokens_fn allows no word for text 0"):
        model.generate(PROMPT, prefix_allowed_tokens_fn=lambda text, ids: [])


def test_a_cache_that_has_read_the_beginning(model):
    settings = {"max_new_tokens": 5, **NEVER_ENDS}
    wanted = model.generate(BATCH, attention_mask=MASK, pad_token_id=PAD, **settings)
    for more in ({}, {"num_beams": 1, "do_sample": True, "num_return_sequences": 2, "temperature": 1e-4}):
        positions = np.maximum(MASK.cumsum(axis=1) - 1, 0)[:, :3]
        past = model(BATCH[:, :3], attention_mask=MASK[:, :3], position_ids=positions).past_key_values
        got = model.generate(BATCH, attention_mask=MASK, pad_token_id=PAD, past_key_values=past, **settings, **more)
        np.testing.assert_array_equal(got, wanted.repeat(more.get("num_return_sequences", 1), axis=0))
        assert past.length == 9
    with pytest.raises(ValueError, match="past_key_values has read 9 tokens and the prompt has 5: pass the whole text"):
        model.generate(BATCH, past_key_values=past)


# -- beams ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("length_penalty", [0.0, 1.0, 3.0])
def test_enough_beams_find_the_best_text_there_is(model, length_penalty):
    """Against all texts of up to three words."""
    scores = {}
    for length in (1, 2, 3):
        for words in itertools.product(range(V), repeat=length):
            ends = words[-1] == EOS
            if EOS in words[:-1] or (not ends and length < 3):
                continue
            total, ids = 0.0, PROMPT[0].tolist()
            if length == 3 and words[:2] in known:
                total, ids = known[words[:2]], ids + list(words[:2])
                total += log_of(model, ids)[words[2]]
            else:
                for word in words:
                    total += log_of(model, ids)[word]
                    ids = [*ids, word]
            scores[words] = total / length**length_penalty
    best = sorted(scores, key=scores.get, reverse=True)[:3]
    output = model.generate(
        PROMPT,
        max_new_tokens=3,
        num_beams=V * V,
        num_return_sequences=3,
        length_penalty=length_penalty,
        early_stopping="never",
        return_dict_in_generate=True,
        output_scores=True,
        pad_token_id=PAD,
    )
    got = [tuple(row[3:]) for row in output.sequences.tolist()]
    assert [tuple(w for w in row if w != PAD or PAD in b) for row, b in zip(got, best)] == best
    np.testing.assert_allclose(output.sequences_scores, [scores[words] for words in best], rtol=1e-9)


known: dict = {}
_logs: dict = {}


def log_of(model, ids):
    if tuple(ids) not in _logs:
        _logs[tuple(ids)] = log_probabilities(model, ids)
    return _logs[tuple(ids)]


def test_one_beam_is_greedy_search(model):
    assert model.generate(PROMPT, max_new_tokens=8, num_beams=1).tolist() == [greedy(model, PROMPT[0], 8)]


@pytest.mark.parametrize(
    "settings", [{}, {"early_stopping": True}, {"length_penalty": -1.0}, {"use_cache": False}], ids=str
)
def test_beams_of_a_batch_are_those_of_each_text(model, settings):
    settings = {"num_beams": 3, "num_return_sequences": 2, "max_new_tokens": 8, "pad_token_id": PAD, **settings}
    together = model.generate(BATCH, attention_mask=MASK, **settings)
    for place, (row, mask) in enumerate(zip(BATCH, MASK)):
        alone = model.generate(row[mask == 1][None], **settings)
        got = together[2 * place : 2 * place + 2, int((mask == 0).sum()) :]
        np.testing.assert_array_equal(got[:, : alone.shape[1]], alone)


def test_a_beams_score_is_the_sum_over_its_words(model):
    output = model.generate(
        PROMPT, max_new_tokens=6, num_beams=4, num_return_sequences=4, length_penalty=0.0, pad_token_id=PAD,
        return_dict_in_generate=True, output_scores=True,
    )  # fmt: skip
    chances = model.compute_transition_scores(output.sequences, output.scores, output.beam_indices)
    # A beam's scores are of the word alone, before the sum over the words before.
    np.testing.assert_allclose(chances.sum(axis=1), output.sequences_scores, rtol=1e-9)
    assert (np.diff(output.sequences_scores) <= 0).all()


# -- sampling ---------------------------------------------------------------------------------------------------------


def test_a_seed_is_a_text(model):
    def text(seed):
        return model.generate(
            BATCH, attention_mask=MASK, do_sample=True, max_new_tokens=8, pad_token_id=PAD,
            generator=np.random.default_rng(seed),
        ).tolist()  # fmt: skip

    assert text(0) == text(0) != text(1)
    assert text(0) == FROM_SEED_0


FROM_SEED_0 = [
    [0, 0, 5, 7, 9, 6, 0, 6, 10, 10, 1, 1, 1],
    [0, 2, 2, 8, 4, 4, 11, 11, 11, 0, 11, 4, 5],
    [11, 6, 1, 10, 3, 0, 11, 4, 0, 6, 5, 0, 4],
]


@pytest.mark.parametrize(
    "settings", [{}, {"top_k": 3}, {"temperature": 0.5, "top_p": 0.7}, {"typical_p": 0.5}], ids=str
)
def test_words_come_as_often_as_their_odds_say(model, settings):
    """The first word of 4,000 texts: a chi-squared statistic that would be exceeded once in a million runs."""
    draws = 4000
    output = model.generate(
        PROMPT, do_sample=True, max_new_tokens=1, num_return_sequences=draws, pad_token_id=PAD,
        return_dict_in_generate=True, output_scores=True, generator=np.random.default_rng(3), **settings,
    )  # fmt: skip
    scores = output.scores[0][0]
    odds = np.exp(scores - scores.max())
    expected = draws * odds / odds.sum()
    counts = np.bincount(output.sequences[:, -1], minlength=V)
    assert not counts[expected == 0].any()
    likely = expected > 5
    assert likely.sum() >= 2
    chi_squared = ((counts - expected)[likely] ** 2 / expected[likely]).sum()
    assert chi_squared < 60


def test_beams_that_are_drawn(model):
    settings = {"do_sample": True, "num_beams": 3, "max_new_tokens": 6, "pad_token_id": PAD}
    texts = {model.generate(PROMPT, generator=np.random.default_rng(seed), **settings).tobytes() for seed in range(12)}
    assert len(texts) > 3
    one, same = (model.generate(PROMPT, generator=np.random.default_rng(4), **settings) for _ in range(2))
    np.testing.assert_array_equal(one, same)


# -- streamers --------------------------------------------------------------------------------------------------------


class Words:
    """Tokens 0 … 12 are these; a token may be half a word."""

    pieces = ["<pad>", "<s>", " un", "happy", " cat", " the", " dog", " is", " not", " a", "\n", "好", "."]

    def decode(self, ids, **kwargs):
        return "".join(self.pieces[i] for i in ids)


class Recorder(TextStreamer):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.pieces = []

    def on_finalized_text(self, text, stream_end=False):
        self.pieces.append((text, stream_end))


def test_a_stream_is_the_text(model, capsys):
    ids = model.generate(PROMPT, max_new_tokens=8)
    recorder = Recorder(Words())
    model.generate(PROMPT, max_new_tokens=8, streamer=recorder)
    assert "".join(piece for piece, _ in recorder.pieces) == Words().decode(ids[0])
    assert [end for _, end in recorder.pieces] == [False] * (len(recorder.pieces) - 1) + [True]
    model.generate(PROMPT, max_new_tokens=8, streamer=TextStreamer(Words(), skip_prompt=True))
    assert capsys.readouterr().out == Words().decode(ids[0, 3:]) + "\n"


def test_whole_words_are_streamed():
    streamer = Recorder(Words())
    for token in (5, 2, 3, 4, 10, 11, 11, 6):
        streamer.put(np.array([token]))
    streamer.end()
    pieces = [piece for piece, _ in streamer.pieces]
    assert pieces == [" ", "the ", "unhappy ", "cat\n", "好", "好", " ", "dog"]


def test_an_iterator_for_another_thread(model):
    streamer = TextIteratorStreamer(Words(), timeout=20)
    thread = Thread(target=model.generate, kwargs={"inputs": PROMPT, "max_new_tokens": 8, "streamer": streamer})
    thread.start()
    text = "".join(streamer)
    thread.join()
    assert text == Words().decode(model.generate(PROMPT, max_new_tokens=8)[0])


# -- settings and files -----------------------------------------------------------------------------------------------


def test_settings_come_from_the_checkpoint(tmp_path):
    model = model_of()
    model.generation_config.max_new_tokens = 2
    model.generation_config.suppress_tokens = [EOS]
    model.save_pretrained(tmp_path)
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert loaded.generation_config == model.generation_config
    assert loaded.generate(PROMPT).shape == (1, 5)
    assert loaded.generate(PROMPT, max_length=9).shape == (1, 9)
    assert loaded.generate(PROMPT, generation_config=GenerationConfig(max_new_tokens=4)).shape[1] <= 7
    assert loaded.generation_config == model.generation_config  # a call changes nothing
    (tmp_path / "generation_config.json").unlink()
    assert AutoModelForCausalLM.from_pretrained(tmp_path).generation_config.eos_token_id == EOS


def test_on_a_gpu(fake_cupy):
    wanted = model_of().generate(BATCH, attention_mask=MASK, max_new_tokens=5, pad_token_id=PAD)
    model = model_of().to("cuda")
    for settings in ({}, {"num_beams": 2}, {"do_sample": True, "top_p": 0.9, "typical_p": 0.9, "eta_cutoff": 0.01}):
        got = model.generate(BATCH, attention_mask=MASK, max_new_tokens=5, pad_token_id=PAD, **settings)
        assert isinstance(got, fake_cupy.ndarray)
        if not settings:
            np.testing.assert_array_equal(fake_cupy.asnumpy(got), wanted)
