"""TrainingArguments: defaults, what follows from them, and a clear sentence for what makes no sense."""

import json

import pytest

from edutransformers.training import TrainingArguments


def test_defaults_are_the_originals():
    args = TrainingArguments("out")
    expected = {
        "output_dir": "out", "overwrite_output_dir": False, "evaluation_strategy": "no", "prediction_loss_only": False,
        "per_device_train_batch_size": 8, "per_device_eval_batch_size": 8, "gradient_accumulation_steps": 1,
        "eval_delay": 0, "learning_rate": 5e-5, "weight_decay": 0.0, "adam_beta1": 0.9, "adam_beta2": 0.999,
        "adam_epsilon": 1e-8, "max_grad_norm": 1.0, "num_train_epochs": 3.0, "max_steps": -1,
        "lr_scheduler_type": "linear", "warmup_ratio": 0.0, "warmup_steps": 0, "logging_strategy": "steps",
        "logging_first_step": False, "logging_steps": 500, "save_strategy": "steps", "save_steps": 500,
        "save_total_limit": None, "seed": 42, "data_seed": None, "dataloader_drop_last": False, "eval_steps": None,
        "remove_unused_columns": True, "label_names": None, "load_best_model_at_end": False,
        "metric_for_best_model": None, "greater_is_better": None, "ignore_data_skip": False,
        "label_smoothing_factor": 0.0, "group_by_length": False, "length_column_name": "length",
        "resume_from_checkpoint": None, "gradient_checkpointing": False, "include_inputs_for_metrics": False,
    }  # fmt: skip
    ours = args.to_dict()
    assert {name: ours[name] for name in expected} == expected
    assert set(ours) - set(expected) == {"eval_strategy", "disable_tqdm"}  # 5.x's name; None in the original
    assert (args.train_batch_size, args.eval_batch_size) == (8, 8)


def test_both_names_of_the_evaluation_strategy():
    for name in ("eval_strategy", "evaluation_strategy"):
        args = TrainingArguments("out", **{name: "epoch"})
        assert args.eval_strategy == args.evaluation_strategy == "epoch"
    with pytest.raises(ValueError, match="two names for one setting"):
        TrainingArguments("out", eval_strategy="epoch", evaluation_strategy="steps")


def test_what_follows():
    assert TrainingArguments("out", evaluation_strategy="steps", logging_steps=7).eval_steps == 7
    args = TrainingArguments("out", warmup_ratio=0.1, logging_steps=0.25)
    assert args.get_warmup_steps(101) == 11
    assert TrainingArguments("out", warmup_ratio=0.1, warmup_steps=5).get_warmup_steps(101) == 5
    assert (args.steps_of("logging_steps", 10), args.steps_of("save_steps", 10)) == (3, 500)
    best = {"evaluation_strategy": "epoch", "save_strategy": "epoch", "load_best_model_at_end": True}
    args = TrainingArguments("out", **best)
    assert (args.metric_for_best_model, args.greater_is_better) == ("loss", False)
    for metric, greater in (("accuracy", True), ("eval_loss", False)):
        assert TrainingArguments("out", metric_for_best_model=metric, **best).greater_is_better is greater
    assert (
        TrainingArguments("out", metric_for_best_model="wer", greater_is_better=False, **best).greater_is_better
        is False
    )


def test_as_a_dictionary_and_back():
    args = TrainingArguments("out", learning_rate=1e-3, evaluation_strategy="epoch")
    assert TrainingArguments.from_dict(json.loads(args.to_json_string())) == args
    with pytest.raises(TypeError, match="no field 'fsdp'"):
        TrainingArguments.from_dict({"output_dir": "out", "fsdp": ""})


def test_unknown_names_are_type_errors():
    with pytest.raises(TypeError, match="learning_rat'"):
        TrainingArguments("out", learning_rat=1e-3)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("per_device_train_batch_size", 0, "expected a whole number from 1 up"),
        ("per_device_train_batch_size", 2.0, "whole number"),
        ("per_device_eval_batch_size", "8", "is '8'"),
        ("gradient_accumulation_steps", 0, "whole number from 1 up"),
        ("learning_rate", -1e-5, "from 0 up"),
        ("learning_rate", float("nan"), "is nan"),
        ("learning_rate", "5e-5", "is '5e-5': expected a number"),
        ("learning_rate", True, "is True"),
        ("weight_decay", -1, "from 0 up"),
        ("adam_beta1", 1.0, "from 0 up and below 1"),
        ("adam_beta2", -0.1, "from 0 up and below 1"),
        ("adam_epsilon", float("inf"), "is inf"),
        ("max_grad_norm", -1.0, "from 0 up"),
        ("num_train_epochs", 0, "above 0"),
        ("max_steps", 1.5, "whole number"),
        ("warmup_ratio", 1.5, "from 0 up and up to 1"),
        ("warmup_steps", -3, "whole number from 0 up"),
        ("label_smoothing_factor", 2, "up to 1"),
        ("logging_steps", 0, "above 0"),
        ("logging_steps", 2.5, "whole number of steps"),
        ("save_steps", -5, "above 0"),
        ("save_total_limit", 0, "whole number from 1 up"),
        ("seed", -1, "whole number from 0 up"),
        ("data_seed", "x", "is 'x'"),
        ("lr_scheduler_type", "steep", "expected one of linear"),
        ("evaluation_strategy", "sometimes", "expected one of no, steps, epoch"),
        ("save_strategy", "sometimes", "expected one of no, steps, epoch"),
    ],
)
def test_out_of_range(name, value, message):
    with pytest.raises(ValueError, match=message) as error:
        TrainingArguments("out", **{name: value})
    assert str(error.value).startswith(name)


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"save_strategy": "epoch"},
        {"evaluation_strategy": "epoch"},
        {"evaluation_strategy": "steps", "eval_steps": 100, "save_steps": 250},
        {"evaluation_strategy": "steps", "eval_steps": 100, "save_steps": 50},
        {"evaluation_strategy": "steps", "eval_steps": 0.2, "save_steps": 0.3},
    ],
)
def test_the_best_model_needs_every_checkpoint_evaluated(arguments):
    with pytest.raises(ValueError, match="load_best_model_at_end=True needs each checkpoint evaluated"):
        TrainingArguments("out", load_best_model_at_end=True, **arguments)


def test_the_best_model_by_steps():
    for eval_steps, save_steps in ((100, 300), (0.1, 0.3), (5, 5)):
        TrainingArguments(
            "out",
            load_best_model_at_end=True,
            evaluation_strategy="steps",
            eval_steps=eval_steps,
            save_steps=save_steps,
        )
