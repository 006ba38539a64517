"""What most tasks are, in any architecture: a base model, a head on its states, a loss on the head's logits."""

from __future__ import annotations

from typing import NamedTuple

from ..backend import array_module, as_array_like
from ..layers import DropoutLinear
from ..module import keep, keeping
from .base import PreTrainedModel, add_gradients, check_output_names
from .outputs import QuestionAnsweringModelOutput
from .text_inputs import check_choices


class TaskCache(NamedTuple):
    base: tuple
    head: tuple
    loss: tuple | None


class TaskModel(PreTrainedModel):
    """A model with one head on one of its states, and one loss on the head's logits: what most tasks are.

        states = base model(inputs),   logits = head(states[feature]),   loss = loss(logits, labels) if labels are given

    A subclass builds the base model, `head` and `loss`, and names the state that the head reads.
    """

    feature: str = "last_hidden_state"
    output_class: type

    def forward(self, *inputs, labels=None, generator=None, **options):
        generator = self.generator if generator is None else generator
        states, base_cache = self.base_model.forward(*inputs, generator=generator, **options)
        logits, head_cache = self.head.forward(states[self.feature], **self.head_options(generator))
        loss, loss_cache = None, None
        if labels is not None:
            loss, loss_cache = self.loss.forward(logits, labels)
        return self.output_of(states, loss, logits), keep(TaskCache, base_cache, head_cache, loss_cache)

    def output_of(self, states, loss, logits):
        """The task's output, with what else the base model's output has and the task's class has room for."""
        fields = self.output_class.__dataclass_fields__
        names = ("past_key_values", "hidden_states", "attentions", "cross_attentions")
        more = {name: states[name] for name in names if name in states and name in fields}
        return self.output_class(loss=loss, logits=logits, **more)

    def backward(self, d_output, cache):
        check_output_names(d_output, ("loss", "logits", "hidden_states", "attentions", "cross_attentions"), self)
        d_states = {name: d for name, d in d_output.items() if name not in ("loss", "logits")}
        d_feature = self.backward_of_head(d_output, cache)
        if d_feature is not None:
            d_states[self.feature] = d_feature
        return self.base_model.backward(d_states, cache.base)

    def backward_of_head(self, d_output, cache: TaskCache):
        """The gradient of the state that the head reads; None if neither loss nor logits have one."""
        dlogits = self.gradient_of_logits(d_output, cache.loss)
        return None if dlogits is None else self.head.backward(dlogits, cache.head)

    def gradient_of_logits(self, d_output, loss_cache):
        """What the loss and a gradient given for the logits themselves add up to."""
        dlogits = d_output.get("logits")
        if d_output.get("loss") is not None:
            if loss_cache is None:
                raise ValueError(_NO_LABELS)
            dlogits = add_gradients(dlogits, self.loss.backward(d_output["loss"], loss_cache))
        return dlogits

    def head_options(self, generator) -> dict:
        return {"generator": generator} if isinstance(self.head, DropoutLinear) else {}


class VocabularyTask(TaskModel):
    """A task whose head scores every word of the vocabulary, for every token.

    Its logits are by far the largest array of a training step, and of most tokens they don't count: masked language
    modelling labels one in seven. So the loss's gradient is only computed, and taken through the head's last product,
    for those tokens that count.
    """

    def backward_of_head(self, d_output, cache):
        if d_output.get("loss") is None or d_output.get("logits") is not None:
            return super().backward_of_head(d_output, cache)
        dlogits, rows = self.loss.backward_counted(d_output["loss"], loss_cache_of(self, cache))
        return self.head.backward(dlogits, cache.head, rows)


class CausalTask(VocabularyTask):
    """Which word comes next, for every token: a decoder's language model.

    `logits_to_keep`, in inference: scores for so many of the last tokens alone (0: all). A generator needs one.
    """

    def forward(self, *inputs, labels=None, logits_to_keep: int = 0, **options):
        if not logits_to_keep:
            return super().forward(*inputs, labels=labels, **options)
        if keeping() or labels is not None:
            raise ValueError("logits_to_keep is for inference without labels: the loss and backward need all logits")
        states, _ = self.base_model.forward(*inputs, **options)
        logits, _ = self.head.forward(states[self.feature][:, -logits_to_keep:])
        return self.output_of(states, None, logits), None


class LastTokenCache(NamedTuple):
    task: TaskCache
    place: tuple
    shape: tuple


class LastTokenTask(TaskModel):
    """A class for a whole text from a decoder's last token: the only one that has seen all of it.

    The last is the last that isn't `config.pad_token_id`, wherever padding stands; without a padding id, or with
    `inputs_embeds`, the very last. logits (B, labels).
    """

    def forward(self, input_ids=None, *inputs, labels=None, generator=None, **options):
        generator = self.generator if generator is None else generator
        states, base_cache = self.base_model.forward(input_ids, *inputs, generator=generator, **options)
        x = states.last_hidden_state
        xp = array_module(x)
        place = (xp.arange(len(x)), self._last_tokens(input_ids, x))
        logits, head_cache = self.head.forward(x[place])
        loss, loss_cache = None, None
        if labels is not None:
            loss, loss_cache = self.loss.forward(logits, labels)
        task_cache = keep(TaskCache, base_cache, head_cache, loss_cache)
        return self.output_of(states, loss, logits), keep(LastTokenCache, task_cache, place, x.shape)

    def backward(self, d_output, cache):
        check_output_names(d_output, ("loss", "logits", "hidden_states", "attentions"), self)
        d_states = {name: d for name, d in d_output.items() if name not in ("loss", "logits")}
        d_last = self.backward_of_head(d_output, cache.task)
        if d_last is not None:
            dx = array_module(d_last).zeros(cache.shape, dtype=d_last.dtype)
            dx[cache.place] = d_last  # the other tokens did not take part
            d_states["last_hidden_state"] = dx
        return self.base_model.backward(d_states, cache.task.base)

    def _last_tokens(self, input_ids, x):
        xp = array_module(x)
        B, T = x.shape[:2]
        pad = self.config.pad_token_id
        if pad is None and B > 1:
            raise ValueError(
                f"a batch of {B} texts needs config.pad_token_id to tell where each ends; set it, or pass one at a time"
            )
        if pad is None or input_ids is None:
            return xp.full(B, T - 1)
        is_text = as_array_like(input_ids, x) != pad
        return (xp.arange(T) * is_text).argmax(axis=-1)


_NO_LABELS = "backward was given a gradient for the loss, but forward was given no labels, so there is no loss"


def loss_cache_of(model, cache, field: str = "loss"):
    loss_cache = getattr(cache, field)
    if loss_cache is None:
        raise ValueError(_NO_LABELS)
    return loss_cache


class MultipleChoiceCache(NamedTuple):
    task: TaskCache
    loss: tuple | None
    choices: int


class MultipleChoiceTask(TaskModel):
    """Which of C continuations fits? Ids and masks (B, C, T), labels (B,) -> logits (B, C)

    Every choice is a text of its own: (B, C, T) becomes (B·C, T), each gets one score, and the scores become (B, C).
    """

    def forward(
        self,
        input_ids=None,
        attention_mask=None,
        token_type_ids=None,
        position_ids=None,
        head_mask=None,
        inputs_embeds=None,
        labels=None,
        **options,
    ):
        B, C = check_choices(input_ids, inputs_embeds)
        ids = (input_ids, attention_mask, token_type_ids, position_ids)
        texts = [None if x is None else x.reshape(B * C, *x.shape[2:]) for x in ids]
        vectors = None if inputs_embeds is None else inputs_embeds.reshape(B * C, *inputs_embeds.shape[2:])
        output, cache = super().forward(*texts, head_mask, inputs_embeds=vectors, **options)
        output.logits = output.logits.reshape(B, C)
        loss_cache = None
        if labels is not None:
            output.loss, loss_cache = self.loss.forward(output.logits, labels)
        return output, keep(MultipleChoiceCache, cache, loss_cache, C)

    def backward(self, d_output, cache):
        check_output_names(d_output, ("loss", "logits", "hidden_states", "attentions"), self)
        dlogits = self.gradient_of_logits(d_output, cache.loss)
        d_states = {name: d_output[name] for name in ("hidden_states", "attentions") if name in d_output}
        dlogits_of_texts = None if dlogits is None else dlogits.reshape(-1, 1)
        dx = super().backward({"logits": dlogits_of_texts, **d_states}, cache.task)["inputs_embeds"]
        return {"inputs_embeds": dx.reshape(-1, cache.choices, *dx.shape[1:])}


class SpanTask(PreTrainedModel):
    """Where in the text is the answer? A score for each token to be its first (B, T), and to be its last (B, T)."""

    def forward(self, *inputs, start_positions=None, end_positions=None, generator=None, **options):
        generator = self.generator if generator is None else generator
        states, base_cache = self.base_model.forward(*inputs, generator=generator, **options)
        logits, head_cache = self.head.forward(states.last_hidden_state)
        start_logits, end_logits = logits[..., 0], logits[..., 1]
        loss, loss_cache = None, None
        if start_positions is not None and end_positions is not None:
            loss, loss_cache = self.loss.forward(start_logits, end_logits, start_positions, end_positions)
        output = QuestionAnsweringModelOutput(loss, start_logits, end_logits, states.hidden_states, states.attentions)
        return output, keep(TaskCache, base_cache, head_cache, loss_cache)

    def backward(self, d_output, cache):
        check_output_names(d_output, ("loss", "start_logits", "end_logits", "hidden_states", "attentions"), self)
        dstart, dend = d_output.get("start_logits"), d_output.get("end_logits")
        if d_output.get("loss") is not None:
            dstart_of_loss, dend_of_loss = self.loss.backward(d_output["loss"], loss_cache_of(self, cache))
            dstart, dend = add_gradients(dstart, dstart_of_loss), add_gradients(dend, dend_of_loss)
        d_states = {name: d_output[name] for name in ("hidden_states", "attentions") if name in d_output}
        if dstart is not None or dend is not None:
            xp = array_module(dend if dstart is None else dstart)
            dstart = xp.zeros_like(dend) if dstart is None else dstart
            dend = xp.zeros_like(dstart) if dend is None else dend
            d_states["last_hidden_state"] = self.head.backward(xp.stack([dstart, dend], axis=-1), cache.head)
        return self.base_model.backward(d_states, cache.base)
