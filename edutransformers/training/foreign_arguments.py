"""The original's settings that TrainingArguments does not have, each with the reason: for the error message."""

from __future__ import annotations

_SHARDING = "it shards a model over GPUs through torch; here every process holds the whole model"
_TORCH_PROCESSES = "it is about torch's processes; here `mpiexec -n N` starts them and Accelerator joins them"
_COMPILER = "it is for torch's compilers; here the code that you read is the code that runs"
_AMP = "it chooses between torch's kinds of mixed precision; here there is one, see fp16"
_BFLOAT16 = "NumPy and CuPy have no bfloat16; fp16=True is mixed precision with float16"
_HUB = "the Trainer uploads nothing; after training call model.push_to_hub('owner/name')"
_BATCH = "it was renamed per_device_{}_batch_size"
_ONE_MACHINE = "here the main process alone logs and saves"

REASONS = {
    "deepspeed": _SHARDING,
    "fsdp": _SHARDING,
    "fsdp_config": _SHARDING,
    "fsdp_min_num_params": _SHARDING,
    "fsdp_transformer_layer_cls_to_wrap": _SHARDING,
    "mp_parameters": _SHARDING,
    "sharded_ddp": _SHARDING,
    "ddp_backend": _TORCH_PROCESSES,
    "ddp_broadcast_buffers": _TORCH_PROCESSES,
    "ddp_bucket_cap_mb": _TORCH_PROCESSES,
    "ddp_find_unused_parameters": _TORCH_PROCESSES,
    "ddp_timeout": _TORCH_PROCESSES,
    "dispatch_batches": _TORCH_PROCESSES,
    "local_rank": _TORCH_PROCESSES,
    "log_level_replica": _ONE_MACHINE,
    "log_on_each_node": _ONE_MACHINE,
    "save_on_each_node": _ONE_MACHINE,
    "jit_mode_eval": _COMPILER,
    "torch_compile": _COMPILER,
    "torch_compile_backend": _COMPILER,
    "torch_compile_mode": _COMPILER,
    "torchdynamo": _COMPILER,
    "use_ipex": _COMPILER,
    "bf16": _BFLOAT16,
    "bf16_full_eval": _BFLOAT16,
    "fp16_backend": _AMP,
    "fp16_opt_level": _AMP,
    "half_precision_backend": _AMP,
    "tf32": "a product's number type is that of its arrays here, and TF32 is none of NumPy's or CuPy's",
    "hub_always_push": _HUB,
    "hub_model_id": _HUB,
    "hub_private_repo": _HUB,
    "hub_strategy": _HUB,
    "hub_token": _HUB,
    "push_to_hub": _HUB,
    "push_to_hub_model_id": _HUB,
    "push_to_hub_organization": _HUB,
    "push_to_hub_token": _HUB,
    "per_gpu_train_batch_size": _BATCH.format("train"),
    "per_gpu_eval_batch_size": _BATCH.format("eval"),
    "no_cuda": "it was renamed use_cpu",
    "use_mps_device": "arrays are NumPy's or CuPy's here: on the processor, or on an NVIDIA GPU",
    "tpu_metrics_debug": "there is no TPU behind NumPy or CuPy",
    "tpu_num_cores": "there is no TPU behind NumPy or CuPy",
    "dataloader_pin_memory": "it speeds up torch's copies to a GPU; a batch here is copied when the model uses it",
    "debug": "it switches on torch's own debugging; a nan stops the training here, and every cache can be printed",
    "full_determinism": "runs repeat to the last bit here without it",
    "logging_nan_inf_filter": "a loss that is not finite is not hidden here: it stops the training and names the step",
    "past_index": "no model here hands its past from one training batch to the next",
    "ray_scope": "hyperparameter search here is Optuna's, without Ray",
    "run_name": "it names a run for tracking services; logs here stay in files, under output_dir",
    "skip_memory_metrics": "edutransformers.teaching.memory_report shows what a step needs, before it is made",
    "use_legacy_prediction_loop": "there is one evaluation_loop",
}


def explain(names, fields) -> None:
    """Raise `TypeError` for the first name that is the original's and no field here, with the reason."""
    for name in names:
        if name in REASONS and name not in fields:
            raise TypeError(f"TrainingArguments has no {name!r}, which the original has: {REASONS[name]}")
