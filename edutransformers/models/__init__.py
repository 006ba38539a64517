"""Architectures: one file each, read from top to bottom, every forward pass with its backward pass directly below."""
