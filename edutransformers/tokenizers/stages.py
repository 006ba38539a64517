"""Reading a stage of tokenizer.json: its "type" names the class."""

# Early files leave the type out: then what a part holds tells what it is. The first that fits counts.
_WITHOUT_TYPE = {
    "normalizer": {
        "BertNormalizer": ("clean_text", "handle_chinese_chars", "lowercase"),
        "Strip": ("strip_left", "strip_right"),
        "Prepend": ("prepend",),
        "Replace": ("pattern", "content"),
        "Sequence": ("normalizers",),
    },
    "model": {
        "BPE": ("vocab", "merges"),
        "WordPiece": ("vocab", "unk_token", "continuing_subword_prefix", "max_input_chars_per_word"),
        "WordLevel": ("vocab", "unk_token"),
        "Unigram": ("vocab", "unk_id"),
    },
    "post_processor": {
        "RobertaProcessing": ("sep", "cls", "trim_offsets", "add_prefix_space"),
        "BertProcessing": ("sep", "cls"),
        "TemplateProcessing": ("single", "pair", "special_tokens"),
    },
    "decoder": {
        "BPEDecoder": ("suffix",),
        "WordPiece": ("prefix", "cleanup"),
        "CTC": ("pad_token", "word_delimiter_token", "cleanup"),
        "Replace": ("pattern", "content"),
        "Strip": ("content", "start", "stop"),
    },
}


def read_stage(name: str, part: dict | None, classes: dict[str, type]):
    """The stage that `part` describes, of one of `classes`; None for none. Raises ValueError for an unknown type."""
    if part is None:
        return None
    kind = _kind(name, part) if isinstance(part, dict) else None
    if not isinstance(kind, str) or kind not in classes:
        raise ValueError(
            f"the {name} is of type {kind!r}, which edutransformers can't build; it knows {', '.join(classes)}."
        )
    return read_part(name, part, classes[kind].from_json)


def _kind(name: str, part: dict) -> str | None:
    if "type" in part:
        return part["type"]
    kinds = _WITHOUT_TYPE.get(name, {})
    return next((kind for kind, keys in kinds.items() if all(key in part for key in keys)), None)


def read_stages(name: str, parts: list, classes: dict[str, type]) -> list:
    """The stages of a sequence, none of which may be missing."""
    if None in parts:
        raise ValueError(f"the {name} is a sequence with null in it; expected a {name} in its place.")
    return [read_stage(name, part, classes) for part in parts]


def read_value(part: dict, name: str, kind: type):
    """part[name], or a ValueError if it is of another type."""
    if type(part[name]) is not kind:
        raise ValueError(f"{name!r} is {part[name]!r}; expected a value of type {kind.__name__}.")
    return part[name]


def read_part(name: str, part, read):
    """read(part), with an error that names the part when its content isn't what it should be."""
    if part is None:
        return None
    try:
        return read(part)
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        what = f"lacks {error}" if isinstance(error, KeyError) else f"has an unexpected form ({error})"
        raise ValueError(f"the part {name!r} {what}.") from None
