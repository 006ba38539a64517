"""A GPT that ships with the package writes a text on, and shows how sure it was of each of its words."""

from __future__ import annotations

import html
from pathlib import Path

import numpy as np

from ... import backend
from ...functional.softmax import softmax
from .. import plots
from .section import section

MODEL = "edutransformers/gpt2-small-imdb"
PROMPT = "Once upon a time"
NEW_TOKENS = 32
OTHERS = 3  # the likeliest tokens that are shown beside each chosen one


def write_on(folder: Path) -> str:
    """Once upon a time: a GPT writes a text on, word by word."""
    from ... import AutoModelForCausalLM, AutoTokenizer
    from ...generation import TextStreamer

    class Indented(TextStreamer):
        """Prints at the terminal, in lines of 100 columns that begin as all others of the tour do."""

        column = 0

        def on_finalized_text(self, text, stream_end=False):
            for word in text.split():
                if self.column == 0 or self.column + len(word) > 96:
                    print(("\n" if self.column else "") + "  ", end="")
                    self.column = 0
                print("", word, end="", flush=True)
                self.column += len(word) + 1
            if stream_end:
                print()

    tokenizer = AutoTokenizer.from_pretrained(MODEL)
    model = AutoModelForCausalLM.from_pretrained(MODEL).eval()
    print(f"   {MODEL}: {model.num_parameters():,} parameters, trained by this package's own Trainer")
    prompt = tokenizer(PROMPT, return_tensors="np")
    out = model.generate(
        **prompt,
        max_new_tokens=NEW_TOKENS,
        do_sample=True,
        generator=np.random.default_rng(0),
        streamer=Indented(tokenizer, skip_special_tokens=True),
        return_dict_in_generate=True,
        output_logits=True,
    )
    new = backend.to_numpy(out.sequences)[0, prompt["input_ids"].shape[1] :]
    p = softmax(np.concatenate([backend.to_numpy(scores) for scores in out.logits]))  # (T, V)
    chosen = p[np.arange(len(new)), new]
    likeliest = np.argsort(-p, axis=-1)[:, :OTHERS]
    words = [_shown(tokenizer, token) for token in new]
    others = [
        ", ".join(f"{_shown(tokenizer, token)} {row[token]:.0%}" for token in tokens)
        for row, tokens in zip(p, likeliest)
    ]
    figure = plots.chosen_words(words, chosen, others, "How likely each token was, and what else could have come")
    plots.save(figure, folder / "written.png")
    perplexity = float(np.exp(-np.log(chosen).mean()))
    print(f"   as surprising as a draw from {perplexity:.0f} equally likely tokens each time; wrote written.png")
    return section(
        "writing",
        writer=MODEL,
        writer_parameters=f"{model.num_parameters():,}",
        prompt=html.escape(PROMPT),
        written="".join(
            f'<span style="background: rgb(11 83 148 / {share:.2f})" title="{html.escape(other)}">'
            f"{html.escape(tokenizer.decode([token]))}</span>"
            for token, share, other in zip(new, 0.5 * chosen, others)
        ),
        surprise=f"{perplexity:.0f}",
    )


def _shown(tokenizer, token: int) -> str:
    """A token as it is read, with its blank in front made visible."""
    return tokenizer.decode([int(token)]).replace(" ", "·").replace("\n", "↵")
