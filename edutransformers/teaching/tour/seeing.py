"""A ViT that ships with the package reads digits that are drawn on the spot, and shows where it looked."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .. import plots
from ..drawn_digits import draw_digit
from ..picture_attention import attention_on_pictures, attention_rollout
from .section import section

MODEL = "edutransformers/vit-small-mnist"


def read_digits(folder: Path) -> str:
    """Pictures: a ViT reads drawn digits."""
    from ... import AutoImageProcessor, AutoModelForImageClassification
    from ...functional.softmax import softmax

    processor = AutoImageProcessor.from_pretrained(MODEL)
    model = AutoModelForImageClassification.from_pretrained(MODEL)
    print(f"   {MODEL}: {model.num_parameters():,} parameters, learned from 4,000 digits of MNIST")
    generator = np.random.default_rng(0)
    pictures = [draw_digit(digit, generator) for digit in range(10)]
    output = model(**processor(pictures, return_tensors="np"), output_attentions=True)
    answers = [model.config.id2label[label] for label in output.logits.argmax(axis=-1).tolist()]
    surest = softmax(output.logits).max(axis=-1)
    right = sum(answer == str(digit) for digit, answer in enumerate(answers))
    print(f"   ten digits drawn with a pen, 0 to 9; it reads {' '.join(answers)}: {right} right")
    titles = [f"“{answer}”  {share:.0%}" for answer, share in zip(answers, surest)]
    figure = attention_on_pictures(pictures, attention_rollout(output.attentions), titles)
    plots.save(figure, folder / "digits.png")
    print("   wrote digits.png (where it looked)")
    return section(
        "seeing",
        seer=MODEL,
        seer_parameters=f"{model.num_parameters():,}",
        patches=str(output.attentions[0].shape[-1] - 1),
        answers=" ".join(answers),
        right=str(right),
    )
