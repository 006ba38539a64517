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


# What a name means it means in all parts, so its values are of one kind. (A type of its own: True is no int here.)
_KINDS = {
    "a string": (
        (str,),
        "behavior content delimiter direction pad_token prefix prepend prepend_scheme replacement suffix "
        "word_delimiter_token",
    ),
    "a string or null": ((str, type(None)), "continuing_subword_prefix end_of_word_suffix unk_token"),
    "a whole number": ((int,), "length max_input_chars_per_word max_length pad_id pad_type_id start stop stride"),
    "a whole number or null": ((int, type(None)), "pad_to_multiple_of unk_id"),
    "true or false": (
        (bool,),
        "add_prefix_space byte_fallback clean_text cleanup fuse_unk handle_chinese_chars ignore_merges "
        "individual_digits invert lowercase split strip_left strip_right trim_offsets use_regex",
    ),
    "true, false or null": ((bool, type(None)), "strip_accents"),
}
_KIND_OF = {name: (kind, types) for kind, (types, names) in _KINDS.items() for name in names.split()}


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


def _check_types(name: str, part: dict) -> None:
    for key, value in part.items():
        if key in _KIND_OF:
            kind, types = _KIND_OF[key]
            if type(value) not in types:
                raise ValueError(f"the {key} of the part {name!r} is {value!r}; expected {kind}.")
        elif key in ("sep", "cls") and not (isinstance(value, list) and [type(v) for v in value] == [str, int]):
            raise ValueError(f"the {key} of the part {name!r} is {value!r}; expected a token and its id.")


def read_part(name: str, part, read):
    """read(part), with an error that names the part when its content isn't what it should be."""
    if part is None:
        return None
    if isinstance(part, dict):
        _check_types(name, part)
    try:
        return read(part)
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        what = f"lacks {error}" if isinstance(error, KeyError) else f"has an unexpected form ({error})"
        raise ValueError(f"the part {name!r} {what}.") from None
