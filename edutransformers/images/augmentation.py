"""Changes at random that leave a picture what it is: more of the world for a model to train on.

    train = Compose([RandomResizedCrop(224), RandomHorizontalFlip(), ColorJitter(0.4, 0.4, 0.4, 0.1)])
    picture = train(picture, generator)

A transform is called with a picture (a Pillow image or an array) and a NumPy generator, and returns a Pillow image. It
first draws its parameters, `draw(image, generator)`, and then applies them, `apply(image, parameters)`, so that what
was drawn can be looked at, and used again. Names, arguments and distributions are those of torchvision's transforms.
Pixels stay 0 … 255: rescaling and normalizing is the image processor's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image

from .channels import ChannelDimension
from .conversion import to_numpy_array, to_pil_image, to_plain_mode
from .transforms import PaddingMode, PILImageResampling, pad, pillow_filter


class RandomTransform:
    """Base: draw the parameters, then apply them."""

    def __call__(self, image, generator: np.random.Generator) -> Image.Image:
        if not isinstance(generator, np.random.Generator):
            raise TypeError(
                f"{type(self).__name__} needs a NumPy generator, not {type(generator).__name__}; pass "
                "numpy.random.default_rng(seed)"
            )
        image = to_plain_mode(to_pil_image(image))
        return self.apply(image, self.draw(image, generator))

    def draw(self, image: Image.Image, generator: np.random.Generator):
        """The parameters for this picture."""
        raise NotImplementedError(f"{type(self).__name__} has no draw")

    def apply(self, image: Image.Image, parameters) -> Image.Image:
        """The picture, changed as the parameters say."""
        raise NotImplementedError(f"{type(self).__name__} has no apply")

    def __repr__(self):
        settings = ", ".join(f"{name}={value!r}" for name, value in vars(self).items())
        return f"{type(self).__name__}({settings})"


class Compose(RandomTransform):
    """Several transforms, one after the other, from one generator.

    A transform may also be a function of the picture alone.
    """

    def __init__(self, transforms: Sequence[RandomTransform | Callable]):
        self.transforms = list(transforms)

    def __call__(self, image, generator: np.random.Generator) -> Image.Image:
        for transform in self.transforms:
            image = transform(image, generator) if isinstance(transform, RandomTransform) else transform(image)
        return image


class Box(NamedTuple):
    """A part of a picture, in pixels."""

    top: int
    left: int
    height: int
    width: int

    def cut_out(self, image: Image.Image) -> Image.Image:
        return image.crop((self.left, self.top, self.left + self.width, self.top + self.height))


# ---------------------------------------------------------------------------------------------------------------------
# Where one looks
# ---------------------------------------------------------------------------------------------------------------------


class RandomHorizontalFlip(RandomTransform):
    """Left and right exchanged, with the probability `p`."""

    def __init__(self, p: float = 0.5):
        self.p = _share(p, "p")

    def draw(self, image, generator) -> bool:
        return bool(generator.random() < self.p)

    def apply(self, image, parameters: bool):
        return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if parameters else image


class RandomResizedCrop(RandomTransform):
    """A part of the picture, at any place, of any size and of nearly any shape, resized to `size` (h, w), or n for a
    square.

    The part's area is a share of the picture's, uniform in `scale`; its width / height is log-uniform in `ratio`, so
    that flat and tall are equally likely. A part that does not fit is drawn again, up to ten times; then it is the
    largest one in the middle with a shape in `ratio`. (Szegedy et al. 2015, "Going deeper with convolutions".)
    """

    attempts = 10

    def __init__(
        self,
        size: int | tuple[int, int],
        scale: tuple[float, float] = (0.08, 1.0),
        ratio: tuple[float, float] = (3 / 4, 4 / 3),
        interpolation: int = PILImageResampling.BILINEAR,
    ):
        self.size = _height_and_width(size)
        self.scale = _range(scale, "scale", above=0)
        self.ratio = _range(ratio, "ratio", above=0)
        self.interpolation = pillow_filter(interpolation, "interpolation")

    def draw(self, image, generator) -> Box:
        height, width = image.height, image.width
        log_ratio = np.log(self.ratio)
        for _ in range(self.attempts):
            area = height * width * generator.uniform(*self.scale)
            shape = math.exp(generator.uniform(*log_ratio))
            w, h = round(math.sqrt(area * shape)), round(math.sqrt(area / shape))
            if 0 < w <= width and 0 < h <= height:
                top = int(generator.integers(0, height - h, endpoint=True))
                left = int(generator.integers(0, width - w, endpoint=True))
                return Box(top, left, h, w)
        return self._middle(height, width)

    def _middle(self, height: int, width: int) -> Box:
        lowest, highest = self.ratio
        w, h = width, height
        if width / height < lowest:
            h = max(round(width / lowest), 1)
        elif width / height > highest:
            w = max(round(height * highest), 1)
        return Box((height - h) // 2, (width - w) // 2, h, w)

    def apply(self, image, parameters: Box):
        height, width = self.size
        return parameters.cut_out(image).resize((width, height), self.interpolation)


class RandomCrop(RandomTransform):
    """A part of `size` (h, w), or n for a square, at any place.

    padding         pixels put around the picture first: n, (left and right, top and bottom) or (left, top, right,
                    bottom)
    pad_if_needed   where some are missing still, put that many on both sides
    fill            their value, 0 … 255, or one for each channel
    padding_mode    "constant", "edge", "reflect" or "symmetric", see `PaddingMode`
    """

    def __init__(
        self,
        size: int | tuple[int, int],
        padding: int | Sequence[int] | None = None,
        pad_if_needed: bool = False,
        fill: int | Sequence[int] = 0,
        padding_mode: str = "constant",
    ):
        self.size = _height_and_width(size)
        self.padding = padding
        self.pad_if_needed = pad_if_needed
        self.fill = fill
        self.padding_mode = padding_mode
        _sides(padding)
        _padding_mode(padding_mode)

    def padded(self, image: Image.Image) -> Image.Image:
        """The picture with what `padding` and `pad_if_needed` put around it."""
        image = add_border(image, _sides(self.padding), self.fill, self.padding_mode)
        if self.pad_if_needed:
            height, width = self.size
            missing = max(width - image.width, 0), max(height - image.height, 0)
            image = add_border(image, (*missing, *missing), self.fill, self.padding_mode)
        return image

    def draw(self, image, generator) -> Box:
        height, width = self.size
        left, top, right, bottom = _sides(self.padding)
        rows, columns = image.height + top + bottom, image.width + left + right
        if self.pad_if_needed:
            rows, columns = rows + 2 * max(height - rows, 0), columns + 2 * max(width - columns, 0)
        if rows < height or columns < width:
            raise ValueError(
                f"a part of {height} × {width} pixels can't be cut out of an image of {rows} × {columns}; pass "
                "pad_if_needed=True, or resize it first"
            )
        top = int(generator.integers(0, rows - height, endpoint=True))
        left = int(generator.integers(0, columns - width, endpoint=True))
        return Box(top, left, height, width)

    def apply(self, image, parameters: Box):
        return parameters.cut_out(self.padded(image))


class RandomRotation(RandomTransform):
    """Turned counter-clockwise by an angle uniform in `degrees` (low, high), or −n … n for a number n.

    interpolation   Pillow's filter: nearest (the default), bilinear or bicubic
    expand          make the result large enough for all of the picture
    center          (x, y), around which it is turned, in pixels; its middle if not given
    fill            what stands in the corners that become free
    """

    filters = (PILImageResampling.NEAREST, PILImageResampling.BILINEAR, PILImageResampling.BICUBIC)

    def __init__(
        self,
        degrees: float | tuple[float, float],
        interpolation: int = PILImageResampling.NEAREST,
        expand: bool = False,
        center: tuple[float, float] | None = None,
        fill: int | tuple[int, ...] = 0,
    ):
        if not isinstance(degrees, (tuple, list)):
            if degrees < 0:
                raise ValueError(f"degrees is {degrees}; expected a number from 0 on, or a pair (low, high)")
            degrees = (-degrees, degrees)
        self.degrees = _range(degrees, "degrees")
        self.interpolation = pillow_filter(interpolation, "interpolation", self.filters)
        self.expand = expand
        self.center = center
        self.fill = fill

    def draw(self, image, generator) -> float:
        return float(generator.uniform(*self.degrees))

    def apply(self, image, parameters: float):
        fill = self.fill
        if isinstance(fill, int) and len(image.getbands()) > 1:
            fill = (fill,) * len(image.getbands())
        return image.rotate(parameters, self.interpolation, expand=self.expand, center=self.center, fillcolor=fill)


def add_border(
    image: Image.Image, sides: tuple[int, int, int, int], fill: int | Sequence[int] = 0, mode: str = "constant"
) -> Image.Image:
    """The picture with pixels around it, `sides` = (left, top, right, bottom) of them."""
    left, top, right, bottom = sides
    if not any(sides):
        return image
    pixels = to_numpy_array(image)
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    around = ((top, bottom), (left, right))
    kind = _padding_mode(mode)
    layout = ChannelDimension.LAST
    if kind is PaddingMode.CONSTANT and not isinstance(fill, int):
        channels = [pad(pixels[..., [c]], around, kind, value, None, layout) for c, value in enumerate(fill)]
        padded = np.concatenate(channels, axis=-1)
    else:
        padded = pad(pixels, around, kind, fill if isinstance(fill, int) else 0, None, layout)
    return to_pil_image(padded, input_data_format=layout)


# ---------------------------------------------------------------------------------------------------------------------
# In what light
# ---------------------------------------------------------------------------------------------------------------------


class ColorJitter(RandomTransform):
    """Brightness, contrast, saturation and hue changed, in an order that is drawn too.

    brightness, contrast, saturation   x: a factor uniform in max(0, 1 − x) … 1 + x, or a pair (low, high)
    hue                                x ≤ 0.5: a turn of the colour circle uniform in −x … x, or a pair

    With the factor f each of the first three mixes the picture with one that lacks the property, f · picture + (1 − f)
    · that one, which for f > 1 leads away from it: for brightness black, for contrast the picture's mean grey, for
    saturation the picture in grey.
    """

    def __init__(self, brightness=0.0, contrast=0.0, saturation=0.0, hue=0.0):
        self.brightness = _factors(brightness, "brightness")
        self.contrast = _factors(contrast, "contrast")
        self.saturation = _factors(saturation, "saturation")
        self.hue = _hues(hue)

    def draw(self, image, generator) -> list[tuple[str, float]]:
        """[(what, by how much), …] in the order in which they are applied; what stays as it is is not in it."""
        ranges = vars(self)
        names = [list(ranges)[place] for place in generator.permutation(len(ranges))]
        return [(name, float(generator.uniform(*ranges[name]))) for name in names if ranges[name] is not None]

    def apply(self, image, parameters: list[tuple[str, float]]):
        for name, amount in parameters:
            image = _ADJUST[name](image, amount)
        return image


def adjust_brightness(image: Image.Image, factor: float) -> Image.Image:
    """f · picture: 0 is black, 1 the picture itself."""
    return _mix(image, lambda grey: Image.new("L", grey.size, 0), factor)


def adjust_contrast(image: Image.Image, factor: float) -> Image.Image:
    """f · picture + (1 − f) · its mean brightness: 0 is grey, 1 the picture itself."""
    return _mix(image, lambda grey: Image.new("L", grey.size, int(np.array(grey).mean() + 0.5)), factor)


def adjust_saturation(image: Image.Image, factor: float) -> Image.Image:
    """f · picture + (1 − f) · the picture in grey: 0 has no colours, 1 is the picture itself."""
    return _mix(image, lambda grey: grey, factor)


def adjust_hue(image: Image.Image, turn: float) -> Image.Image:
    """Colours turned around the colour circle: ⅓ makes red green; −0.5 and 0.5 both make the opposite colour.

    The hue of a pixel is a number 0 … 255 that starts again at 0. A grey picture has none and stays as it is.
    """
    if not -0.5 <= turn <= 0.5:
        raise ValueError(f"the hue can be turned by −0.5 to 0.5 of the circle, not by {turn}")
    if image.mode == "L":
        return image
    hue, saturation, value = image.convert("RGB").convert("HSV").split()
    turned = (np.array(hue).astype(int) + int(turn * 255)) % 256
    hue = Image.fromarray(turned.astype(np.uint8))
    return _same_opacity(Image.merge("HSV", (hue, saturation, value)).convert(image.mode), image)


def _mix(image: Image.Image, without: Callable, factor: float) -> Image.Image:
    """factor · picture + (1 − factor) · without(the picture in grey), within 0 … 255; opacity stays as it is."""
    other = without(image.convert("L")).convert(image.mode)
    return Image.blend(_same_opacity(other, image), image, factor)


def _same_opacity(image: Image.Image, like: Image.Image) -> Image.Image:
    if "A" in like.getbands():
        image.putalpha(like.getchannel("A"))
    return image


_ADJUST = {
    "brightness": adjust_brightness,
    "contrast": adjust_contrast,
    "saturation": adjust_saturation,
    "hue": adjust_hue,
}


# -- arguments --------------------------------------------------------------------------------------------------------


def _share(value: float, name: str) -> float:
    if not 0 <= value <= 1:
        raise ValueError(f"{name} is {value}; expected a probability from 0 to 1")
    return value


def _height_and_width(size) -> tuple[int, int]:
    height, width = size if isinstance(size, (tuple, list)) and len(size) == 2 else (size, size)
    if not all(isinstance(n, (int, np.integer)) and n > 0 for n in (height, width)):
        raise ValueError(f"size is {size!r}; expected a whole number from 1 on, or a pair (height, width)")
    return int(height), int(width)


def _range(pair, name: str, above: float | None = None) -> tuple[float, float]:
    if not isinstance(pair, (tuple, list)) or len(pair) != 2 or not pair[0] <= pair[1]:
        raise ValueError(f"{name} is {pair!r}; expected a pair (low, high)")
    if above is not None and not pair[0] > above:
        raise ValueError(f"{name} is {pair!r}; expected numbers above {above}")
    return float(pair[0]), float(pair[1])


def _factors(value, name: str) -> tuple[float, float] | None:
    """The range of a factor; None for 1 … 1, which changes nothing."""
    if not isinstance(value, (tuple, list)):
        if value < 0:
            raise ValueError(f"{name} is {value}; expected a number from 0 on, or a pair (low, high)")
        value = (max(0.0, 1.0 - value), 1.0 + value)
    low, high = _range(value, name)
    if low < 0:
        raise ValueError(f"{name} is {value!r}; expected factors from 0 on")
    return None if low == high == 1 else (low, high)


def _hues(value) -> tuple[float, float] | None:
    low, high = _range(value if isinstance(value, (tuple, list)) else (-value, value), "hue")
    if not -0.5 <= low <= high <= 0.5:
        raise ValueError(f"hue is {value!r}; expected a number from 0 to 0.5, or a pair within −0.5 … 0.5")
    return None if low == high == 0 else (low, high)


def _sides(padding) -> tuple[int, int, int, int]:
    """(left, top, right, bottom)"""
    if padding is None:
        return 0, 0, 0, 0
    sides = tuple(padding) if isinstance(padding, (tuple, list)) else (padding,)
    if len(sides) not in (1, 2, 4) or not all(isinstance(n, (int, np.integer)) and n >= 0 for n in sides):
        raise ValueError(
            f"padding is {padding!r}; expected a whole number from 0 on, a pair (left and right, top and bottom), or "
            "(left, top, right, bottom)"
        )
    return sides * (4 // len(sides))


def _padding_mode(mode: str) -> PaddingMode:
    modes = {"constant": PaddingMode.CONSTANT, "edge": PaddingMode.REPLICATE, "reflect": PaddingMode.REFLECT,
             "symmetric": PaddingMode.SYMMETRIC}  # fmt: skip
    if mode not in modes:
        raise ValueError(f"padding_mode is {mode!r}; expected one of {', '.join(modes)}")
    return modes[mode]
