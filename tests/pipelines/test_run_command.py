"""`edutransformers run`: what it prints is what the pipelines return; bad values end it with one sentence."""

import io
import json
import sys

import numpy as np
import pytest

from edutransformers import GPT2Config, GPT2LMHeadModel, GPT2Tokenizer, pipeline
from edutransformers.cli import main
from edutransformers.pipelines import run_command
from edutransformers.pipelines.run_results import as_json, as_text
from edutransformers.tokenizers import ByteLevel, train_bpe

TEXT = "the cat sat on the mat and the dog sat on the log. "


@pytest.fixture(scope="module")
def writer(tmp_path_factory):
    """The folder of a small GPT-2 that samples unless it is told otherwise."""
    vocab, merges = train_bpe(
        [TEXT * 3], 300, special_tokens=["<|endoftext|>"], pre_tokenizer=ByteLevel(add_prefix_space=False),
        initial_alphabet=ByteLevel.alphabet(), show_progress=False,
    )  # fmt: skip
    config = GPT2Config(
        vocab_size=len(vocab), n_embd=24, n_layer=1, n_head=2, n_positions=48, bos_token_id=0, eos_token_id=0,
        initializer_range=0.3,
    )  # fmt: skip
    model = GPT2LMHeadModel(config, generator=np.random.default_rng(0))
    words = {place for token, place in vocab.items() if token.startswith("Ġ") and len(token) > 1}
    no_words = [place for place in range(len(vocab)) if place not in words]
    model.generation_config.update(do_sample=True, temperature=0.9, top_k=0, suppress_tokens=no_words)
    folder = tmp_path_factory.mktemp("writer")
    model.save_pretrained(folder)
    GPT2Tokenizer(vocab=vocab, merges=merges).save_pretrained(folder)
    return str(folder)


def run(capsys, *words):
    status = main(["run", *words])
    out, err = capsys.readouterr()
    return status, out, err


class Pipe:
    """Standard input that is no terminal."""

    def __init__(self, content: bytes, terminal: bool = False):
        self.buffer = io.BytesIO(content)
        self.terminal = terminal

    def isatty(self):
        return self.terminal


def test_a_text_is_written_on(writer, capsys):
    expected = pipeline("text-generation", model=writer)("the cat", do_sample=False, max_new_tokens=6)
    assert run(capsys, "the cat", "--model", writer, "--greedy", "--max-new-tokens", "6") == (
        0,
        expected[0]["generated_text"] + "\n",
        "",
    )
    status, out, _ = run(capsys, "the cat", "--model", writer, "--greedy", "--max-new-tokens", "6", "--json")
    assert (status, json.loads(out)) == (0, expected)
    beams = pipeline("text-generation", model=writer)("the cat", do_sample=False, num_beams=3, max_new_tokens=6)
    printed = run(capsys, "the cat", "--model", writer, "--num-beams", "3", "--max-new-tokens", "6")
    assert printed == (0, beams[0]["generated_text"] + "\n", "")


def test_it_is_printed_as_it_is_written(writer, monkeypatch):
    pieces = []

    class Terminal(io.StringIO):
        def write(self, text):
            pieces.append(text)
            return len(text)

    monkeypatch.setattr(sys, "stdout", Terminal())
    assert main(["run", "the cat", "--model", writer, "--greedy"]) == 0
    assert len([piece for piece in pieces if piece.strip()]) > 3
    assert "".join(pieces).startswith("the cat")


def test_a_seed_means_one_text(writer, capsys):
    def text(*words):
        return run(capsys, "the cat", "--model", writer, "--max-new-tokens", "12", *words)[1]

    assert text("--seed", "1") == text("--seed", "1")
    assert len({text("--seed", str(seed)) for seed in range(4)}) > 1
    assert len({text() for _ in range(6)}) > 1  # the checkpoint's own settings: it samples
    assert text("--seed", "1", "--top-k", "1") == text("--greedy")
    assert text("--seed", "1", "--top-p", "0.000001") == text("--greedy")
    assert text("--temperature", "0.00001") == text("--greedy")
    assert text("--greedy", "--repetition-penalty", "9") != text("--greedy")


def test_room_for_new_tokens(writer, capsys):
    tokenizer = GPT2Tokenizer.from_pretrained(writer)
    status, out, _ = run(capsys, "the cat", "--model", writer, "--greedy", "--json")
    assert status == 0
    assert len(tokenizer(json.loads(out)[0]["generated_text"])["input_ids"]) <= 48  # and not 60 more, for want of room
    status, _, err = run(capsys, "the cat " * 60, "--model", writer)
    assert (status, err.count("\n")) == (2, 1)
    assert "48" in err


def test_what_comes_by_a_pipe(writer, capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdin", Pipe(b"the cat\n"))
    piped = run(capsys, "--model", writer, "--greedy")
    assert piped == run(capsys, "the cat", "--model", writer, "--greedy")
    monkeypatch.setattr(sys, "stdin", Pipe(b"\xff\xfe"))
    status, _, err = run(capsys, "--model", writer)
    assert status == 2
    assert "not UTF-8" in err
    monkeypatch.setattr(sys, "stdin", Pipe(b"", terminal=True))
    status, _, err = run(capsys, "--model", writer)
    assert status == 2
    assert "there is no text" in err


def test_other_tasks(capsys):
    good = "A wonderful film: funny, moving, and beautifully acted."
    status, out, _ = run(capsys, "--task", "sentiment-analysis", good)
    assert status == 0
    header, row = out.splitlines()
    assert header.split() == ["label", "score"]
    assert row.startswith("POSITIVE  9")
    assert row.endswith("%")
    status, out, _ = run(capsys, "--task", "text-classification", "--top-k", "2", "--json", good)
    assert (status, [r["label"] for r in json.loads(out)]) == (0, ["POSITIVE", "NEGATIVE"])
    status, out, _ = run(capsys, "--model", "edutransformers/bert-small-imdb", good)  # the model says what it is for
    assert out.startswith("label")
    status, out, _ = run(capsys, "--task", "feature-extraction", "--model", "edutransformers/bert-small-imdb", good)
    assert out.startswith("numbers of shape (1, ")


def test_a_files_task(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("digit.PNG", "word.wav", "notes.txt"):
        (tmp_path / name).write_bytes(b"")
    assert run_command.task_of_file("digit.PNG") == "image-classification"
    assert run_command.task_of_file("word.wav") == "automatic-speech-recognition"
    for text in ("Once upon a time", "The end.", "What a film! See notes.txt", "a" * 9999, "", "no_such.txt"):
        assert run_command.task_of_file(text) is None
    with pytest.raises(FileNotFoundError, match=r"there is no file 'other\.jpg'"):
        run_command.task_of_file("other.jpg")
    with pytest.raises(ValueError, match="neither a picture nor a sound"):
        run_command.task_of_file("notes.txt")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["a", "--temperature", "0"], "'0' must be a number above 0"),
        (["a", "--temperature", "nan"], "'nan' must be a number above 0"),
        (["a", "--top-p", "1.5"], "'1.5' must be above 0, and 1 at most"),
        (["a", "--top-k", "-3"], "'-3' must be a whole number, 1 or more"),
        (["a", "--max-new-tokens", "many"], "'many' must be a whole number, 1 or more"),
        (["a", "--seed", "x"], "'x' must be a whole number, 0 or more"),
        (["a", "--tone", "kind"], "unrecognized arguments: --tone kind"),
        (["a", "--greedy", "--seed", "1"], "--greedy draws nothing at random, so --seed has no meaning with it"),
        (["a", "--num-beams", "2", "--top-p", "0.5"], "--num-beams draws nothing at random, so --top-p has no"),
        (["a", "--num-beams", "2", "--greedy"], "give only one of them"),
        (["a", "--task", "cooking"], "Unknown task 'cooking', available tasks are"),
        (["a", "--task", "fill-mask"], "no checkpoint for fill-mask comes with edutransformers: name one with --model"),
        (["a", "--task", "text-classification", "--greedy"], "--greedy is for text-generation, not for text-class"),
        (["a", "--task", "ner", "--context", "b"], "--context is for question-answering, not for token-classif"),
        (["a", "--context", "b"], "--context is for question-answering, not for text-generation"),
        (["a", "--task", "question-answering"], "--context TEXT"),
        (["a", "--model", "/no/such/folder"], "/no/such/folder"),
        (["a", "--task", "fill-mask", "--model", "bert-small-imdb"], "No mask_token ([MASK]) found"),
        (["a\udcff"], "the text is not UTF-8 at character 1"),
    ],
)
def test_bad_values_end_with_one_sentence(capsys, monkeypatch, words, message):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    try:
        status = main(["run", *words])
    except SystemExit as stop:
        status = stop.code
    out, err = capsys.readouterr()
    assert (status, out) == (2, "")
    assert err.startswith("edutransformers run: ")
    assert err.count("\n") == 1
    assert message in err


def test_ctrl_c_ends_the_line(capsys, monkeypatch):
    def interrupted(*_):
        print("half a ", end="")
        raise KeyboardInterrupt

    monkeypatch.setattr(run_command, "print_results", interrupted)
    assert run(capsys, "a") == (130, "half a \n", "")


def test_help_names_all_tasks(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["run", "--help"])
    assert stop.value.code == 0
    assert "text-generation" in capsys.readouterr().out
    main([])
    assert "run" in capsys.readouterr().out


def test_results_as_text():
    rows = [{"word": "Ann", "score": 0.5, "start": 0}, {"word": "New York", "score": 0.0625, "start": 12}]
    assert as_text(rows).splitlines() == ["word      score  start", "Ann       50.0%      0", "New York   6.2%     12"]
    assert as_text({"answer": "42", "score": 1.0}) == "answer   score\n42      100.0%"
    assert as_text({"text": "one two"}) == "one two"
    assert as_text({"text": "one two", "chunks": rows[:1]}).splitlines()[0] == "one two"
    assert as_text([rows, rows[:1]]).count("\n\n") == 1
    assert as_text(np.arange(8.0).reshape(2, 4)).startswith("numbers of shape (2, 4): 0.0000 1.0000")
    assert as_text([[1.0], [1.0, 2.0]]).count("numbers of shape") == 2
    assert as_text([]) == ""
    assert json.loads(as_json({"scores": np.ones(2), "best": np.float32(1), "box": (1, np.int64(2))})) == {
        "scores": [1, 1],
        "best": 1,
        "box": [1, 2],
    }
