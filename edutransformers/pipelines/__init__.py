"""Pipelines: from raw text, pictures or sound to a result, in one call.

    classify = pipeline("sentiment-analysis")
    classify("What a film!")                        # [{'label': 'POSITIVE', 'score': …}]

One task a file, over the small base in base.py; which tasks there are stands in registry.py, how `pipeline(...)` puts a
model, a tokenizer and a task together in factory.py. Names are imported when they are first used.
"""

from ..lazy import lazy_names

_HOMES = {
    "AggregationStrategy": "token_classification",
    "AudioClassificationPipeline": "audio_classification",
    "AutomaticSpeechRecognitionPipeline": "automatic_speech_recognition",
    "ChunkPipeline": "base",
    "ClassificationFunction": "classification",
    "FeatureExtractionPipeline": "feature_extraction",
    "FillMaskPipeline": "fill_mask",
    "ImageClassificationPipeline": "image_classification",
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

__getattr__, __dir__ = lazy_names(__name__, _HOMES)
