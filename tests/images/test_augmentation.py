"""Augmentations: what is drawn, and what is done with it."""

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from edutransformers.images import (
    ColorJitter,
    Compose,
    RandomCrop,
    RandomHorizontalFlip,
    RandomResizedCrop,
    RandomRotation,
)
from edutransformers.images.augmentation import (
    Box,
    add_border,
    adjust_brightness,
    adjust_contrast,
    adjust_hue,
    adjust_saturation,
)

from .pictures import noise, picture, smooth

PIXELS = smooth(24, 32)
IMAGE = Image.fromarray(PIXELS)


def rng(seed=0):
    return np.random.default_rng(seed)


def draws(transform, count=2000, image=IMAGE):
    generator = rng()
    return [transform.draw(image, generator) for _ in range(count)]


def same(image, expected):
    np.testing.assert_array_equal(np.array(image), np.array(expected))


ALL = [
    RandomHorizontalFlip(),
    RandomResizedCrop(8),
    RandomCrop(16, padding=2),
    RandomRotation(30),
    ColorJitter(0.4, 0.4, 0.4, 0.2),
    Compose([RandomResizedCrop(8), RandomHorizontalFlip(), ColorJitter(0.4)]),
]


@pytest.mark.parametrize("transform", ALL, ids=lambda t: type(t).__name__)
def test_one_seed_one_result_and_the_input_stays(transform):
    pixels = noise(24, 32)
    pixels.flags.writeable = False
    first, again = transform(pixels, rng(3)), transform(Image.fromarray(pixels), rng(3))
    assert isinstance(first, Image.Image)
    same(first, again)
    results = {np.array(transform(pixels, rng(seed))).tobytes() for seed in range(12)}
    assert len(results) > 1


@pytest.mark.parametrize("transform", ALL, ids=lambda t: type(t).__name__)
@pytest.mark.parametrize(("mode", "after"), [("L", "L"), ("RGBA", "RGBA"), ("P", "RGB"), ("1", "L"), ("I;16", "L")])
def test_every_mode(transform, mode, after):
    assert transform(picture(mode, 24, 32), rng()).mode == after


@pytest.mark.parametrize("transform", ALL[:-1], ids=lambda t: type(t).__name__)
def test_a_call_applies_what_it_draws(transform):
    generator, other = rng(5), rng(5)
    same(transform(IMAGE, generator), transform.apply(IMAGE, transform.draw(IMAGE, other)))
    assert generator.random() == other.random()


@pytest.mark.parametrize("generator", [None, 0, np.random.RandomState(0)])
def test_the_generator_is_explicit(generator):
    with pytest.raises(TypeError, match=r"RandomHorizontalFlip needs a NumPy generator, .*default_rng\(seed\)"):
        RandomHorizontalFlip()(IMAGE, generator)


# -- flip -------------------------------------------------------------------------------------------------------------


def test_flip():
    same(RandomHorizontalFlip().apply(IMAGE, True), PIXELS[:, ::-1])
    same(RandomHorizontalFlip().apply(IMAGE, False), PIXELS)
    share = np.mean(draws(RandomHorizontalFlip(0.3)))
    assert abs(share - 0.3) < 0.04  # four standard deviations
    assert not any(draws(RandomHorizontalFlip(0.0), 100))
    assert all(draws(RandomHorizontalFlip(1.0), 100))
    with pytest.raises(ValueError, match="p is 1.5; expected a probability"):
        RandomHorizontalFlip(1.5)


# -- crops ------------------------------------------------------------------------------------------------------------


def test_resized_crop_applies_the_box():
    cropped = RandomResizedCrop((6, 9), interpolation=3).apply(IMAGE, Box(top=2, left=5, height=10, width=12))
    same(cropped, Image.fromarray(PIXELS[2:12, 5:17]).resize((9, 6), 3))


def test_resized_crop_draws_area_and_shape():
    image = Image.new("L", (400, 400))
    boxes = np.array(draws(RandomResizedCrop(8, scale=(0.1, 0.5), ratio=(0.5, 2.0)), image=image))
    top, left, height, width = boxes.T
    assert (top >= 0).all()
    assert (left >= 0).all()
    assert (top + height <= 400).all()
    assert (left + width <= 400).all()
    area, shape = height * width / 400**2, np.log2(width / height)
    assert abs(area.min() - 0.1) < 0.01
    assert abs(area.max() - 0.5) < 0.01
    assert abs(area.mean() - 0.3) < 0.01  # uniform: the standard deviation of the mean is 0.4 / √12 / √2000 = 0.0026
    assert abs(shape.mean()) < 0.06  # log-uniform: 2 / √12 / √2000 = 0.013
    assert abs(shape.var() - 4 / 12) < 0.03
    room = 400 - width
    assert abs((left / room).mean() - 0.5) < 0.03


def test_resized_crop_of_an_extreme_shape_takes_the_middle():
    wide, tall = Image.new("L", (400, 10)), Image.new("L", (10, 400))
    crop = RandomResizedCrop(8, scale=(1.0, 1.0))
    assert draws(crop, 1, wide) == [Box(0, 193, 10, 13)]  # 10 · 4/3, rounded, and half of what is left over
    assert draws(crop, 1, tall) == [Box(193, 0, 13, 10)]
    assert draws(RandomResizedCrop(8, scale=(1.5, 1.6), ratio=(1, 1)), 1, Image.new("L", (9, 9))) == [Box(0, 0, 9, 9)]
    assert RandomResizedCrop(8)(Image.new("L", (1, 1)), rng()).size == (8, 8)


def test_crop():
    crop = RandomCrop((20, 30))
    boxes = draws(crop, 600)
    assert {(box.height, box.width) for box in boxes} == {(20, 30)}
    assert {box.top for box in boxes} == set(range(5))
    assert {box.left for box in boxes} == set(range(3))
    same(crop.apply(IMAGE, boxes[0]), PIXELS[boxes[0].top :, boxes[0].left :][:20, :30])
    assert draws(RandomCrop((24, 32)), 1) == [Box(0, 0, 24, 32)]
    with pytest.raises(ValueError, match="25 × 30 pixels can't be cut out of an image of 24 × 32; pass pad_if_needed"):
        RandomCrop((25, 30))(IMAGE, rng())


@pytest.mark.parametrize(
    ("padding", "sides"), [(2, (2, 2, 2, 2)), ((1, 2), (1, 2, 1, 2)), ((1, 2, 3, 4), (1, 2, 3, 4))]
)
@pytest.mark.parametrize(
    ("mode", "numpys"), [("constant", "constant"), ("edge", "edge"), ("reflect", "reflect"), ("symmetric", "symmetric")]
)
def test_padding(padding, sides, mode, numpys):
    left, top, right, bottom = sides
    expected = np.pad(PIXELS, [(top, bottom), (left, right), (0, 0)], mode=numpys)
    same(RandomCrop(5, padding=padding, padding_mode=mode).padded(IMAGE), expected)
    height, width = expected.shape[:2]
    whole = RandomCrop((height, width), padding=padding, padding_mode=mode)
    same(whole(IMAGE, rng()), expected)


def test_padding_with_a_colour():
    padded = np.array(add_border(IMAGE, (1, 0, 0, 0), (10, 20, 30)))
    assert padded[:, 0].tolist() == [[10, 20, 30]] * 24
    same(padded[:, 1:], PIXELS)
    assert np.array(add_border(IMAGE.convert("L"), (1, 0, 0, 0), 7))[0, 0] == 7


def test_pad_if_needed():
    crop = RandomCrop((30, 20), pad_if_needed=True)
    padded = np.array(crop.padded(IMAGE))
    assert padded.shape == (24 + 12, 32, 3)  # six rows are missing: six above and six below
    same(padded[6:30], PIXELS)
    assert {box.top for box in draws(crop, 500)} == set(range(7))
    assert crop(IMAGE, rng()).size == (20, 30)


# -- rotation ---------------------------------------------------------------------------------------------------------


def test_rotation():
    square = Image.fromarray(smooth(9, 9))
    same(RandomRotation(180).apply(square, 90.0), np.rot90(np.array(square)))
    turned = RandomRotation(90, fill=(1, 2, 3), interpolation=2).apply(IMAGE, 30.0)
    same(turned, IMAGE.rotate(30, Image.Resampling.BILINEAR, fillcolor=(1, 2, 3)))
    assert np.array(turned)[0, 0].tolist() == [1, 2, 3]
    assert RandomRotation(90, expand=True).apply(IMAGE, 90.0).size == (24, 32)
    same(RandomRotation(90, center=(0, 0)).apply(IMAGE, 10.0), IMAGE.rotate(10, center=(0, 0)))
    angles = np.array(draws(RandomRotation((-10, 30))))
    assert angles.min() > -10
    assert angles.max() < 30
    assert abs(angles.mean() - 10) < 1  # the standard deviation of the mean is 40 / √12 / √2000 = 0.26
    assert RandomRotation(10).degrees == (-10, 10)


# -- colours ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("adjust", "pillows"),
    [
        (adjust_brightness, ImageEnhance.Brightness),
        (adjust_contrast, ImageEnhance.Contrast),
        (adjust_saturation, ImageEnhance.Color),
    ],
)
@pytest.mark.parametrize("factor", [0.0, 0.3, 1.0, 1.7, 5.0])
@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA"])
def test_adjustments_are_pillows(adjust, pillows, factor, mode):
    image = picture(mode)
    same(adjust(image, factor), pillows(image).enhance(factor))


def test_the_formulas():
    image = Image.fromarray(noise())
    pixels = np.array(image).astype(float)
    grey = np.array(image.convert("L")).astype(float)
    for adjust, without in [
        (adjust_brightness, 0.0),
        (adjust_contrast, round(grey.mean())),
        (adjust_saturation, grey[..., None]),
    ]:
        expected = np.clip(1.4 * pixels + (1 - 1.4) * without, 0, 255)
        assert np.abs(np.array(adjust(image, 1.4)) - expected).max() <= 1, adjust


def test_hue():
    red = Image.new("RGB", (1, 1), (255, 0, 0))
    assert np.array(adjust_hue(red, 1 / 3))[0, 0].tolist() == [0, 255, 0]
    assert np.array(adjust_hue(red, 0.5))[0, 0, 0] == 0
    assert (
        np.abs(np.array(adjust_hue(red, 0.5)).astype(int) - np.array(adjust_hue(red, -0.5))).max() <= 12
    )  # 255 / 256 of the circle apart
    same(adjust_hue(IMAGE, 0.0), IMAGE.convert("HSV").convert("RGB"))
    noisy = Image.fromarray(noise())
    for turn, step in ((1 / 3, 85), (-0.25, 256 - 63)):
        hue, saturation, value = (np.array(band) for band in noisy.convert("HSV").split())
        bands = [Image.fromarray(band) for band in (hue + np.uint8(step), saturation, value)]  # beyond 255 comes 0
        same(adjust_hue(noisy, turn), Image.merge("HSV", bands).convert("RGB"))
    grey = IMAGE.convert("L")
    assert adjust_hue(grey, 0.3) is grey
    clear = picture("RGBA")
    same(adjust_hue(clear, 0.2).getchannel("A"), clear.getchannel("A"))
    same(adjust_hue(clear, 0.2).convert("RGB"), adjust_hue(clear.convert("RGB"), 0.2))
    with pytest.raises(ValueError, match="not by 0.6"):
        adjust_hue(IMAGE, 0.6)


def test_jitter_draws_factors_and_their_order():
    jitter = ColorJitter(brightness=0.4, contrast=(0.5, 2.0), saturation=1.5, hue=0.1)
    found = draws(jitter)
    values = {name: np.array([dict(draw)[name] for draw in found]) for name in vars(jitter)}
    for name, (low, high) in {
        "brightness": (0.6, 1.4),
        "contrast": (0.5, 2.0),
        "saturation": (0.0, 2.5),
        "hue": (-0.1, 0.1),
    }.items():
        assert low <= values[name].min() < low + 0.02 * (high - low), name
        assert high >= values[name].max() > high - 0.02 * (high - low), name
        assert abs(values[name].mean() - (low + high) / 2) < 0.03 * (high - low), name
    orders = [tuple(name for name, _ in draw) for draw in found]
    assert len(set(orders)) == 24
    assert max(orders.count(order) for order in set(orders)) < 2000 / 24 * 1.6


def test_jitter_applies_in_that_order():
    jitter = ColorJitter()
    first = adjust_contrast(adjust_brightness(IMAGE, 1.5), 0.5)
    same(jitter.apply(IMAGE, [("brightness", 1.5), ("contrast", 0.5)]), first)
    other = jitter.apply(IMAGE, [("contrast", 0.5), ("brightness", 1.5)])
    assert np.abs(np.array(other).astype(int) - np.array(first)).max() > 5
    assert draws(ColorJitter(), 1) == [[]]
    assert [name for name, _ in draws(ColorJitter(hue=0.1), 1)[0]] == ["hue"]
    assert ColorJitter()(IMAGE, rng()) is IMAGE


# -- several ----------------------------------------------------------------------------------------------------------


def test_compose_is_one_after_the_other():
    crop, flip = RandomCrop(16), RandomHorizontalFlip()
    generator, other = rng(1), rng(1)
    together = Compose([crop, np.array, flip, lambda image: image.convert("L")])(IMAGE, generator)
    same(together, flip(crop(IMAGE, other), other).convert("L"))
    assert "RandomHorizontalFlip(p=0.5)" in repr(Compose([flip]))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RandomResizedCrop(0), "size is 0"),
        (lambda: RandomResizedCrop((1, 2, 3)), "size is"),
        (lambda: RandomResizedCrop(8, scale=(0, 1)), "scale is .* above 0"),
        (lambda: RandomResizedCrop(8, ratio=(2, 1)), r"ratio is \(2, 1\); expected a pair \(low, high\)"),
        (lambda: RandomCrop(8, padding=-1), "padding is -1"),
        (lambda: RandomCrop(8, padding=(1, 2, 3)), r"padding is \(1, 2, 3\)"),
        (lambda: RandomCrop(8, padding_mode="wrap"), "padding_mode is 'wrap'; expected one of constant, edge"),
        (lambda: RandomRotation(-3), "degrees is -3"),
        (
            lambda: RandomRotation(3, interpolation=1),
            r"interpolation is 1; .* 0 \(nearest\), 2 \(bilinear\), 3 \(bicubic\)",
        ),
        (lambda: RandomResizedCrop(3, interpolation=99), r"interpolation is 99; expected one of Pillow's filters 0"),
        (lambda: ColorJitter(brightness=-1), "brightness is -1"),
        (lambda: ColorJitter(contrast=(-1, 1)), r"contrast is \(-1, 1\); expected factors from 0 on"),
        (lambda: ColorJitter(hue=0.6), "hue is 0.6; expected a number from 0 to 0.5"),
    ],
)
def test_wrong_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()
