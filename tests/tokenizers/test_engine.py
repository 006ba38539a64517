"""The engine's caches: the same tokens with and without, bounded memory, linear time, copies, threads."""

import copy
import gc
import pickle
import random
import threading
import time
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edutransformers.tokenizers import cache
from edutransformers.tokenizers.base import PreTrainedTokenizer
from edutransformers.tokenizers.cache import LONGEST_CACHED, BoundedCache
from edutransformers.tokenizers.normalizers import Precompiled
from tests.tokenizers.engines import PARTS, TEXTS, build
from tests.tokenizers.test_normalizers import precompiled_blob

KINDS = list(PARTS)
ENGINES = {name: build(name) for name in KINDS}
MADE_UP = st.lists(
    st.sampled_from([*" \n\t▁the'SLOWé\u0301日3€", "the lower", "don't", "lowest low", "<s>"]), max_size=30
)


def everything(engine, text):
    (row,) = engine.encode(engine.tokenize(text))
    return row.ids, row.tokens, row.offsets, row.word_ids


# ----- the same tokens ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", KINDS)
@settings(max_examples=50)
@given(text=MADE_UP.map("".join))
def test_with_and_without_caches(name, text):
    """What the caches give, again and again, is what normalizing, cutting and tokenizing the whole text gives."""
    engine = ENGINES[name]
    if "<s>" in text:  # is cut out before all that; where it is, its neighbours are as texts of their own
        text = text.replace("<s>", "")
    whole = engine._tokenize_whole(text)
    expected = (list(whole.ids), list(whole.tokens), list(whole.offsets), list(whole.words))
    engine.clear_cache()
    for _ in range(2):
        row = engine.tokenize(text)
        assert (row.ids, row.tokens, row.offsets, row.word_ids) == expected


@pytest.mark.parametrize("name", KINDS)
def test_what_is_asked_for_later_is_of_then(name):
    """Offsets are worked out when they are asked for, but with the stages and tokens of the time of the call."""
    engine = build(name)
    text = "the lower, the lowest low é"
    expected = everything(build(name), text)
    (row,) = engine.encode(engine.tokenize(text))
    engine.added_tokens.add_with_id(copy.deepcopy(engine.added_tokens.by_id[engine.token_to_id("<s>")]), 0)
    engine.normalizer = engine.pre_tokenizer = None
    engine.added_tokens.refresh(None)
    assert (row.ids, row.offsets, row.word_ids) == (expected[0], expected[2], expected[3])


# ----- memory ---------------------------------------------------------------------------------------------------------


def test_bounded_cache(monkeypatch):
    monkeypatch.setattr(cache, "CACHE_ENTRIES", 8)
    calls = []
    bounded = BoundedCache(lambda text: calls.append(text) or text.upper())
    assert [bounded[text] for text in "abab"] == list("ABAB")
    assert calls == ["a", "b"]
    for number in range(50):
        assert bounded["a"] == "A"  # used all the time, so it stays
        assert bounded[str(number)] == str(number)
        assert len(bounded) + len(bounded.older) <= 8
    assert calls.count("a") == 1
    long = "x" * (LONGEST_CACHED + 1)
    assert bounded[long] == long.upper()
    assert long not in bounded
    bounded.clear()
    assert not bounded
    assert not bounded.older


@pytest.mark.parametrize("name", KINDS)
def test_memory_does_not_grow_with_the_text(name, monkeypatch):
    """When the caches are full, ten times as many different texts leave nothing behind."""
    monkeypatch.setattr(cache, "CACHE_ENTRIES", 64)
    engine, generator = build(name), random.Random(0)

    def tokenize(count):
        for _ in range(count):
            word = "".join(generator.choices("thelowrn", k=generator.randrange(1, 9)))
            assert everything(engine, f"{word} é{word}日, {word}'s{word}")

    tokenize(70)
    tracemalloc.start()
    tokenize(20)
    gc.collect()
    before = tracemalloc.get_traced_memory()[0]
    tokenize(120)
    gc.collect()
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    for kept in (engine._stretches, engine._words):
        assert len(kept) + len(kept.older) <= 64
        assert all(len(text) <= LONGEST_CACHED for text in [*kept, *kept.older])
    assert grown < 100_000  # only that entries of before the measurement are replaced; all of them would be a megabyte


def test_precompiled_map_keeps_short_graphemes_only():
    table = Precompiled(precompiled_blob({"①": "1"}))
    assert table.plain("①e" + "\u0301" * 1000) == "1e" + "\u0301" * 1000
    assert table.map.cached.cache_info().currsize == 1
    assert table.map.cached.cache_info().maxsize == 4096


# ----- time -----------------------------------------------------------------------------------------------------------

LONG_WORDS = {
    "one letter": lambda n: "e" * n,
    "letters": lambda n: "".join(random.Random(0).choices("thelowrn", k=n)),
    "unknown": lambda n: "€ß" * (n // 2),
    "Chinese": lambda n: "".join(random.Random(0).choices("日本語的一是不", k=n)),
}


@pytest.mark.parametrize("word", LONG_WORDS)
@pytest.mark.parametrize("name", ["GPT-2", "Llama", "BERT", "T5", "words"])
def test_a_word_without_blanks_takes_linear_time(name, word):
    """Eight times the word takes about eight times as long; the square would be 64 times. (The processor's time, which
    does not depend on what else the machine does.)
    """

    def seconds(n):
        text, times = LONG_WORDS[word](n), []
        for _ in range(2):
            engine.clear_cache()
            start = time.process_time()
            engine.tokenize(text)
            times.append(time.process_time() - start)
        return min(times)

    engine = ENGINES[name]
    assert seconds(8_000) < 24 * max(seconds(1_000), 0.0005)


class CountedText(str):
    """Counts the characters that are cut out of it."""

    cut = 0

    def __getitem__(self, place):
        found = super().__getitem__(place)
        self.cut += len(found)
        return found


@pytest.mark.parametrize("name", ["BERT", "T5"])
def test_no_copies_of_the_rest_of_a_word(name):
    """Time can't tell: copying a million characters is quick, doing so for each of a million is not."""
    model, counts = ENGINES[name].model, []
    for n in (500, 4_000):
        word = CountedText("".join(random.Random(0).choices("thelowrn", k=n)))
        model.tokenize(word)
        counts.append(word.cut)
    assert 0 < counts[1] < 9 * counts[0]


# ----- copies and threads ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda e: pickle.loads(pickle.dumps(e))])
def test_copies(name, duplicate):
    engine = build(name)
    expected = [everything(engine, text) for text in TEXTS]
    other = duplicate(engine)
    assert not other._stretches
    assert not other._words
    assert [everything(other, text) for text in TEXTS] == expected
    other.pre_tokenizer = other.normalizer = None
    other.clear_cache()
    everything(other, TEXTS[0])
    assert [everything(engine, text) for text in TEXTS] == expected


@pytest.mark.parametrize("name", KINDS)
def test_pickled_results(name):
    tokenizer = PreTrainedTokenizer(build(name), unk_token="<unk>")
    encoded = tokenizer(TEXTS[0], return_offsets_mapping=True)
    again = pickle.loads(pickle.dumps(encoded))
    assert again.tokens() == encoded.tokens()
    assert again.word_ids() == encoded.word_ids()
    assert [again.token_to_chars(i) for i in range(3)] == [encoded.token_to_chars(i) for i in range(3)]
    other = pickle.loads(pickle.dumps(tokenizer))
    assert other(TEXTS).input_ids == tokenizer(TEXTS).input_ids


@pytest.mark.parametrize("name", KINDS)
def test_threads(name, monkeypatch):
    """Four threads on one tokenizer whose caches overflow all the time."""
    monkeypatch.setattr(cache, "CACHE_ENTRIES", 16)
    engine, generator = build(name), random.Random(0)
    texts = [" ".join(generator.choices(" ".join(TEXTS).split(), k=12)) for _ in range(40)]
    expected = [everything(build(name), text) for text in texts]
    wrong = []

    def work(seed):
        order = random.Random(seed).sample(range(len(texts)), len(texts))
        wrong.extend(i for i in order if everything(engine, texts[i]) != expected[i])

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
