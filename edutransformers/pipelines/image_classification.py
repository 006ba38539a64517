"""Image classification: what is in a picture?"""

from __future__ import annotations

import numpy as np

from ..images.loading import load_image
from .base import Pipeline
from .classification import best_labels, checked_top_k, classification_function, scored_labels


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
            postprocess["top_k"] = checked_top_k(top_k)
        if function_to_apply is not None:
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
        return best_labels(scored_labels(model_outputs["logits"][0], self.model.config, function_to_apply), top_k)
