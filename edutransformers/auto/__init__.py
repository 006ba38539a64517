"""The Auto classes: from a checkpoint's `model_type` to the classes that read it.

    AutoModelForMaskedLM.from_pretrained(name)
        config.json says {"model_type": "bert"}  ->  the row "bert" of ARCHITECTURES  ->  BertForMaskedLM

architectures.py has the table of models, preprocessors.py that of image processors, feature extractors and processors,
`tokenizers/model_types.py` that of tokenizers. A class of your own joins with `register`.
"""

from .architectures import ARCHITECTURES, Architecture, auto_classes_of, model_types
from .configs import AutoConfig
from .models import (
    AutoModel,
    AutoModelForAudioClassification,
    AutoModelForAudioFrameClassification,
    AutoModelForAudioXVector,
    AutoModelForCausalLM,
    AutoModelForCTC,
    AutoModelForImageClassification,
    AutoModelForMaskedImageModeling,
    AutoModelForMaskedLM,
    AutoModelForMultipleChoice,
    AutoModelForNextSentencePrediction,
    AutoModelForPreTraining,
    AutoModelForQuestionAnswering,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
)
from .preprocessors import AutoFeatureExtractor, AutoImageProcessor, AutoProcessor
from .tokenizers import AutoTokenizer

__all__ = [
    "ARCHITECTURES",
    "Architecture",
    "AutoConfig",
    "AutoFeatureExtractor",
    "AutoImageProcessor",
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
    "AutoProcessor",
    "AutoTokenizer",
    "auto_classes_of",
    "model_types",
]
