"""TrainingArguments: defaults, what follows from them, and a clear sentence for what makes no sense."""

import copy
import dataclasses
import json
import logging
import pickle
import re

import pytest

from edutransformers import logging as edutransformers_logging
from edutransformers.training import IntervalStrategy, TrainingArguments
from edutransformers.training.foreign_arguments import REASONS


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
        "do_train": False, "do_eval": False, "do_predict": False, "eval_accumulation_steps": None, "use_cpu": False,
        "auto_find_batch_size": False, "include_tokens_per_second": False, "log_level": "passive",
    }  # fmt: skip
    ours = args.to_dict()
    assert {name: ours[name] for name in expected} == expected
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
    with pytest.raises(TypeError, match="no field 'fsdpp'"):
        TrainingArguments.from_dict({"output_dir": "out", "fsdpp": ""})
    assert copy.deepcopy(args) == pickle.loads(pickle.dumps(args)) == dataclasses.replace(args) == args
    plain = args.to_sanitized_dict()
    assert (plain["learning_rate"], plain["save_total_limit"], plain["train_batch_size"]) == (1e-3, "None", 8)


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


# -- the original's names ---------------------------------------------------------------------------------------------

FIELDS_OF_4_34 = """
    output_dir overwrite_output_dir do_train do_eval do_predict evaluation_strategy prediction_loss_only
    per_device_train_batch_size per_device_eval_batch_size per_gpu_train_batch_size per_gpu_eval_batch_size
    gradient_accumulation_steps eval_accumulation_steps eval_delay learning_rate weight_decay adam_beta1 adam_beta2
    adam_epsilon max_grad_norm num_train_epochs max_steps lr_scheduler_type warmup_ratio warmup_steps log_level
    log_level_replica log_on_each_node logging_dir logging_strategy logging_first_step logging_steps
    logging_nan_inf_filter save_strategy save_steps save_total_limit save_safetensors save_on_each_node no_cuda use_cpu
    use_mps_device seed data_seed jit_mode_eval use_ipex bf16 fp16 fp16_opt_level half_precision_backend bf16_full_eval
    fp16_full_eval tf32 local_rank ddp_backend tpu_num_cores tpu_metrics_debug debug dataloader_drop_last eval_steps
    dataloader_num_workers past_index run_name disable_tqdm remove_unused_columns label_names load_best_model_at_end
    metric_for_best_model greater_is_better ignore_data_skip sharded_ddp fsdp fsdp_min_num_params fsdp_config
    fsdp_transformer_layer_cls_to_wrap deepspeed label_smoothing_factor optim optim_args adafactor group_by_length
    length_column_name report_to ddp_find_unused_parameters ddp_bucket_cap_mb ddp_broadcast_buffers
    dataloader_pin_memory skip_memory_metrics use_legacy_prediction_loop push_to_hub resume_from_checkpoint
    hub_model_id hub_strategy hub_token hub_private_repo hub_always_push gradient_checkpointing
    include_inputs_for_metrics fp16_backend push_to_hub_model_id push_to_hub_organization push_to_hub_token
    mp_parameters auto_find_batch_size full_determinism torchdynamo ray_scope ddp_timeout torch_compile
    torch_compile_backend torch_compile_mode dispatch_batches include_tokens_per_second
""".split()  # noqa: SIM905 (a list of words is read best as words)


def test_each_of_the_originals_settings_is_here_or_explained():
    ours = {field.name for field in dataclasses.fields(TrainingArguments)}
    assert len(FIELDS_OF_4_34) == 112
    assert not set(FIELDS_OF_4_34) - ours - set(REASONS)
    assert not ours & set(REASONS), "a field needs no excuse"
    for name, reason in REASONS.items():
        with pytest.raises(TypeError, match=f"no '{name}', which the original has: {re.escape(reason)}"):
            TrainingArguments("out", **{name: None})
        with pytest.raises(TypeError, match=f"no '{name}'"):
            TrainingArguments.from_dict({"output_dir": "out", name: None})


def test_a_subclass_may_have_fields_of_its_own():
    @dataclasses.dataclass
    class More(TrainingArguments):
        deepspeed: str | None = None
        rank: int = 3

    assert (More("out", deepspeed="x", rank=4).deepspeed, More("out").rank) == ("x", 3)
    with pytest.raises(TypeError, match="no 'fsdp'"):
        More("out", fsdp="")


def test_settings_that_belong_together():
    args = TrainingArguments("out", logging_steps=7)
    args.set_training(1e-3, 16, 0.1, 2, 50, 4, 1, True).set_testing(3, True).set_save("epoch", total_limit=2)
    assert (args.learning_rate, args.per_device_train_batch_size, args.weight_decay) == (1e-3, 16, 0.1)
    assert (args.num_train_epochs, args.max_steps, args.gradient_accumulation_steps) == (2, 50, 4)
    assert (args.seed, args.gradient_checkpointing, args.do_train, args.do_predict) == (1, True, True, True)
    assert (args.per_device_eval_batch_size, args.prediction_loss_only) == (3, True)
    assert (args.save_strategy, args.save_steps, args.save_total_limit) == ("epoch", 500, 2)
    args.set_evaluate(IntervalStrategy.STEPS, 20, 5, 2, 10).set_logging("epoch", 9, "info", True)
    assert (args.evaluation_strategy, args.eval_strategy, args.eval_steps, args.do_eval) == ("steps", "steps", 20, True)
    assert (args.per_device_eval_batch_size, args.eval_accumulation_steps, args.eval_delay) == (5, 2, 10)
    assert args.prediction_loss_only is False
    assert (args.logging_strategy, args.logging_steps, args.log_level, args.logging_first_step) == (
        "epoch", 9, "info", True,
    )  # fmt: skip
    args.set_optimizer("adamw_torch", 2e-3, 0.2, 0.8, 0.9, 1e-6).set_lr_scheduler("cosine", 4, 60, 0.1, 5)
    assert (args.learning_rate, args.adam_beta1, args.adam_beta2, args.adam_epsilon) == (2e-3, 0.8, 0.9, 1e-6)
    assert (args.weight_decay, args.lr_scheduler_type, args.num_train_epochs, args.max_steps) == (0.2, "cosine", 4, 60)
    assert (args.warmup_ratio, args.warmup_steps) == (0.1, 5)
    args.set_dataloader(2, 3, True, 1, True, True, 9)
    assert (args.train_batch_size, args.eval_batch_size, args.dataloader_drop_last, args.data_seed) == (2, 3, True, 9)
    assert (args.auto_find_batch_size, args.ignore_data_skip) == (True, True)
    assert args.set_evaluate().evaluation_strategy == "no"
    assert args.do_eval is False
    with pytest.raises(ValueError, match="eval_steps is 0"):
        args.set_evaluate("steps", 0)
    with pytest.raises(ValueError, match="save_strategy is 'often'"):
        args.set_save("often")
    assert TrainingArguments.from_dict(args.to_dict()).warmup_steps == 5


def test_setters_set_fields_only():
    """A name that no field has would be kept and never looked at."""
    fields = {field.name for field in dataclasses.fields(TrainingArguments)}
    args = TrainingArguments("out")
    for name in ("training", "evaluate", "testing", "save", "logging", "optimizer", "lr_scheduler", "dataloader"):
        getattr(args, f"set_{name}")()
    assert set(vars(args)) == fields


def test_the_level_of_logs():
    assert TrainingArguments("out", log_level="info").get_process_log_level() == logging.INFO
    assert TrainingArguments("out").get_process_log_level() == edutransformers_logging.get_verbosity()
    with pytest.raises(ValueError, match="log_level is 'loud': expected one of passive, debug"):
        TrainingArguments("out", log_level="loud")
