"""`model.generate(...)`: a prompt in, a text out.

    scores of the next word ─► rules ─► the likeliest, or one drawn at random ─► behind the text ─► again

A model that writes mixes this in and has `prepare_inputs_for_generation`. Greedy search and sampling are one loop here;
beam search keeps its books in beam_search.py.
"""

from __future__ import annotations

import inspect

import numpy as np

from ..backend import Array, array_module, as_array_like, to_numpy
from ..functional.softmax import log_softmax, softmax
from ..layers import KeyValueCache
from ..logging import get_logger
from ..module import inference_mode
from .beam_search import BeamSearch
from .configuration import FILE as GENERATION_CONFIG
from .configuration import GenerationConfig
from .outputs import GenerateBeamDecoderOnlyOutput, GenerateDecoderOnlyOutput
from .rules import criteria_of, processors_of
from .writer import Writer

logger = get_logger(__name__)


class GenerationMixin:
    """For a PreTrainedModel whose `forward` returns `logits` (B, T, V) and takes `past_key_values` and `use_cache`."""

    @property
    def generation_config(self) -> GenerationConfig:
        """The settings that `generate` starts from: generation_config.json's, or what the model's config says."""
        if "_generation_config" not in self.__dict__:
            self._generation_config = GenerationConfig.from_model_config(self.config)
        return self._generation_config

    @generation_config.setter
    def generation_config(self, config: GenerationConfig) -> None:
        self._generation_config = config

    def can_generate(self) -> bool:
        return True

    @classmethod
    def from_pretrained(cls, name, *model_args, **kwargs):
        """As any model's, with the settings of the checkpoint's generation_config.json if it has one."""
        from ..checkpoints.resolve import resolve_file, split_hub_arguments

        hub, _ = split_hub_arguments(kwargs)
        loaded = super().from_pretrained(name, *model_args, **kwargs)
        model = loaded[0] if isinstance(loaded, tuple) else loaded
        if name is not None and resolve_file(name, GENERATION_CONFIG, **hub) is not None:
            model.generation_config = GenerationConfig.from_pretrained(name, **hub)
        return loaded

    def save_pretrained(self, folder, **kwargs) -> None:
        """As any model's, and generation_config.json."""
        super().save_pretrained(folder, **kwargs)
        if kwargs.get("is_main_process", True):
            self.generation_config.save_pretrained(folder)

    def prepare_inputs_for_generation(
        self, input_ids, past_key_values=None, attention_mask=None, token_type_ids=None, use_cache=True, **kwargs
    ) -> dict:
        """What `forward` is called with to continue `input_ids` (B, T): of these, what the cache hasn't seen.

        Positions are counted from each text's first token, so that padding on the left does not shift a text.
        """
        seen = 0 if past_key_values is None else past_key_values.length
        inputs = {
            "input_ids": input_ids[:, seen:],
            "past_key_values": past_key_values,
            "use_cache": use_cache,
            **kwargs,
        }
        if attention_mask is not None:
            inputs["attention_mask"] = attention_mask
            inputs["position_ids"] = np.maximum(np.cumsum(attention_mask, axis=1) - 1, 0)[:, seen:]
        if token_type_ids is not None:
            inputs["token_type_ids"] = token_type_ids[:, seen:]
        return inputs

    def generate(
        self,
        inputs=None,
        generation_config: GenerationConfig | None = None,
        logits_processor=None,
        stopping_criteria=None,
        prefix_allowed_tokens_fn=None,
        streamer=None,
        generator: np.random.Generator | None = None,
        **kwargs,
    ):
        """Continue prompts -> ids (B · num_return_sequences, T), the prompts first; or an output object.

        inputs               input_ids (B, T), padded on the left; without them a text begins with `bos_token_id`
        generation_config    settings; keyword arguments of its names replace them: max_new_tokens, do_sample, num_beams
        logits_processor, stopping_criteria     rules of your own, behind those that the settings ask for
        prefix_allowed_tokens_fn    (number of the text, its ids) -> the words that may come
        streamer             gets the tokens as they are written; see streamers.py
        generator            for sampling: the same seed gives the same text on any system
        kwargs               also what `forward` takes: attention_mask, token_type_ids, encoder_hidden_states, and
                             past_key_values, a cache that has read the beginning of the prompts; it goes on growing

        Without a padding token, an end token fills up texts that end before the others. Raises ValueError for a prompt
        that leaves no room and for settings that ask for what can't be; a setting that has no effect beside the others
        (`temperature` without `do_sample`) is warned of.
        """
        config, given = self._settings(generation_config, kwargs)
        ids = self._prompt(inputs, given, config)
        past = self._past(given.pop("past_key_values", None), ids)
        T = ids.shape[1]
        self._set_length(config, T)
        mask = self._mask(given.pop("attention_mask", None), ids, config)
        self._check_arguments(given)
        for sentence in config.contradictions():
            logger.warning("%s", sentence)
        if streamer is not None:
            if config.num_beams > 1:
                raise ValueError("a streamer needs num_beams=1: beams change their mind about what was written")
            streamer.put(ids)
        copies = config.num_beams if config.num_beams > 1 else config.num_return_sequences
        padding = None if mask is None else np.repeat((mask != 0).argmax(axis=1), copies)
        processors = processors_of(config, T, logits_processor, prefix_allowed_tokens_fn, padding)
        criteria = criteria_of(config, stopping_criteria)
        generator = self.generator if generator is None else generator
        if not isinstance(generator, np.random.Generator):
            raise TypeError(f"generator is {generator!r}, expected numpy.random.default_rng(seed)")
        with inference_mode():
            writer = Writer(self, config, given, mask, copies, past)
            if config.num_beams > 1:
                return self._beam_search(writer, ids, config, processors, criteria, generator)
            return self._sample(
                writer, np.repeat(ids, copies, axis=0), config, processors, criteria, streamer, generator
            )

    # ----- arguments -------------------------------------------------------------------------------------------------

    def _settings(self, generation_config, kwargs: dict) -> tuple[GenerationConfig, dict]:
        if not isinstance(generation_config, (GenerationConfig, type(None))):
            raise TypeError(
                f"generation_config is of type {type(generation_config).__name__}, expected a GenerationConfig; single "
                "settings are keyword arguments of generate"
            )
        config = (self.generation_config if generation_config is None else generation_config).copy()
        if "max_length" in kwargs and kwargs.get("max_new_tokens") is None:
            config.max_new_tokens = None  # the call's own length outranks the settings'
        given = config.update(**kwargs)
        config.validate()
        if config.pad_token_id is None and config.ends:
            config.pad_token_id = config.ends[0]
        return config, {name: value for name, value in given.items() if value is not None}

    def _prompt(self, inputs, given: dict, config: GenerationConfig) -> np.ndarray:
        if "inputs_embeds" in given:
            raise ValueError("generate continues ids, not vectors: pass input_ids in place of inputs_embeds")
        named = given.pop("input_ids", None)
        if inputs is not None and named is not None:
            raise ValueError("generate was given both inputs and input_ids; pass one of them")
        ids = named if inputs is None else inputs
        if ids is None:
            if config.bos_token_id is None:
                raise ValueError("generate needs input_ids, or a bos_token_id to begin with")
            ids = np.array([[config.bos_token_id]])
        if not hasattr(ids, "ndim"):
            if not isinstance(ids, (list, tuple)) or not all(isinstance(row, (list, tuple)) for row in ids):
                raise TypeError(
                    f"input_ids is {ids!r:.60}, expected an array of ids (batch, tokens); tokenize the text"
                )
            if len({len(row) for row in ids}) > 1:
                raise ValueError(
                    "input_ids holds texts of different lengths: tokenize them together with padding=True and "
                    "tokenizer.padding_side = 'left'"
                )
        ids = to_numpy(ids) if hasattr(ids, "ndim") else np.asarray(ids)
        if ids.ndim != 2 or ids.dtype.kind not in "iu":
            raise ValueError(f"input_ids is an array of {ids.dtype} of shape {ids.shape}, expected ids (batch, tokens)")
        if len(ids) == 0:
            raise ValueError(f"input_ids has shape {ids.shape}: there is no text to continue")
        if ids.shape[1] == 0:
            raise ValueError("input_ids has no tokens: pass a prompt, or nothing at all to begin with bos_token_id")
        return ids.astype(np.int64)

    @staticmethod
    def _past(past, ids: np.ndarray) -> KeyValueCache | None:
        """The caller's cache: it must leave the prompts' last token to be read."""
        past = KeyValueCache.of(past)
        if past is not None and past.length >= ids.shape[1]:
            raise ValueError(
                f"past_key_values has read {past.length} tokens and the prompt has {ids.shape[1]}: pass the whole "
                "text, with at least one token that is not read yet"
            )
        return past

    def _set_length(self, config: GenerationConfig, prompt_length: int) -> None:
        """Make `max_length` what counts, and see that the prompt and the model leave room."""
        if config.max_new_tokens is not None:
            config.max_length = prompt_length + config.max_new_tokens
        if prompt_length >= config.max_length:
            raise ValueError(
                f"the prompt has {prompt_length} tokens and max_length, prompt included, is {config.max_length}: "
                "nothing can be written; set max_new_tokens"
            )
        positions = getattr(self.config, "max_position_embeddings", None)
        if positions is None:
            return
        if prompt_length >= positions:
            raise ValueError(
                f"the prompt has {prompt_length} tokens, but this model has positions for {positions}: none is left to "
                "write at"
            )
        if config.max_length > positions:
            logger.warning(
                "max_length is %d, but this model has positions for %d: it will stop there",
                config.max_length,
                positions,
            )
            config.max_length = positions

    def _mask(self, mask, ids: np.ndarray, config: GenerationConfig) -> np.ndarray | None:
        """The attention mask of the prompt on the host; None if it hides nothing."""
        if mask is None:
            pad = config.pad_token_id
            # Without a mask, padding is what is the padding token and nothing else.
            if pad is None or pad in config.ends or not (ids == pad).any():
                return None
            mask = ids != pad
        mask = to_numpy(mask) if hasattr(mask, "ndim") else np.asarray(mask)
        if mask.shape != ids.shape:
            raise ValueError(f"attention_mask has shape {mask.shape}, expected that of input_ids, {ids.shape}")
        mask = (mask != 0).astype(np.int64)
        if (mask[:, -1] == 0).any():
            logger.warning(
                "a text is padded on the right: what is written behind padding is not its continuation; set "
                "tokenizer.padding_side = 'left'"
            )
        return None if mask.all() else mask

    def _check_arguments(self, given: dict) -> None:
        known = set(inspect.signature(self.base_model.forward).parameters)
        unknown = [name for name in given if name not in known]
        if unknown:
            raise ValueError(
                f"generate got {unknown[0]!r}, which is neither a setting of GenerationConfig nor an argument of "
                f"{type(self).__name__}.forward"
            )

    # ----- one word after another ------------------------------------------------------------------------------------

    def _sample(self, writer, ids, config, processors, criteria, streamer, generator):
        """Greedy search and sampling."""
        running = np.ones(len(ids), dtype=bool)
        while running.any():
            logits = writer.next_logits(ids)
            scores = processors(as_array_like(ids, logits), logits)
            writer.remember(logits, scores)
            words = _draw(scores, generator) if config.do_sample else to_numpy(scores.argmax(axis=-1))
            if config.ends:
                words = np.where(running, words, config.pad_token_id)
            ids = np.concatenate([ids, words[:, None]], axis=1)
            if streamer is not None:
                streamer.put(words)
            running &= ~criteria(ids, scores)
        if streamer is not None:
            streamer.end()
        return writer.output(GenerateDecoderOnlyOutput, ids)

    def _beam_search(self, writer, prompt, config, processors, criteria, generator):
        fill = -1 if not config.ends else config.pad_token_id or config.ends[0]
        search = BeamSearch(
            prompt,
            config.num_beams,
            config.max_length,
            len(config.ends),
            fill,
            config.length_penalty,
            config.early_stopping,
        )
        draw = None
        if config.do_sample:
            draw = lambda scores: _draw_several(scores, search.kept, generator)  # noqa: E731
        goes_on = True
        while goes_on:
            ids = search.ids
            logits = writer.next_logits(ids)
            scores = processors(as_array_like(ids, logits), log_softmax(logits))
            writer.remember(logits, scores)
            origins, goes_on = search.step(to_numpy(scores), lambda ids: criteria(ids, None), draw)
            writer.reorder(origins)
        ids, scores, origins = search.best(config.num_return_sequences)
        more = {"sequences_scores": scores if config.output_scores else None, "beam_indices": origins}
        return writer.output(GenerateBeamDecoderOnlyOutput, ids, **more)

    def compute_transition_scores(self, sequences, scores, beam_indices=None, normalize_logits: bool = False) -> Array:
        """The score of each token that was written, (rows, T'), from `scores` of generate's output.

        normalize_logits: as log-probabilities. Behind a text's end there is 0.
        """
        stacked = np.stack([to_numpy(step) for step in scores])  # (T', B, V)
        if normalize_logits:
            stacked = log_softmax(stacked)
        sequences = to_numpy(sequences)
        if beam_indices is None:
            beam_indices = np.broadcast_to(np.arange(len(sequences))[:, None], (len(sequences), len(scores)))
        beam_indices = to_numpy(beam_indices)
        steps = beam_indices.shape[1]
        words = sequences[:, sequences.shape[1] - steps :]
        found = stacked[np.arange(steps), np.maximum(beam_indices, 0), words]
        return np.where(beam_indices < 0, 0.0, found)


def _draw(scores: Array, generator: np.random.Generator) -> np.ndarray:
    """One word a row, with the probabilities softmax(scores): the first at which their running sum exceeds a uniform
    random number, which is drawn on the host, so that a seed means the same everywhere."""
    xp = array_module(scores)
    likeliest = to_numpy(scores.max(axis=-1))
    if not np.isfinite(likeliest).all():
        raise ValueError(
            f"the best score of a next word is {likeliest[~np.isfinite(likeliest)][0]}: the rules forbid every word "
            "(-inf), or the model computes no numbers (nan, inf); remove_invalid_values=True writes on"
        )
    cumulative = softmax(scores.astype(np.float64)).cumsum(axis=-1)
    level = as_array_like(generator.random((len(scores), 1)), scores) * cumulative[:, -1:]
    words = (cumulative <= level).sum(axis=-1)
    return to_numpy(xp.minimum(words, scores.shape[-1] - 1))


def _draw_several(scores: np.ndarray, count: int, generator: np.random.Generator) -> np.ndarray:
    """`count` different places a row (B, count), drawn one after the other with the probabilities softmax(scores), the
    drawn ones left out. The largest of scores + Gumbel noise are such a draw (Vieira 2014; Kool et al. 2019)."""
    noisy = scores + generator.gumbel(size=scores.shape)
    order = np.argsort(-noisy, axis=-1, kind="stable")[:, :count]
    by_score = np.argsort(-np.take_along_axis(scores, order, axis=-1), axis=-1, kind="stable")
    return np.take_along_axis(order, by_score, axis=-1)
