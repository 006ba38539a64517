"""Text generation: what comes back is what the model writes, in every form."""

import numpy as np
import pytest

from edutransformers import GPT2Config, GPT2LMHeadModel, GPT2Tokenizer, pipeline
from edutransformers.tokenizers import ByteLevel, train_bpe

TEXT = "the cat sat on the mat and the dog sat on the log. "
VOCAB, MERGES = train_bpe(
    [TEXT * 3],
    300,
    special_tokens=["<|endoftext|>"],
    pre_tokenizer=ByteLevel(add_prefix_space=False),
    initial_alphabet=ByteLevel.alphabet(),
    show_progress=False,
)


@pytest.fixture(scope="module")
def write():
    tokenizer = GPT2Tokenizer(vocab=VOCAB, merges=MERGES)
    config = GPT2Config(
        vocab_size=len(tokenizer), n_embd=24, n_layer=1, n_head=2, n_positions=48, bos_token_id=0, eos_token_id=0,
        initializer_range=0.3,
    )  # fmt: skip
    model = GPT2LMHeadModel(config, generator=np.random.default_rng(0)).eval()
    model.generation_config.suppress_tokens = [0]
    return pipeline("text-generation", model=model, tokenizer=tokenizer)


def test_a_text_goes_on(write):
    (result,) = write("the cat", max_new_tokens=5)
    ids = write.model.generate(write.tokenizer("the cat", return_tensors="np").input_ids, max_new_tokens=5)
    assert result == {"generated_text": write.tokenizer.decode(ids[0])}
    assert result["generated_text"].startswith("the cat")
    (new,) = write("the cat", max_new_tokens=5, return_full_text=False)
    assert "the cat" + new["generated_text"] == result["generated_text"]
    (tokens,) = write("the cat", max_new_tokens=5, return_tensors=True)
    assert tokens == {"generated_token_ids": ids[0].tolist()}


def test_several_texts_and_several_answers(write):
    prompts = ["the cat", "the dog sat on"]
    alone = [write(prompt, max_new_tokens=4) for prompt in prompts]
    assert write(prompts, max_new_tokens=4) == alone
    several = write("the cat", max_new_tokens=4, num_beams=3, num_return_sequences=2)
    assert len(several) == 2
    assert several[0] != several[1]


def test_a_batch_is_padded_on_the_left(write):
    prompts = ["the cat", "the dog sat on", "on"]
    alone = [write(prompt, max_new_tokens=4) for prompt in prompts]
    with pytest.raises(ValueError, match="this tokenizer has no padding token"):
        write(prompts, max_new_tokens=4, batch_size=3)
    write.tokenizer.pad_token = "<|endoftext|>"
    try:
        assert write.tokenizer.padding_side == "right"
        assert write(prompts, max_new_tokens=4, batch_size=3) == alone
    finally:
        write.tokenizer.pad_token = None


def test_a_prefix(write):
    whole = write("the mat and the dog", max_new_tokens=4)[0]["generated_text"]
    got = write(" and the dog", prefix="the mat", max_new_tokens=4)[0]["generated_text"]
    # As in the original, only the prompt itself is put back in front.
    assert got == " and the dog" + whole[len("the mat and the dog") :]
    length = len(write.tokenizer("the mat")["input_ids"])
    longer = write(" and", prefix="the mat", max_length=10, return_tensors=True)[0]["generated_token_ids"]
    assert len(longer) == 10 + length


def test_a_stop_sequence(write, caplog):
    free = write("the cat", max_new_tokens=12, return_tensors=True)[0]["generated_token_ids"]
    start = len(write.tokenizer("the cat")["input_ids"])
    stop = write.tokenizer.decode([free[start + 2]])
    stopped = write("the cat", max_new_tokens=12, return_tensors=True, stop_sequence=stop)[0]["generated_token_ids"]
    assert stopped == free[: free.index(free[start + 2], start) + 1]
    write("the cat", max_new_tokens=2, stop_sequence="the cat sat")
    assert "the first of them" in caplog.text


def test_a_long_prompt(write):
    prompt = "the cat sat on the mat and " * 12
    with pytest.raises(ValueError, match="the prompt has .* tokens, but this model has positions for 48"):
        write(prompt, max_new_tokens=4)
    (tokens,) = write(prompt, max_new_tokens=4, handle_long_generation="hole", return_tensors=True)
    assert len(tokens["generated_token_ids"]) == 48
    with pytest.raises(ValueError, match="48 new tokens leave no room for a prompt"):
        write(prompt, max_new_tokens=48, handle_long_generation="hole")


def test_from_nothing(write):
    (result,) = write("", max_new_tokens=3)
    assert result["generated_text"]


def test_sampling_with_a_seed(write):
    def text(seed):
        return write("the", max_new_tokens=8, do_sample=True, generator=np.random.default_rng(seed))

    assert text(1) == text(1) != text(2)


def test_from_a_folder(write, tmp_path):
    write.save_pretrained(tmp_path)
    loaded = pipeline(model=str(tmp_path))
    assert type(loaded) is type(write)
    assert loaded("the cat", max_new_tokens=5) == write("the cat", max_new_tokens=5)


@pytest.mark.parametrize(
    ("match", "inputs", "settings"),
    [
        ("got int .* where a text", 5, {}),
        ("return_full_text and return_tensors can't", "a", {"return_full_text": True, "return_tensors": True}),
        ("handle_long_generation is 'cut'", "a", {"handle_long_generation": "cut"}),
        ("stop_sequence is '', which has no tokens", "a", {"stop_sequence": ""}),
        ("generate got 'colour'", "a", {"colour": 3}),
        ("how many are to be written", "the cat " * 9, {"handle_long_generation": "hole", "max_length": 3}),
    ],
)  # fmt: skip
def test_bad_input(write, match, inputs, settings):
    with pytest.raises(ValueError, match=match):
        write(inputs, **settings)
