"""Training against torch and the original: clipping, whole loss curves. Optimizers: test_optimizers_reference.py."""

import json

import numpy as np
import pytest

from edutransformers import BertConfig, BertForSequenceClassification
from edutransformers.module import Parameter
from edutransformers.training import TrainingArguments, clip_grad_norm_, decay_groups
from tests.reference.common import MAJOR, original_of, torch, transformers
from tests.training.original_run import (
    ARGUMENTS,
    FILE,
    InOrder,
    comparable,
    fingerprint,
    original_run_items,
    original_run_model,
)

pytestmark = pytest.mark.reference

SHAPES = [(7, 5), (5,), (2, 3, 4), (1,)]


def twins(rng, dtype="float64"):
    ours = [Parameter(rng.standard_normal(shape).astype(dtype)) for shape in SHAPES]
    return ours, [torch.nn.Parameter(torch.tensor(p.data)) for p in ours]


def give_gradients(rng, ours, theirs, scale=1.0):
    for mine, other in zip(ours, theirs):
        gradient = scale * rng.standard_normal(mine.shape).astype(mine.dtype)
        mine.grad, other.grad = gradient, torch.tensor(gradient)


@pytest.mark.parametrize("max_norm", [1e-3, 1.0, 1e3, 0.0])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_clipping(rng, max_norm, dtype):
    ours, theirs = twins(rng, dtype)
    give_gradients(rng, ours, theirs)
    norm, expected = clip_grad_norm_(ours, max_norm), torch.nn.utils.clip_grad_norm_(theirs, max_norm)
    tolerance = 1e-12 if dtype == "float64" else 1e-6
    assert norm == pytest.approx(float(expected), rel=tolerance)
    for mine, other in zip(ours, theirs):
        np.testing.assert_allclose(mine.grad, other.grad.numpy(), rtol=10 * tolerance, atol=1e-12)


# -- whole runs -------------------------------------------------------------------------------------------------------


def tiny_bert(rng):
    config = BertConfig(
        vocab_size=40, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24,
        max_position_embeddings=12, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, num_labels=3,
        initializer_range=0.2,
    )  # fmt: skip
    return BertForSequenceClassification(config, generator=rng)


def random_items(rng, count, length=8):
    items = []
    for _ in range(count):
        mask = (np.arange(length) < rng.integers(2, length + 1)).astype(int)
        items.append({"input_ids": rng.integers(0, 40, length), "attention_mask": mask, "labels": rng.integers(0, 3)})
    return items


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-8), ("float32", 1e-3)])
@pytest.mark.parametrize("accumulation", [1, 2])
def test_a_loss_curve_is_the_one_of_the_loop_in_torch(rng, tmp_path, dtype, tolerance, accumulation):
    """20 steps of a tiny BERT: the original's model, torch's AdamW, torch's clipping, the original's schedule."""
    model, items = tiny_bert(rng), random_items(rng, 80 * accumulation)
    theirs = original_of(model, dtype).train()
    decays, rest = (
        [
            theirs.get_parameter(name)
            for name, p in model.named_parameters()
            if id(p) in {id(q) for q in group["params"]}
        ]
        for group in decay_groups(model, 0.1)
    )
    groups = [{"params": decays, "weight_decay": 0.1}, {"params": rest, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=5e-3, betas=(0.9, 0.98), eps=1e-6)
    schedule = transformers.get_linear_schedule_with_warmup(optimizer, 4, 20)
    expected = []
    for step in range(20):
        for part in range(accumulation):
            start = 4 * (step * accumulation + part)
            batch = items[start : start + 4]
            inputs = {name: torch.tensor(np.stack([item[name] for item in batch])) for name in batch[0]}
            loss = theirs(**inputs).loss
            (loss / accumulation).backward()
            expected.append(float(loss.detach()))
        torch.nn.utils.clip_grad_norm_(theirs.parameters(), 0.5)
        optimizer.step()
        schedule.step()
        theirs.zero_grad()

    args = TrainingArguments(
        str(tmp_path), per_device_train_batch_size=4, gradient_accumulation_steps=accumulation, num_train_epochs=1,
        learning_rate=5e-3, weight_decay=0.1, adam_beta2=0.98, adam_epsilon=1e-6, warmup_steps=4, max_grad_norm=0.5,
        disable_tqdm=True, save_strategy="no",
    )  # fmt: skip
    trainer = InOrder(model.astype(dtype), args, train_dataset=items)
    trainer.train()
    assert max(expected) - min(expected) > 0.3  # something was learned, or at least changed
    np.testing.assert_allclose(trainer.losses, expected, rtol=tolerance)
    if dtype == "float64":
        for name, parameter in model.named_parameters():
            np.testing.assert_allclose(
                parameter.data, theirs.get_parameter(name).detach().numpy(), rtol=1e-7, atol=1e-9, err_msg=name
            )


# -- the original's Trainer -------------------------------------------------------------------------------------------


def _originals_trainer_runs() -> bool:
    try:
        transformers.TrainingArguments("unused", report_to=[])
    except ImportError:  # its Trainer needs the accelerate package
        return False
    return True


def run_original_trainer(folder, items, tests, **more) -> dict:
    """The original's Trainer on the run of original_run.py: what there is to compare, and what is frozen."""
    losses = []

    class TheirsInOrder(transformers.Trainer):
        def _get_train_sampler(self, *args):
            return torch.utils.data.SequentialSampler(self.train_dataset)

        def compute_loss(self, model, inputs, *args, **kwargs):
            result = super().compute_loss(model, inputs, *args, **kwargs)
            if model.training:
                losses.append(float(result.detach()))
            return result

    strategy = {"eval_strategy" if MAJOR >= 5 else "evaluation_strategy": "epoch"}
    args = transformers.TrainingArguments(
        str(folder), report_to=[], use_cpu=True, dataloader_pin_memory=False, **{**ARGUMENTS, **strategy, **more}
    )
    trainer = TheirsInOrder(original_of(original_run_model()), args, train_dataset=items, eval_dataset=tests)
    output = trainer.train()
    weights = {name: p.detach().numpy() for name, p in trainer.model.named_parameters()}
    return {
        "losses": losses,
        "global_step": output.global_step,
        "log_history": comparable(trainer.state.log_history),
        "weights": fingerprint(weights),
    }


@pytest.mark.skipif(not _originals_trainer_runs(), reason="the original's Trainer needs accelerate")
@pytest.mark.parametrize(
    ("smoothing", "tolerance"),
    [(0.0, 1e-8), (0.1, 1e-6)],  # the original adds up a smoothed loss in float32, whatever the model's number type
)
def test_losses_logs_and_weights_are_those_of_the_originals_trainer(tmp_path, smoothing, tolerance):
    """Both Trainers, the same arguments: losses, logs, evaluation, step counts, decay groups, weights in float64.

    With gradient accumulation 5.x adds up the losses of a step's batches for this model, where 4.34 takes their mean
    as we do, and it ends an epoch's incomplete step at once; so there each batch is a step. Its logs give the learning
    rate of the step that was made, 4.34's of the one to come.
    """
    items, tests = original_run_items("train", 44), original_run_items("test", 10)
    more = {"label_smoothing_factor": smoothing} | ({"gradient_accumulation_steps": 1} if MAJOR >= 5 else {})
    expected = run_original_trainer(tmp_path / "theirs", items, tests, **more)
    args = TrainingArguments(str(tmp_path / "ours"), evaluation_strategy="epoch", **{**ARGUMENTS, **more})
    ours = InOrder(original_run_model(), args, train_dataset=items, eval_dataset=tests)
    assert ours.train().global_step == expected["global_step"]
    assert ours.losses == pytest.approx(expected["losses"], rel=tolerance)
    assert len(expected["log_history"]) == len(ours.log_history)
    for mine, theirs in zip(comparable(ours.log_history), expected["log_history"]):
        assert mine.keys() <= theirs.keys()
        for name in mine.keys() - ({"learning_rate"} if MAJOR >= 5 else set()):
            last_digit = 5.1e-3 if name == "epoch" else 1.01e-4  # logs are rounded, in 5.x only when they are shown
            assert mine[name] == pytest.approx(theirs[name], rel=1e-6, abs=last_digit), name
    weights = fingerprint({name: p.data for name, p in ours.model.named_parameters()})
    for name, values in weights.items():
        assert values == pytest.approx(expected["weights"][name], rel=10 * tolerance, abs=1e-9), name


if __name__ == "__main__":
    import tempfile

    assert transformers.__version__ == "4.34.1", "the frozen run is 4.34.1's"
    with tempfile.TemporaryDirectory() as folder:
        run = run_original_trainer(folder, original_run_items("train", 44), original_run_items("test", 10))
    FILE.write_text(json.dumps(run, indent=1) + "\n")
