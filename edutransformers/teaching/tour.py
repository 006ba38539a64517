"""`edutransformers tour`: the whole package in under a minute, on this machine, without a network.

It classifies sentences with the checkpoint that ships in the package, checks a gradient, trains a classifier from
nothing on real text, and writes a page with pictures. Every number on the page was computed while you waited.
"""

from __future__ import annotations

import html
import platform
import tempfile
import time
from pathlib import Path
from string import Template

import numpy as np

from .. import backend
from ..functional.normalization import layer_norm_backward
from ..gradient_check import gradient_check
from ..layers import LayerNorm, MultiHeadAttention
from ..module import Module, keep
from . import plots
from .docstrings import docstring_sentences

SENTIMENT = "edutransformers/bert-small-imdb"
REVIEWS = (
    "A wonderful film: funny, moving, and beautifully acted from start to finish.",
    "I have seldom been so bored. The plot makes no sense and the jokes fall flat.",
    "The first half drags, but the ending more than makes up for it.",
    "Despite a great cast and a huge budget, this is a complete waste of time.",
)


class _FirstOutput(Module):
    """Attention with its weights output left aside, so that one array goes in and one comes out."""

    def __init__(self, attention):
        self.attention = attention

    checkpoint_names = {"attention": ""}

    def forward(self, x):
        (y, _), cache = self.attention.forward(x)
        return y, keep(cache)

    def backward(self, dy, cache):
        return self.attention.backward(dy, cache[0])


class _GammaOutside(LayerNorm):
    """The best-known mistake in a hand-written backward: γ in front of the sums instead of inside them."""

    def backward(self, dy, cache):
        normalized, inverse_std = cache
        gamma = self.weight.data
        dx, _, dbias = layer_norm_backward(dy, normalized, inverse_std, np.ones_like(gamma))
        self.weight.accumulate((dy * normalized).sum(axis=(0, 1)))
        self.bias.accumulate(dbias)
        return dx * gamma


def tour(output: str = "tour", epochs: int = 4) -> int:
    """Run all stations, print what happens, write `output`/index.html. Returns the process's exit status."""
    started = time.perf_counter()
    folder = Path(output)
    folder.mkdir(parents=True, exist_ok=True)
    page: dict[str, str] = {}
    print("edutransformers: transformers in plain NumPy and CuPy, every backward pass by hand\n")
    for number, station in enumerate((_backend, _sentiment, _gradients, _training), start=1):
        title = (station.__doc__ or "").split(":")[0]
        print(f"{number}. {title}")
        page |= station(folder, epochs) if station is _training else station(folder)
        print()
    page["seconds"] = f"{time.perf_counter() - started:.0f}"
    template = Template((Path(__file__).parent / "tour.html").read_text(encoding="utf-8"))
    (folder / "index.html").write_text(template.substitute(page), encoding="utf-8")
    print(f"All of this took {page['seconds']} s. The page with the pictures: {(folder / 'index.html').resolve()}")
    return 0


def _backend(folder: Path) -> dict[str, str]:
    """Where the arrays live: the backend, and why not the other one."""
    status = backend.cupy_usable()
    size = 768
    a = np.random.default_rng(0).standard_normal((size, size), dtype=np.float32)
    a @ a
    times = []
    for _ in range(5):
        start = time.perf_counter()
        a @ a
        times.append(time.perf_counter() - start)
    speed = 2 * size**3 / min(times) / 1e9
    lines = [
        f"NumPy {np.__version__}, Python {platform.python_version()}; matrix products run at {speed:.0f} GFLOP/s",
        f"CuPy: {'usable. ' if status else 'not used. '}{status.reason}",
        f"New arrays are made on: {backend.get_backend()}",
    ]
    for line in lines:
        print("   " + line)
    return {"backend": "".join(f"<li>{html.escape(line)}</li>" for line in lines)}


def _sentiment(folder: Path) -> dict[str, str]:
    """Good or bad: a BERT that ships with the package reads film reviews."""
    from .. import AutoModelForSequenceClassification, AutoTokenizer, pipeline

    tokenizer = AutoTokenizer.from_pretrained(SENTIMENT)
    model = AutoModelForSequenceClassification.from_pretrained(SENTIMENT)
    classify = pipeline("sentiment-analysis", model=model, tokenizer=tokenizer)
    print(f"   {SENTIMENT}: {model.num_parameters():,} parameters, trained by this package's own Trainer")
    print(f"   tokens of the first: {' '.join(tokenizer.tokenize(REVIEWS[0]))}")
    rows = []
    for review, result in zip(REVIEWS, classify(list(REVIEWS))):
        print(f"   {result['label']:>8} {result['score']:6.1%}   {review}")
        kind = "good" if result["label"] == "POSITIVE" else "bad"
        rows.append(
            f"<tr><td>{html.escape(review)}</td><td class='{kind}'>{result['label'].lower()}</td>"
            f"<td class='number'>{result['score']:.1%}</td></tr>"
        )

    batch = tokenizer(REVIEWS[3], return_tensors="np")
    out, cache = model.forward(**batch, output_attentions=True)
    words = tokenizer.convert_ids_to_tokens(batch["input_ids"][0])
    last = backend.to_numpy(out.attentions[-1])[0]  # (H, T, T)
    head = int(last.max(axis=-1).mean(axis=-1).argmax())  # the most decided one: its rows have the highest peaks
    figure = plots.attention_maps([last[head]], words, [f"last layer, head {head + 1} of {len(last)}"])
    plots.save(figure, folder / "attention.png")

    # Which words decided? The gradient of (positive − negative) with respect to each word's vector, times the vector.
    d_inputs = model.backward({"logits": np.array([[-1.0, 1.0]], dtype=np.float32)}, cache)
    vectors = model.get_input_embeddings()(batch["input_ids"])
    scores = backend.to_numpy((d_inputs["inputs_embeds"] * vectors).sum(axis=-1))[0]
    figure = plots.word_scores(words, scores, "Which words decided (one backward pass)")
    plots.save(figure, folder / "words.png")
    print("   wrote attention.png (which token looks at which) and words.png (which words decided)")
    return {
        "model": SENTIMENT,
        "parameters": f"{model.num_parameters():,}",
        "reviews": "".join(rows),
        "tokens": " ".join(f"<code>{html.escape(token)}</code>" for token in tokenizer.tokenize(REVIEWS[0])),
        "looked_at": html.escape(REVIEWS[3]),
    }


def _gradients(folder: Path) -> dict[str, str]:
    """A gradient, checked: attention's hand-written backward pass against central differences."""
    generator = np.random.default_rng(0)
    layer = MultiHeadAttention(width=12, heads=3, generator=generator)
    x = generator.standard_normal((2, 5, 12))
    report = gradient_check(_FirstOutput(layer), x)
    checked = sum(row.checked for row in report.comparisons)
    verdict = "all right" if report else "WRONG"
    print(f"   MultiHeadAttention: {checked} numbers nudged, {verdict}; worst relative error {report.worst_error:.1e}")
    unnoticed = gradient_check(_GammaOutside(12), x, randomize=False)
    wrong = gradient_check(_GammaOutside(12), x)
    caught = str(wrong).splitlines()[0].strip()
    print(f"   LayerNorm with a famous mistake, at its initial γ = 1: {'passes' if unnoticed else 'caught'}")
    print(f"   the same with random γ: {'passes' if wrong else 'caught'}\n   {caught}")
    plots.save(plots.gradient_table(report, "Multi-head attention: all gradients right"), folder / "gradients.png")
    figure = plots.gradient_table(wrong, "LayerNorm with γ outside the sums: caught")
    plots.save(figure, folder / "gradients_wrong.png")
    print("   wrote gradients.png and gradients_wrong.png")
    return {"checked": str(checked), "worst": f"{report.worst_error:.1e}", "caught": html.escape(caught)}


def _training(folder: Path, epochs: int) -> dict[str, str]:
    """Training from nothing: which part of Python's standard library is a sentence about?"""
    from .. import (
        BertConfig,
        BertForSequenceClassification,
        BertTokenizer,
        DataCollatorWithPadding,
        Trainer,
        TrainingArguments,
    )
    from ..training import ProgressCallback

    class Progress(ProgressCallback):
        """The progress bar, with one short line an epoch instead of every log."""

        def on_log(self, args, state, control, logs=None, **kwargs):
            if "eval_accuracy" in logs:
                line = f"   epoch {logs['epoch']:.0f}: held-out sentences right {logs['eval_accuracy']:.1%}"
                self.training_bar.write(line)

    train, test, names = docstring_sentences()
    tokenizer = BertTokenizer(vocab=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])
    tokenizer = tokenizer.train_new_from_iterator((row["text"] for row in train), vocab_size=2000, show_progress=False)
    print(f"   {len(train):,} docstring sentences to learn from, {len(test):,} held out; subjects: {', '.join(names)}")
    encoded = [
        [{**tokenizer(row["text"], truncation=True, max_length=48), "labels": row["label"]} for row in part]
        for part in (train, test)
    ]
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=128,
        max_position_embeddings=48,
        hidden_dropout_prob=0.2,
        num_labels=len(names),
    )
    model = BertForSequenceClassification(config, generator=np.random.default_rng(0))
    steps_per_epoch = -(-len(train) // 32)
    with tempfile.TemporaryDirectory() as scratch:
        arguments = TrainingArguments(
            scratch,
            learning_rate=2e-3,
            per_device_train_batch_size=32,
            per_device_eval_batch_size=64,
            num_train_epochs=epochs,
            warmup_ratio=0.1,
            weight_decay=0.01,
            evaluation_strategy="epoch",
            save_strategy="no",
            logging_steps=max(1, steps_per_epoch // 6),
            group_by_length=True,
            seed=0,
        )
        trainer = Trainer(
            model,
            arguments,
            data_collator=DataCollatorWithPadding(tokenizer),
            train_dataset=encoded[0],
            eval_dataset=encoded[1],
            compute_metrics=lambda p: {"accuracy": float((p.predictions.argmax(-1) == p.label_ids).mean())},
        )
        trainer.remove_callback(ProgressCallback)
        trainer.add_callback(Progress)
        trainer.train()
    logs = trainer.state.log_history
    losses = [(row["step"], row["loss"]) for row in logs if "loss" in row]
    evaluations = [(row["step"], row["eval_loss"], row["eval_accuracy"]) for row in logs if "eval_loss" in row]
    accuracy = evaluations[-1][2]
    print(f"   right on held-out sentences: {accuracy:.1%} (guessing: {1 / len(names):.0%})")
    figure = plots.loss_curve(
        [step for step, _ in losses],
        [loss for _, loss in losses],
        [step for step, *_ in evaluations],
        [loss for _, loss, _ in evaluations],
        title="A BERT learns to sort docstrings",
    )
    plots.save(figure, folder / "loss.png")
    print("   wrote loss.png")
    return {
        "examples": f"{len(train):,}",
        "held_out": f"{len(test):,}",
        "subjects": ", ".join(names),
        "accuracy": f"{accuracy:.1%}",
        "guessing": f"{1 / len(names):.0%}",
        "trained_parameters": f"{model.num_parameters():,}",
    }
