"""What a model says to bad input."""

import re

import pytest


def refused(error, sentence, model, **inputs):
    """The whole sentence is tested, not a part of it."""
    with pytest.raises(error, match=f"^{re.escape(sentence)}$"):
        model.forward(**inputs)
    with pytest.raises(error, match=f"^{re.escape(sentence)}$"):
        model(**inputs)
