"""Pipelines: from raw text to a result, in one call.

    classify = pipeline("sentiment-analysis")
    classify("What a film!")                        # [{'label': 'POSITIVE', 'score': …}]

One task a file, over the small base in base.py; which tasks there are stands in registry.py, how `pipeline(...)` puts a
model, a tokenizer and a task together in factory.py. Names are imported when they are first used.
"""

from importlib import import_module

_HOMES = {
    "AggregationStrategy": "token_classification",
    "ChunkPipeline": "base",
    "ClassificationFunction": "text_classification",
    "FeatureExtractionPipeline": "feature_extraction",
    "FillMaskPipeline": "fill_mask",
    "KeyDataset": "datasets",
    "KeyPairDataset": "datasets",
    "NerPipeline": "token_classification",
    "PIPELINE_REGISTRY": "registry",
    "Pipeline": "base",
    "PipelineException": "base",
    "QuestionAnsweringArgumentHandler": "question_answering",
    "QuestionAnsweringPipeline": "question_answering",
    "ReturnType": "text_generation",
    "TextClassificationPipeline": "text_classification",
    "TextGenerationPipeline": "text_generation",
    "TokenClassificationPipeline": "token_classification",
    "get_supported_tasks": "registry",
    "pipeline": "factory",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str):
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__():
    return sorted([*globals(), *_HOMES])
