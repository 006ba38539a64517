"""Reading a stage of tokenizer.json: its "type" names the class."""


def read_stage(name: str, part: dict | None, classes: dict[str, type]):
    """The stage that `part` describes, of one of `classes`; None for none. Raises ValueError for an unknown type."""
    if part is None:
        return None
    kind = part.get("type") if isinstance(part, dict) else None
    if kind not in classes:
        raise ValueError(
            f"the {name} is of type {kind!r}, which edutransformers can't build; it knows {', '.join(classes)}."
        )
    return read_part(name, part, classes[kind].from_json)


def read_part(name: str, part, read):
    """read(part), with an error that names the part when its content isn't what it should be."""
    if part is None:
        return None
    try:
        return read(part)
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        what = f"lacks {error}" if isinstance(error, KeyError) else f"has an unexpected form ({error})"
        raise ValueError(f"the part {name!r} {what}.") from None
