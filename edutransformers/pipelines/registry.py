"""Which tasks there are: their classes, the Auto class that loads a model for them, and their default checkpoint."""

from __future__ import annotations

from importlib import import_module
from typing import NamedTuple

from ..auto import ARCHITECTURES, auto_classes_of


class Task(NamedTuple):
    """`pipeline` is "file.Class" within this folder, or a class; `auto_class` a name from auto/, or a class."""

    pipeline: str | type
    auto_class: str | type
    default: str | None = None

    def pipeline_class(self) -> type:
        if isinstance(self.pipeline, type):
            return self.pipeline
        file, name = self.pipeline.split(".")
        return getattr(import_module(f".{file}", __package__), name)

    def model_class(self) -> type:
        if isinstance(self.auto_class, type):
            return self.auto_class
        return getattr(import_module("..auto", __package__), self.auto_class)


class PipelineRegistry:
    """The tasks by name, and their other names."""

    def __init__(self, tasks: dict[str, Task], aliases: dict[str, str]):
        self.tasks = tasks
        self.aliases = aliases

    def get_supported_tasks(self) -> list[str]:
        return sorted([*self.tasks, *self.aliases])

    def check_task(self, task: str) -> tuple[str, Task]:
        """(the task's own name, its row). Raises KeyError, which lists the known tasks, for an unknown one."""
        name = self.aliases.get(task, task)
        if name not in self.tasks:
            raise KeyError(f"Unknown task {task!r}, available tasks are {', '.join(self.get_supported_tasks())}")
        return name, self.tasks[name]

    def register_pipeline(self, task: str, pipeline_class: type, model=None, default: str | None = None, pt_model=None):
        """Add a task of your own: its Pipeline class, and the Auto (or model) class that loads a model by name.

        `pt_model` is the original's name for `model`.
        """
        model = pt_model if model is None else model
        self.tasks[task] = Task(pipeline_class, model[0] if isinstance(model, tuple) else model, default)

    def tasks_with(self, pipeline_class: type) -> list[str]:
        """The tasks of a Pipeline class."""
        name = f"{pipeline_class.__module__.rsplit('.', 1)[-1]}.{pipeline_class.__name__}"
        return [task for task, row in self.tasks.items() if row.pipeline in (pipeline_class, name)]

    def tasks_for(self, architecture: str) -> list[str]:
        """The tasks that a model class is for: "BertForMaskedLM" -> ["fill-mask"]. Empty if it is for none."""
        kinds = auto_classes_of(architecture)
        for row in ARCHITECTURES.values():
            if row.models.get("AutoModelForPreTraining") == architecture and "AutoModelForMaskedLM" in row.models:
                kinds.append("AutoModelForMaskedLM")  # BERT's has that head too
        kinds.append(architecture)
        return [
            name for name, task in self.tasks.items() if getattr(task.auto_class, "__name__", task.auto_class) in kinds
        ]


PIPELINE_REGISTRY = PipelineRegistry(
    tasks={
        "text-classification": Task(
            "text_classification.TextClassificationPipeline",
            "AutoModelForSequenceClassification",
            default="edutransformers/bert-small-imdb",
        ),
        "fill-mask": Task("fill_mask.FillMaskPipeline", "AutoModelForMaskedLM"),
        "token-classification": Task(
            "token_classification.TokenClassificationPipeline", "AutoModelForTokenClassification"
        ),
        "question-answering": Task("question_answering.QuestionAnsweringPipeline", "AutoModelForQuestionAnswering"),
        "text-generation": Task(
            "text_generation.TextGenerationPipeline", "AutoModelForCausalLM", default="edutransformers/gpt2-small-imdb"
        ),
        "image-classification": Task(
            "image_classification.ImageClassificationPipeline",
            "AutoModelForImageClassification",
            default="edutransformers/vit-small-mnist",
        ),
        "automatic-speech-recognition": Task(
            "automatic_speech_recognition.AutomaticSpeechRecognitionPipeline",
            "AutoModelForCTC",
            default="edutransformers/wav2vec2-small-digits-letters",
        ),
        "audio-classification": Task(
            "audio_classification.AudioClassificationPipeline", "AutoModelForAudioClassification"
        ),
        "feature-extraction": Task("feature_extraction.FeatureExtractionPipeline", "AutoModel"),
    },
    aliases={"sentiment-analysis": "text-classification", "ner": "token-classification"},
)


def get_supported_tasks() -> list[str]:
    """The names of all tasks that `pipeline(...)` knows."""
    return PIPELINE_REGISTRY.get_supported_tasks()
