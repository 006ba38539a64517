"""`tokenizer.train_new_from_iterator`: a tokenizer like another one, with a vocabulary trained on other texts.

The new tokenizer is the old one's tokenizer.json with another vocabulary in it: normalizer, pre-tokenizer and decoder
stay, the model keeps its settings, special tokens come first, and everything that names a token by its id (added
tokens, post-processor, padding) gets the new id.

As in the original, special tokens alone are taken over; of a Unigram tokenizer also the other added tokens, which then
are special. The byte tokens "<0xE5>" of `byte_fallback` are ordinary entries of a vocabulary, so they are not: to have
them again, pass them as `new_special_tokens`.
"""

from collections.abc import Callable

from edutransformers.tokenizers.added_tokens import AddedToken
from edutransformers.tokenizers.bpe import BPE
from edutransformers.tokenizers.byte_level import ByteLevel
from edutransformers.tokenizers.pre_tokenizers import PreTokenizerSequence
from edutransformers.tokenizers.tokenizer_json import engine_from_json, engine_to_json
from edutransformers.tokenizers.training import train_bpe, train_unigram, train_word_level, train_wordpiece
from edutransformers.tokenizers.unigram import Unigram
from edutransformers.tokenizers.word_level import WordLevel
from edutransformers.tokenizers.wordpiece import WordPiece


def train_new(
    tokenizer, text_iterator, vocab_size, length=None, new_special_tokens=None, special_tokens_map=None, **kwargs
):
    """A tokenizer of the same class, stages and special tokens, its vocabulary trained on `text_iterator`.

    new_special_tokens   further special tokens
    special_tokens_map   {old: new} names of special tokens
    kwargs               further arguments of the model's trainer (`train_bpe`, ...)
    """
    new_name = {str(old): str(new) for old, new in (special_tokens_map or {}).items()}
    content = engine_to_json(tokenizer._engine)
    special = _special_tokens(
        tokenizer._engine, new_name, [*(new_special_tokens or ()), *kwargs.pop("special_tokens", ())]
    )
    options = {**_options(tokenizer._engine), **kwargs, "special_tokens": special, "length": length}
    if "unk_token" in content["model"]:
        unknown = content["model"]["unk_token"]
        content["model"]["unk_token"] = new_name.get(unknown, unknown)
    content["model"] |= _train(tokenizer._engine, text_iterator, vocab_size, new_name, options)

    vocab = engine_from_json({"model": content["model"]}).model.vocab

    def id_of(token: str) -> int:
        if token not in vocab:
            raise ValueError(
                f"The token {token!r}, which the tokenizer puts into texts, is not in the new vocabulary of "
                f"{len(vocab)} entries: pass it in new_special_tokens, or a larger vocab_size."
            )
        return vocab[token]

    content["added_tokens"] = [{"id": id_of(token.content), **token.to_json()} for token in special]
    content["post_processor"] = _renumbered(content["post_processor"], new_name, id_of)
    if content["padding"] is not None:
        pad = new_name.get(content["padding"]["pad_token"], content["padding"]["pad_token"])
        content["padding"] |= {"pad_token": pad, "pad_id": id_of(pad)}

    settings = settings_of(tokenizer, new_name, new_special_tokens)
    return type(tokenizer)(engine=engine_from_json(content), **settings)


def settings_of(tokenizer, new_name: dict[str, str], new_special_tokens: list | None) -> dict:
    """The constructor's arguments besides the vocabulary, for a tokenizer with some special tokens renamed or more."""
    settings = {key: value for key, value in tokenizer.init_kwargs.items() if key != "name_or_path"}
    for name, token in tokenizer.special_tokens_map_extended.items():
        settings[name] = [_rename(t, new_name) for t in token] if isinstance(token, list) else _rename(token, new_name)
    if new_special_tokens:
        settings["additional_special_tokens"] = [*settings.get("additional_special_tokens", []), *new_special_tokens]
    return settings


def _special_tokens(engine, new_name: dict[str, str], more: list) -> list[AddedToken]:
    """The special tokens of the new vocabulary in the order of their ids."""
    added = [token for _, token in sorted(engine.added_tokens.by_id.items())]
    kept = [_rename(token, new_name) for token in added if token.special or isinstance(engine.model, Unigram)]
    more = [token if isinstance(token, AddedToken) else AddedToken(token, special=True) for token in more]
    return list({token.content: token.as_special() for token in [*kept, *more]}.values())


def _options(engine) -> dict:
    """Arguments of the trainer that the old model settles."""
    options = {"normalizer": engine.normalizer, "pre_tokenizer": engine.pre_tokenizer}
    if isinstance(engine.model, (WordPiece, BPE)):
        options["continuing_subword_prefix"] = engine.model.continuing_subword_prefix
    if isinstance(engine.model, BPE):
        options["end_of_word_suffix"] = engine.model.end_of_word_suffix
    if _is_byte_level(engine.pre_tokenizer) and not isinstance(engine.model, WordLevel):
        options["initial_alphabet"] = ByteLevel.alphabet()
    return options


def _train(engine, texts, vocab_size: int, new_name: dict[str, str], options: dict) -> dict:
    """What the model's part of tokenizer.json has new."""
    model = engine.model
    if isinstance(model, WordPiece):
        prefix = options["continuing_subword_prefix"]
        return {"vocab": train_wordpiece(texts, vocab_size, **options), "continuing_subword_prefix": prefix}
    if isinstance(model, BPE):
        vocab, merges = train_bpe(texts, vocab_size, **options)
        names = ("continuing_subword_prefix", "end_of_word_suffix")
        return {"vocab": vocab, "merges": [list(pair) for pair in merges], **{name: options[name] for name in names}}
    if isinstance(model, Unigram):
        unknown = None if model.unk_token is None else new_name.get(model.unk_token, model.unk_token)
        vocab, unk_id = train_unigram(texts, vocab_size, **{"unk_token": unknown, **options})
        return {"vocab": vocab, "unk_id": unk_id}
    if isinstance(model, WordLevel):
        return {"vocab": train_word_level(texts, vocab_size, **options)}
    raise ValueError(f"There is no trainer for a model of type {type(model).__name__}.")


def _is_byte_level(pre_tokenizer) -> bool:
    if isinstance(pre_tokenizer, PreTokenizerSequence):
        return any(map(_is_byte_level, pre_tokenizer.pre_tokenizers))
    return isinstance(pre_tokenizer, ByteLevel)


def _renumbered(part: dict | None, new_name: dict[str, str], id_of: Callable[[str], int]) -> dict | None:
    """A post-processor's part of tokenizer.json with its tokens' new names and ids."""
    if part is None:
        return None
    part = dict(part)
    if "processors" in part:
        part["processors"] = [_renumbered(inner, new_name, id_of) for inner in part["processors"]]
    for place in ("cls", "sep"):
        if place in part:
            token = new_name.get(part[place][0], part[place][0])
            part[place] = [token, id_of(token)]
    if "special_tokens" in part:
        part["special_tokens"] = dict(part["special_tokens"])
        for name, entry in part["special_tokens"].items():
            tokens = [new_name.get(token, token) for token in entry["tokens"]]
            part["special_tokens"][name] = {**entry, "ids": list(map(id_of, tokens)), "tokens": tokens}
    return part


def _rename(token, new_name: dict[str, str]):
    if str(token) not in new_name:
        return token
    new = new_name[str(token)]
    return AddedToken.from_json({**token.to_json(), "content": new}) if isinstance(token, AddedToken) else new
