"""The small checkpoints that ship with the package: each a folder with files and card, and how it was made."""
