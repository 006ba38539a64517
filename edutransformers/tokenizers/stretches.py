"""Stretches: parts of a text that can be tokenized one by one, whatever is around them.

In prose a few thousand words make up most of a text. Where the stages allow it, a text is cut into such stretches by
one regular expression, and what was tokenized once is found in a cache. For BERT they are what stands between blanks,
for GPT-2 the words of its own pattern.
"""

import re

BETWEEN_BLANKS = re.compile(r"[^ \t\n\r]+")


def stretches_of(text: str, normalizer, pre_tokenizer) -> re.Pattern | None:
    """The pattern that cuts this text into stretches; None if the stages need it whole."""
    if pre_tokenizer is None or pre_tokenizer.stretches is None:
        return None
    if normalizer is not None and not normalizer.is_local(text, pre_tokenizer.stretches):
        return None
    return pre_tokenizer.stretches


def all_stretches(text: str, normalizer, pre_tokenizer) -> list[str] | None:
    """The stretches of a text that are treated alike, wherever they stand; None if the stages need it whole."""
    stretches = stretches_of(text, normalizer, pre_tokenizer)
    if stretches is None or pre_tokenizer.begins_differently:
        return None
    found = stretches.findall(text)
    return None if leaves_words(text, found, pre_tokenizer) else found


def leaves_words(text: str, stretches: list[str], pre_tokenizer) -> bool:
    """Whether a text has words that none of its stretches covers."""
    return pre_tokenizer.gaps_are_words and sum(map(len, stretches)) < len(text)
