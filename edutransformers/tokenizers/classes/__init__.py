"""The tokenizers of the models, one family a file: which stages its engine has, its files, its special tokens."""
