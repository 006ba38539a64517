"""Image classification: what is in a picture?"""

from __future__ import annotations

import numpy as np

from ..images.loading import load_image
from .base import Pipeline
from .text_classification import apply_function, classification_function, default_function


class ImageClassificationPipeline(Pipeline):
    """
    >>> classify = pipeline("image-classification", model=name)                                    # doctest: +SKIP
    >>> classify("parrots.png")                                                                    # doctest: +SKIP
    [{'label': 'macaw', 'score': 0.44}, {'label': 'parrot', 'score': 0.07}, …]

    top_k               how many labels to return, best first (default 5), if the model has as many
    function_to_apply   "softmax", "sigmoid" (each label on its own), "none" (the logits as they are). "default", or
                        nothing, decides by the model: regression none; several labels at once, or only one, sigmoid;
                        otherwise softmax
    timeout             seconds to wait for a picture that is fetched from an http address
    """

    needs = ("image_processor",)

    def _sanitize_parameters(self, top_k=None, function_to_apply=None, timeout=None):
        preprocess, postprocess = {}, {}
        if timeout is not None:
            preprocess["timeout"] = timeout
        if top_k is not None:
            if not isinstance(top_k, (int, np.integer)) or isinstance(top_k, bool) or top_k < 1:
                raise ValueError(f"top_k is {top_k!r}; expected a whole number from 1 on")
            postprocess["top_k"] = int(top_k)
        if function_to_apply is not None and function_to_apply != "default":
            postprocess["function_to_apply"] = classification_function(function_to_apply)
        return preprocess, {}, postprocess

    def __call__(self, inputs=None, *args, images=None, **kwargs):
        """A picture -> [{"label", "score"}, …], best first; a list, dataset or generator -> one such list a picture.

        A picture is whatever `load_image` takes: a Pillow image, an array, a path, an http address, base64, bytes, an
        open file. `images` is the older name of `inputs`.
        """
        return super().__call__(images if inputs is None else inputs, *args, **kwargs)

    def preprocess(self, image, timeout=None):
        if isinstance(image, np.ndarray):  # keeps its channels and its floats, which a Pillow image can't
            if image.ndim not in (2, 3):
                raise ValueError(
                    f"image-classification got an array of the shape {image.shape} where one image was expected; for "
                    "several pass a list"
                )
        else:
            image = load_image(image, timeout)
        return self.image_processor(image, return_tensors="np").to(dtype=self.model.dtype)

    def _forward(self, model_inputs):
        return self.model(**model_inputs)

    def postprocess(self, model_outputs, function_to_apply=None, top_k=5):
        logits = model_outputs["logits"][0]  # (labels,)
        if function_to_apply is None:
            function_to_apply = default_function(self.model.config)
        scores = apply_function(function_to_apply, logits).tolist()
        names = self.model.config.id2label
        labels = [{"label": names[index], "score": score} for index, score in enumerate(scores)]
        labels.sort(key=lambda label: label["score"], reverse=True)
        return labels[:top_k]
