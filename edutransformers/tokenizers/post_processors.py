"""Post-processors: the stage that puts special tokens around one text or a pair, "[CLS] A [SEP] B [SEP]".

A post-processor has `layout(is_pair, add_special_tokens)`: a list of `Slot`, each either a special token or the place
of the first or second text, with the token type that goes there. And `trim`, None or a function (tokens, offsets) ->
offsets for the tokens of a text.
"""

from typing import NamedTuple

from edutransformers.tokenizers.stages import read_stages


class Slot(NamedTuple):
    """`sequence` is 0 or 1 for a text; None for special tokens, whose ids are `ids`."""

    sequence: int | None
    type_id: int
    ids: tuple[int, ...] = ()


class PostProcessor:
    """With `layout(is_pair, add_special_tokens)`, `to_json()`, `from_json(part)`."""

    trim = None


class TemplateProcessing(PostProcessor):
    """A template for one text and one for a pair, written as in tokenizer.json.

    A template is a list of {"SpecialToken": {"id": "[CLS]", "type_id": 0}} and {"Sequence": {"id": "A", "type_id": 0}};
    `special_tokens` says which ids a special token's name stands for.
    """

    def __init__(self, single: list[dict], pair: list[dict], special_tokens: dict[str, dict]):
        self.single, self.pair, self.special_tokens = single, pair, special_tokens
        self._single = [self._slot(piece) for piece in single]
        self._pair = [self._slot(piece) for piece in pair]

    def _slot(self, piece: dict) -> Slot:
        ((kind, value),) = piece.items()
        if kind == "Sequence":
            return Slot("AB".index(value["id"]), value["type_id"])
        if kind == "SpecialToken":
            if value["id"] not in self.special_tokens:
                raise ValueError(
                    f"The post-processor's template uses {value['id']!r}, which is not among its special tokens "
                    f"({', '.join(self.special_tokens) or 'none'})."
                )
            ids = self.special_tokens[value["id"]]["ids"]
            if not isinstance(ids, list) or any(type(i) is not int for i in ids):
                raise ValueError(
                    f"The post-processor's special token {value['id']!r} has the ids {ids!r}; expected ints."
                )
            return Slot(None, value["type_id"], tuple(ids))
        raise ValueError(f"The post-processor's template has a part {kind!r}; known are SpecialToken and Sequence.")

    def layout(self, is_pair: bool, add_special_tokens: bool) -> list[Slot]:
        slots = self._pair if is_pair else self._single
        return slots if add_special_tokens else [slot for slot in slots if slot.sequence is not None]

    def to_json(self) -> dict:
        return {
            "type": "TemplateProcessing",
            "single": self.single,
            "pair": self.pair,
            "special_tokens": self.special_tokens,
        }

    @classmethod
    def from_json(cls, part: dict) -> "TemplateProcessing":
        return cls(part["single"], part["pair"], part["special_tokens"])


class BertProcessing(PostProcessor):
    """[CLS] A [SEP], or [CLS] A [SEP] B [SEP] with B and its [SEP] of type 1; the older form of the same template."""

    def __init__(self, sep: tuple[str, int], cls: tuple[str, int]):
        self.sep, self.cls = sep, cls

    def layout(self, is_pair: bool, add_special_tokens: bool) -> list[Slot]:
        slots = [Slot(None, 0, (self.cls[1],)), Slot(0, 0), Slot(None, 0, (self.sep[1],))]
        if is_pair:
            slots += [Slot(1, 1), Slot(None, 1, (self.sep[1],))]
        return slots if add_special_tokens else [slot for slot in slots if slot.sequence is not None]

    def to_json(self) -> dict:
        return {"type": "BertProcessing", "sep": list(self.sep), "cls": list(self.cls)}

    @classmethod
    def from_json(cls, part: dict) -> "BertProcessing":
        return cls(tuple(part["sep"]), tuple(part["cls"]))


def template(single: str, pair: str, **special_tokens: tuple[str, int]) -> TemplateProcessing:
    """A layout as one writes it down: "cls A sep", "cls A sep B:1 sep:1". A and B are the texts, ":1" the token type.

    special_tokens   name in the layout=(token, id), for example cls=("[CLS]", 101)
    """

    def parts(layout: str) -> list[dict]:
        found = []
        for word in layout.split():
            name, _, type_id = word.partition(":")
            kind, what = ("Sequence", name) if name in ("A", "B") else ("SpecialToken", special_tokens[name][0])
            found.append({kind: {"id": what, "type_id": int(type_id or 0)}})
        return found

    return TemplateProcessing(
        parts(single),
        parts(pair),
        {token: {"id": token, "ids": [i], "tokens": [token]} for token, i in sorted(special_tokens.values())},
    )


def bert_template(cls_token: str, cls_id: int, sep_token: str, sep_id: int) -> TemplateProcessing:
    """BERT's layout: "[CLS] A [SEP]" and "[CLS] A [SEP] B [SEP]"."""
    return template("cls A sep", "cls A sep B:1 sep:1", cls=(cls_token, cls_id), sep=(sep_token, sep_id))


NO_SPECIAL_TOKENS = TemplateProcessing(
    single=[{"Sequence": {"id": "A", "type_id": 0}}],
    pair=[{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
    special_tokens={},
)


class PostProcessorSequence(PostProcessor):
    """Several: byte-level's trimmed offsets and a template, as in Llama 3."""

    def __init__(self, processors: list[PostProcessor]):
        self.processors = processors

    def layout(self, is_pair, add_special_tokens):
        """That of the one that adds special tokens."""
        layouts = [processor.layout(is_pair, add_special_tokens) for processor in self.processors]
        return max(layouts, key=len) if layouts else NO_SPECIAL_TOKENS.layout(is_pair, add_special_tokens)

    @property
    def trim(self):
        return next((processor.trim for processor in self.processors if processor.trim is not None), None)

    def to_json(self) -> dict:
        return {"type": "Sequence", "processors": [processor.to_json() for processor in self.processors]}

    @classmethod
    def from_json(cls, part: dict) -> "PostProcessorSequence":
        from edutransformers.tokenizers.tokenizer_json import STAGES

        return cls(read_stages("post_processor", part["processors"], STAGES["post_processor"]))


POST_PROCESSORS = {
    "BertProcessing": BertProcessing,
    "Sequence": PostProcessorSequence,
    "TemplateProcessing": TemplateProcessing,
}
