"""edutransformers: transformers from scratch in plain NumPy and CuPy, every backward pass written by hand.

Importing the package imports none of its parts; a name is looked up when it is first used.
"""

import sys
from importlib import import_module
from types import ModuleType

__version__ = "0.1.0"

# module -> the public names it holds
_PUBLIC = {
    "audio": ("SequenceFeatureExtractor", "Wav2Vec2FeatureExtractor", "Wav2Vec2Processor", "load_audio"),
    "auto": (
        "AutoConfig",
        "AutoFeatureExtractor",
        "AutoImageProcessor",
        "AutoProcessor",
        "AutoTokenizer",
        "AutoModel",
        "AutoModelForAudioClassification",
        "AutoModelForAudioFrameClassification",
        "AutoModelForAudioXVector",
        "AutoModelForCTC",
        "AutoModelForCausalLM",
        "AutoModelForImageClassification",
        "AutoModelForMaskedImageModeling",
        "AutoModelForMaskedLM",
        "AutoModelForMultipleChoice",
        "AutoModelForNextSentencePrediction",
        "AutoModelForPreTraining",
        "AutoModelForQuestionAnswering",
        "AutoModelForSequenceClassification",
        "AutoModelForTokenClassification",
    ),
    "batch_feature": ("BatchFeature",),
    "backend": ("cupy_usable", "get_backend", "use_backend"),
    "generation": (
        "GenerationConfig",
        "LogitsProcessor",
        "LogitsProcessorList",
        "StoppingCriteria",
        "StoppingCriteriaList",
        "TextIteratorStreamer",
        "TextStreamer",
    ),
    "gradient_check": ("assert_gradients", "gradient_check"),
    "images": ("ViTFeatureExtractor", "ViTImageProcessor", "load_image"),
    "models.base": ("PreTrainedModel",),
    "models.bert": (
        "BertConfig",
        "BertForMaskedLM",
        "BertForMultipleChoice",
        "BertForNextSentencePrediction",
        "BertForPreTraining",
        "BertForQuestionAnswering",
        "BertForSequenceClassification",
        "BertForTokenClassification",
        "BertLMHeadModel",
        "BertModel",
    ),
    "models.configuration": ("PretrainedConfig",),
    "models.gpt2": (
        "GPT2Config",
        "GPT2DoubleHeadsModel",
        "GPT2ForQuestionAnswering",
        "GPT2ForSequenceClassification",
        "GPT2ForTokenClassification",
        "GPT2LMHeadModel",
        "GPT2Model",
    ),
    "models.vit": ("ViTConfig", "ViTForImageClassification", "ViTForMaskedImageModeling", "ViTModel"),
    "models.wav2vec2": ("Wav2Vec2Config", "Wav2Vec2Model"),
    "models.wav2vec2_heads": (
        "Wav2Vec2ForAudioFrameClassification",
        "Wav2Vec2ForCTC",
        "Wav2Vec2ForSequenceClassification",
        "Wav2Vec2ForXVector",
    ),
    "models.wav2vec2_pretraining": ("Wav2Vec2ForPreTraining",),
    "module": ("Module", "ModelOutput", "Parameter", "inference_mode", "keep"),
    "pipelines": ("pipeline",),
    "teaching.flops": ("flops_report",),
    "teaching.memory": ("memory_report",),
    "teaching.tokens": ("TokenPicture", "show_tokens"),
    "tokenizers": (
        "AddedToken",
        "AlbertTokenizer",
        "AlbertTokenizerFast",
        "BartTokenizer",
        "BartTokenizerFast",
        "BatchEncoding",
        "BertTokenizer",
        "BertTokenizerFast",
        "CLIPTokenizer",
        "CLIPTokenizerFast",
        "CTRLTokenizer",
        "CodeLlamaTokenizer",
        "CodeLlamaTokenizerFast",
        "DebertaTokenizer",
        "DebertaTokenizerFast",
        "DebertaV2Tokenizer",
        "DebertaV2TokenizerFast",
        "DistilBertTokenizer",
        "DistilBertTokenizerFast",
        "ElectraTokenizer",
        "ElectraTokenizerFast",
        "GPT2Tokenizer",
        "GPT2TokenizerFast",
        "LlamaTokenizer",
        "LlamaTokenizerFast",
        "MBart50Tokenizer",
        "MBart50TokenizerFast",
        "MBartTokenizer",
        "MBartTokenizerFast",
        "MarianTokenizer",
        "NllbTokenizer",
        "NllbTokenizerFast",
        "OpenAIGPTTokenizer",
        "OpenAIGPTTokenizerFast",
        "PreTrainedTokenizer",
        "PreTrainedTokenizerFast",
        "RobertaTokenizer",
        "RobertaTokenizerFast",
        "T5Tokenizer",
        "T5TokenizerFast",
        "TransfoXLTokenizer",
        "Wav2Vec2CTCTokenizer",
        "WhisperTokenizer",
        "WhisperTokenizerFast",
        "XLMRobertaTokenizer",
        "XLMRobertaTokenizerFast",
        "XLMTokenizer",
        "XLNetTokenizer",
        "XLNetTokenizerFast",
    ),
    "training": (
        "SGD",
        "Accelerator",
        "Adafactor",
        "AdafactorSchedule",
        "Adagrad",
        "Adam",
        "AdamW",
        "AdamW8bit",
        "BestRun",
        "CSVLoggerCallback",
        "ClassLabel",
        "DataCollatorForLanguageModeling",
        "DataCollatorForMultipleChoice",
        "DataCollatorForPermutationLanguageModeling",
        "DataCollatorForSeq2Seq",
        "DataCollatorForTokenClassification",
        "DataCollatorForWholeWordMask",
        "DataCollatorWithPadding",
        "DataLoader",
        "Dataset",
        "DatasetDict",
        "DefaultDataCollator",
        "DefaultFlowCallback",
        "EarlyStoppingCallback",
        "EvalPrediction",
        "EvaluationStrategy",
        "HfArgumentParser",
        "IntervalStrategy",
        "IterableDataset",
        "JSONLoggerCallback",
        "MixedPrecision",
        "NotebookProgressCallback",
        "Optimizer",
        "PrinterCallback",
        "ProgressCallback",
        "RMSprop",
        "ReduceLROnPlateau",
        "SchedulerType",
        "TensorBoardCallback",
        "Trainer",
        "TrainerCallback",
        "TrainerControl",
        "TrainerState",
        "TrainingArguments",
        "concatenate_datasets",
        "decay_groups",
        "default_compute_objective",
        "default_data_collator",
        "default_hp_space_optuna",
        "get_adafactor_schedule",
        "get_constant_schedule",
        "get_constant_schedule_with_warmup",
        "get_cosine_schedule_with_warmup",
        "get_cosine_with_hard_restarts_schedule_with_warmup",
        "get_cosine_with_min_lr_schedule_with_warmup",
        "get_cosine_with_min_lr_schedule_with_warmup_lr_rate",
        "get_inverse_sqrt_schedule",
        "get_last_checkpoint",
        "get_linear_schedule_with_warmup",
        "get_polynomial_decay_schedule_with_warmup",
        "get_reduce_on_plateau_schedule",
        "get_scheduler",
        "get_wsd_schedule",
        "history_figure",
        "load_dataset",
        "set_seed",
    ),
}
_HOME = {name: module for module, names in _PUBLIC.items() for name in names}
__all__ = sorted(_HOME)


def __getattr__(name):
    if name in ("logging", "speed"):
        return import_module(f".{name}", __name__)
    if name not in _HOME:
        raise AttributeError(f"edutransformers has no {name!r}")
    value = getattr(import_module(f".{_HOME[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__():
    return sorted(set(globals()) | set(__all__))


class _Package(ModuleType):
    """Python binds a submodule to its package when it is imported. Here a public name of the same spelling wins:
    `from edutransformers import gradient_check` is the function, also after edutransformers/gradient_check.py was used.
    """

    def __setattr__(self, name, value):
        if not (isinstance(value, ModuleType) and name in _HOME):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
