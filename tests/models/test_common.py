"""The common promises can be broken: for each one a mistake that it must find, planted in BERT."""

import copy

import numpy as np
import pytest

from edutransformers.checkpoints import load
from edutransformers.functional import attention as attention_module
from edutransformers.layers import AddNorm, Checkpoint, Dropout, Embedding, FeedForward, LayerNorm, Linear
from edutransformers.models import bert, text_inputs
from edutransformers.models.tasks import TaskModel
from edutransformers.module import Module, keep
from tests.fakecupy import DeviceSync

from . import common
from .bert_cases import CASES
from .test_bert import subject

SUBJECT = subject(CASES["pretraining"])
CLASSES = subject(CASES["classes"])


def wrap(patch, owner, name, change):
    """Replace a method by `change(original method)`."""
    patch.setattr(owner, name, change(getattr(owner, name)))


def loading_loses_digits(patch):
    def change(original):
        return lambda array, device: original(array.astype(np.float16).astype(array.dtype), device)

    wrap(patch, load, "_at_home", change)


def astype_unties(patch):
    def change(original):
        def astype(self, dtype):
            for module in original(self, dtype).modules():
                if isinstance(module, Linear):
                    module.weight = copy.deepcopy(module.weight)
            return self

        return astype

    wrap(patch, Module, "astype", change)


def padding_is_seen(patch):
    wrap(patch, text_inputs, "padding_visible", lambda f: lambda mask, *args: np.ones_like(f(mask, *args)))


def the_pooler_averages_the_batch(patch):
    wrap(patch, bert.BertPooler, "forward", lambda f: lambda self, x: f(self, x - 0.01 * x.mean(axis=0)))


def embeddings_forget_their_gradient(patch):
    patch.setattr(Embedding, "backward", lambda self, dy, cache: None)


def a_gradient_is_off(patch):
    def change(original):
        return lambda self, dy, cache: original(self, dy * 1.001, cache)

    wrap(patch, LayerNorm, "backward", change)


def the_gradient_has_the_wrong_sign(patch):
    wrap(patch, TaskModel, "gradient_of_logits", lambda f: lambda self, d, cache: -f(self, d, cache))


def recomputing_draws_other_masks(patch):
    patch.setattr("edutransformers.layers.composition._keep_input", lambda x: x)


def recomputing_keeps_everything(patch):
    patch.setattr(Checkpoint, "forward", lambda self, *inputs, **options: self.inner.forward(*inputs, **options))
    patch.setattr(Checkpoint, "backward", lambda self, d, cache: self.inner.backward(d, cache))


def inference_takes_another_way(patch):
    patch.setattr(
        "edutransformers.layers.normalization.layer_norm_inference",
        lambda x, w, b, eps: (x - x.mean(-1)[..., None]) * w,
    )


def the_cache_lies_on_the_layer(patch):
    def forward(self, x):
        y, self.cache = plain_forward(self, x)
        return y, keep(None)

    plain_forward, plain_backward = Linear.forward, Linear.backward
    patch.setattr(Linear, "forward", forward)
    patch.setattr(Linear, "backward", lambda self, dy, cache, *rows: plain_backward(self, dy, self.cache, *rows))


def the_gradient_is_written_into(patch):
    def change(original):
        def backward(self, dy, cache, *rows):
            dy *= 1.0
            return original(self, dy, cache, *rows)

        return backward

    wrap(patch, bert.BertPredictionHead, "backward", change)


def a_constant_is_float64(patch):
    wrap(patch, LayerNorm, "forward", lambda f: lambda self, x: f(self, x * np.float64([1.0])))


def the_mask_value_overflows(patch):
    def weights(q, k, visible, *args, **options):
        block = plain(q, k, visible, *args, **options)
        return block * np.float16(70000.0) / np.float16(70000.0) if block.dtype == np.float16 else block

    plain = attention_module._weights
    patch.setattr(attention_module, "_weights", weights)


def a_layer_uses_numpy(patch):
    wrap(patch, bert.BertPooler, "forward", lambda f: lambda self, x: f(self, np.multiply(x, 1.0)))


def a_layer_waits_for_the_device(patch):
    def change(original):
        return lambda self, x: original(self, x * 1.0 if bool((x == x).all()) else x)

    wrap(patch, bert.BertPooler, "forward", change)


def ids_are_not_moved(patch):
    patch.setattr("edutransformers.layers.embedding.as_array_like", lambda x, like: x)


def chunks_forget_the_last_token(patch):
    def change(original):
        return lambda self, x: original(self, x)[: max(1, len(original(self, x)) - 1)]

    wrap(patch, FeedForward, "_chunks", change)


def threads_draw_the_same_masks(patch):
    patch.setattr("edutransformers.layers.batch_threads.BatchShare", lambda generator, *share: copy.deepcopy(generator))


def one_output_is_overlooked(patch):
    def change(original):
        def backward(self, d_output, cache):
            d_output = {k: v for k, v in d_output.items() if not (k == "attentions" and len(d_output) > 1)}
            return original(self, d_output, cache)

        return backward

    wrap(patch, bert.BertModel, "backward", change)


def unknown_names_are_ignored(patch):
    patch.setattr(bert, "check_output_names", lambda *args: None)


def a_loss_out_of_nothing(patch):
    patch.setattr(bert, "loss_cache_of", lambda *args: (None, None))


def dropout_is_off(patch):
    patch.setattr(Dropout, "active", False)


def a_tied_weight_counts_twice(patch):
    def change(original):
        return lambda self, remove_duplicate=False: original(self, remove_duplicate=False)

    wrap(patch, Module, "named_parameters", change)


def the_residual_is_lost(patch):
    wrap(patch, AddNorm, "backward", lambda f: lambda self, dy, cache: (f(self, dy, cache)[0], 0 * dy))


MISTAKES = [
    (common.a_saved_model_loads_equal, loading_loses_digits),
    (common.tied_weights_stay_tied, astype_unties),
    (common.padding_changes_nothing, padding_is_seen),
    (common.examples_do_not_look_at_each_other, the_pooler_averages_the_batch),
    (common.every_parameter_gets_a_gradient, embeddings_forget_their_gradient),
    (common.gradients_are_the_differences, a_gradient_is_off),
    (common.gradients_are_the_differences, the_residual_is_lost),
    (common.one_batch_can_be_learned_by_heart, the_gradient_has_the_wrong_sign),
    (common.recomputing_changes_nothing, recomputing_draws_other_masks),
    (common.recomputing_changes_nothing, recomputing_keeps_everything),
    (common.inference_gives_the_same_output, inference_takes_another_way),
    (common.two_calls_before_their_backward, the_cache_lies_on_the_layer),
    (common.nothing_is_written_into, the_gradient_is_written_into),
    (common.float32_stays_float32, a_constant_is_float64),
    (common.float16_is_finite_and_close, the_mask_value_overflows),
    (common.the_device_gives_the_same_numbers, a_layer_uses_numpy),
    (common.the_device_gives_the_same_numbers, a_layer_waits_for_the_device),
    (common.ids_may_stay_on_the_host, ids_are_not_moved),
    (common.chunks_change_nothing, chunks_forget_the_last_token),
    (common.threads_change_nothing, threads_draw_the_same_masks),
    (common.gradients_of_several_outputs_add_up, one_output_is_overlooked),
    (common.unknown_outputs_are_refused, unknown_names_are_ignored),
    (common.a_loss_needs_labels, a_loss_out_of_nothing),
    (common.the_seed_decides_dropout, dropout_is_off),
    (common.parameters_are_counted_once, a_tied_weight_counts_twice),
]


# What the others run into, where no assertion is the first to notice.
OTHER_ERRORS = {
    the_gradient_is_written_into: (ValueError, "read-only"),
    a_layer_uses_numpy: (TypeError, "np.multiply was called on a device array"),
    a_layer_waits_for_the_device: (DeviceSync, "bool"),
    ids_are_not_moved: (TypeError, "a host array or list indexes a device array"),
    unknown_names_are_ignored: (pytest.fail.Exception, "DID NOT RAISE"),
    a_loss_out_of_nothing: (TypeError, "cannot unpack"),
}


@pytest.mark.parametrize(("promise", "mistake"), MISTAKES, ids=lambda x: x.__name__)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_the_mistake_is_found(promise, mistake, tmp_path, monkeypatch):
    target = CLASSES if mistake is the_gradient_has_the_wrong_sign else SUBJECT
    error, message = OTHER_ERRORS.get(mistake, (AssertionError, None))
    with monkeypatch.context() as patch:
        mistake(patch)
        with pytest.raises(error, match=message):
            promise(target, tmp_path)


def test_every_promise_has_a_mistake_that_breaks_it():
    promises = {*common.PROMISES, *common.PROMISES_OF_PADDING, *common.PROMISES_OF_A_LOSS}
    assert {promise for promise, _ in MISTAKES} == promises
