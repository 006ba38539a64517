"""The small checkpoints that ship with the package: each a folder with its files and card, beside its training script."""
