"""A BERT that ships with the package says whether reviews are good or bad, and which of their words decided."""

from __future__ import annotations

import html
from pathlib import Path

import numpy as np

from ... import backend
from .. import plots
from .section import section

MODEL = "edutransformers/bert-small-imdb"
REVIEWS = (
    "A wonderful film: funny, moving, and beautifully acted from start to finish.",
    "I have seldom been so bored. The plot makes no sense and the jokes fall flat.",
    "The first half drags, but the ending more than makes up for it.",
    "Despite a great cast and a huge budget, this is a complete waste of time.",
)


def read_reviews(folder: Path) -> str:
    """Good or bad? A BERT reads film reviews."""
    from ... import AutoModelForSequenceClassification, AutoTokenizer, pipeline

    tokenizer = AutoTokenizer.from_pretrained(MODEL)
    model = AutoModelForSequenceClassification.from_pretrained(MODEL)
    classify = pipeline("sentiment-analysis", model=model, tokenizer=tokenizer)
    print(f"   {MODEL}: {model.num_parameters():,} parameters, trained by this package's own Trainer")
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
    return section(
        "reading",
        model=MODEL,
        parameters=f"{model.num_parameters():,}",
        reviews="".join(rows),
        tokens=" ".join(f"<code>{html.escape(token)}</code>" for token in tokenizer.tokenize(REVIEWS[0])),
        looked_at=html.escape(REVIEWS[3]),
    )
