"""image-classification: which labels, in which order, for whatever stands for a picture."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from edutransformers import BertForSequenceClassification, ViTForImageClassification, ViTModel, pipeline
from edutransformers.pipelines import ImageClassificationPipeline, KeyDataset
from tests import fakecupy
from tests.images.pictures import encoded, noise, picture

from . import tiny
from .tiny_pictures import mean_colour, processor, tiny_vit

RED, BLUE = (np.full((8, 8, 3), colour, np.uint8) for colour in ((200, 100, 0), (0, 100, 200)))


def colours(*shades) -> np.ndarray:
    """The logits of MeanColour."""
    return 10 * (np.array(shades) / 255 - 0.5) / 0.5


@pytest.fixture
def classify():
    return pipeline("image-classification", model=mean_colour(), image_processor=processor())


def softmax(x):
    e = np.exp(x - x.max())
    return e / e.sum()


def test_labels_with_scores_best_first(classify):
    expected = softmax(colours(200, 100, 0))
    result = classify(RED)
    assert [label["label"] for label in result] == ["red", "green", "blue"]
    np.testing.assert_allclose([label["score"] for label in result], expected, atol=1e-6)
    assert all(type(label["score"]) is float for label in result)
    assert [label["label"] for label in classify(BLUE)] == ["blue", "green", "red"]


def test_top_k(classify):
    assert classify(RED, top_k=1) == classify(RED)[:1]
    assert classify(RED, top_k=np.int64(2)) == classify(RED)[:2]
    assert classify(RED, top_k=100) == classify(RED)  # there are three labels
    assert classify(RED, top_k=None) == classify(RED)
    many = pipeline(
        "image-classification", model=tiny_vit(ViTForImageClassification, num_labels=9), image_processor=processor()
    )
    assert len(many(RED)) == 5
    assert len(many(RED, top_k=9)) == 9
    always_one = ImageClassificationPipeline(mean_colour(), image_processor=processor(), top_k=1)
    assert len(always_one(RED)) == 1
    assert len(always_one(RED, top_k=2)) == 2


def scores(pipe, **options):
    return {label["label"]: label["score"] for label in pipe(RED, **options)}


def test_functions(classify):
    logits = colours(200, 100, 0)
    for function, expected in {
        "softmax": softmax(logits),
        "sigmoid": 1 / (1 + np.exp(-logits)),
        "none": logits,
        "default": softmax(logits),
        "SOFTMAX": softmax(logits),
    }.items():
        found = scores(classify, function_to_apply=function)
        np.testing.assert_allclose([found[name] for name in ("red", "green", "blue")], expected, atol=1e-5)


@pytest.mark.parametrize(
    ("fields", "function"),
    [
        ({"problem_type": "regression"}, "none"),
        ({"problem_type": "multi_label_classification"}, "sigmoid"),
        ({"problem_type": "single_label_classification"}, "softmax"),
        ({}, "softmax"),
    ],
)
def test_the_function_by_problem_type(classify, fields, function):
    pipe = ImageClassificationPipeline(mean_colour(**fields), image_processor=processor())
    assert scores(pipe) == scores(classify, function_to_apply=function)


def test_every_kind_of_picture(classify, tmp_path):
    image = Image.fromarray(RED)
    path = tmp_path / "red.png"
    image.save(path)
    expected = classify(RED)
    data = encoded(image)
    for one in (
        image, path, str(path), data, bytearray(data), io.BytesIO(data), base64.b64encode(data).decode(),
        RED.transpose(2, 0, 1), RED.astype(np.float32),
    ):  # fmt: skip
        assert classify(one) == expected, type(one)
    assert classify(images=path) == expected
    assert classify(picture("L"))[0]["score"] == pytest.approx(1 / 3, abs=1e-6)
    with open(path, "rb") as file:
        assert classify(file) == expected


def test_a_model_of_one_channel_reads_coloured_pictures():
    grey = pipeline(
        "image-classification",
        model=tiny_vit(ViTForImageClassification, num_channels=1, num_labels=4),
        image_processor=processor(image_mean=[0.5], image_std=[0.5]),
    )
    pixels = noise(channels=1)
    expected = grey(pixels)
    for image in (pixels[..., 0], Image.fromarray(pixels[..., 0]), encoded(Image.fromarray(pixels[..., 0]))):
        tiny.assert_same_results(grey(image), expected, 1e-6)


def test_lists_generators_datasets_and_batches(classify):
    pictures = [RED, Image.fromarray(BLUE), encoded(Image.fromarray(RED)), noise(30, 20)]
    expected = [classify(image) for image in pictures]
    assert classify(pictures) == expected
    for batch_size in (2, 3, 8):
        tiny.assert_same_results(classify(pictures, batch_size=batch_size), expected, 1e-6)
    assert list(classify(iter(pictures))) == expected
    rows = [{"image": image, "label": 0} for image in pictures]
    results = classify(KeyDataset(rows, "image"), batch_size=2)
    assert len(results) == 4
    tiny.assert_same_results(list(results), expected, 1e-6)
    assert classify([RED]) == [classify(RED)]


def test_a_real_vit_equals_its_own_logits():
    model = tiny_vit(ViTForImageClassification, num_labels=6)
    pipe = pipeline("image-classification", model=model, image_processor=processor())
    image = noise(20, 30)
    logits = model(processor()(image, return_tensors="np")["pixel_values"]).logits[0]
    found = {label["label"]: label["score"] for label in pipe(image, top_k=6)}
    np.testing.assert_allclose([found[f"LABEL_{n}"] for n in range(6)], softmax(logits), atol=1e-6)


# -- making one -------------------------------------------------------------------------------------------------------


def test_a_folder_is_all_it_takes(tmp_path):
    model = tiny_vit(ViTForImageClassification, num_labels=6)
    made = pipeline("image-classification", model=model, image_processor=processor(resample=3))
    made.save_pretrained(tmp_path)
    for arguments in ({"task": "image-classification"}, {}, {"image_processor": str(tmp_path)}):
        loaded = pipeline(model=str(tmp_path), **arguments)
        assert type(loaded) is ImageClassificationPipeline
        assert loaded.tokenizer is None
        assert loaded.image_processor.resample == 3
        assert loaded(RED) == made(RED)
    other = pipeline(model=str(tmp_path), image_processor=(tmp_path, {"resample": 0}))
    assert other.image_processor.resample == 0


def test_an_image_processor_was_a_feature_extractor_once(tmp_path, classify):
    older = pipeline("image-classification", model=mean_colour(), feature_extractor=processor())
    assert older(RED) == classify(RED)
    assert older.feature_extractor is None
    processor(size=4).save_pretrained(tmp_path)
    by_name = pipeline("image-classification", model=mean_colour(), feature_extractor=str(tmp_path))
    assert by_name.image_processor.size == {"height": 4, "width": 4}


def test_the_image_processor_is_needed():
    with pytest.raises(
        ValueError, match=r"needs an image processor; pass image_processor=AutoImageProcessor.from_pret"
    ):
        pipeline("image-classification", model=mean_colour())


def test_other_models_are_refused():
    with pytest.raises(ValueError, match="BertForSequenceClassification is a model for text-classification"):
        pipeline("image-classification", model=tiny.model(BertForSequenceClassification), image_processor=processor())
    with pytest.raises(ValueError, match="ViTModel is a model for"):
        pipeline("image-classification", model=tiny_vit(ViTModel), image_processor=processor())


def test_number_types(classify):
    for dtype in ("float64", "float16"):
        pipe = pipeline("image-classification", model=mean_colour(), image_processor=processor(), dtype=dtype)
        tiny.assert_same_results(pipe(RED), classify(RED), 2e-3)


def test_on_a_gpu(classify):
    expected = classify([RED, BLUE], batch_size=2)
    with fakecupy.installed():
        pipe = pipeline("image-classification", model=mean_colour(), image_processor=processor(), device="cuda")
        assert pipe.device == "cuda:0"
        tiny.assert_same_results(pipe([RED, BLUE], batch_size=2), expected, 1e-6)


# -- bad input --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("image", "error", "message"),
    [
        (None, TypeError, "an image can't be NoneType"),
        (3, TypeError, "an image can't be int"),
        (("a.png", "b.png"), TypeError, "an image can't be tuple"),
        ({"image": RED}, TypeError, "an image can't be dict"),
        ("no_such_file.png", ValueError, "there is no file 'no_such_file.png'"),
        (b"I am a cat.", ValueError, "no picture that Pillow can read"),
        (
            np.stack([RED, RED]),
            ValueError,
            r"array of the shape \(2, 8, 8, 3\) where one image was expected; .* a list",
        ),
        (np.full((8, 8, 3), np.nan), ValueError, "NaN or infinite"),
        (np.zeros((8, 8, 5)), ValueError, "no channel axis"),
    ],
)
def test_what_is_no_picture(classify, image, error, message):
    with pytest.raises(error, match=message):
        classify(image)
    with pytest.raises(error, match=message):
        classify([RED, image])


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"top_k": 0}, ValueError, "top_k is 0; expected a whole number from 1 on"),
        ({"top_k": "all"}, ValueError, "top_k is 'all'"),
        ({"top_k": True}, ValueError, "top_k is True"),
        ({"function_to_apply": "tanh"}, ValueError, "'tanh'; expected 'default' or one of"),
        ({"size": 3}, TypeError, "size"),
    ],
)
def test_wrong_arguments(classify, arguments, error, message):
    with pytest.raises(error, match=message):
        classify(RED, **arguments)


def test_several_sizes_make_no_batch():
    pipe = pipeline("image-classification", model=mean_colour(), image_processor=processor(do_resize=False))
    pictures = [noise(8, 8), noise(8, 12)]
    assert len(pipe(pictures)) == 2
    with pytest.raises(
        ValueError, match="pixel_values of different sizes .8 × 8, 8 × 12. make no batch; use batch_size=1"
    ):
        pipe(pictures, batch_size=2)


def test_the_timeout_is_passed_on(classify, monkeypatch):
    waited = []

    def fetch(image, timeout):
        waited.append(timeout)
        return Image.fromarray(RED)

    monkeypatch.setattr("edutransformers.pipelines.image_classification.load_image", fetch)
    assert classify("http://example.org/red.png", timeout=2.5) == classify(RED)
    classify("http://example.org/red.png")
    assert waited == [2.5, None]


def test_a_local_picture_takes_no_notice_of_the_timeout(classify, tmp_path):
    Image.fromarray(RED).save(tmp_path / "red.png")
    assert classify(tmp_path / "red.png", timeout=1e-9) == classify(RED)
    with pytest.raises(ValueError, match="could not be fetched"):
        classify("http://127.0.0.1:9/red.png", timeout=5)
