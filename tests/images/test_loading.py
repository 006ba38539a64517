"""load_image: everything that stands for a picture, and everything that does not."""

import base64
import io
import struct
import threading
import zlib
from http.server import BaseHTTPRequestHandler, HTTPServer

import numpy as np
import pytest
from PIL import Image

from edutransformers.images import ImageFileError, load_image
from edutransformers.images.loading import open_image

from .pictures import encoded, noise, picture

PIXELS = noise()
PNG = encoded(Image.fromarray(PIXELS))


def same(image, pixels=PIXELS):
    assert image.mode == "RGB"
    np.testing.assert_array_equal(np.array(image), pixels)


# -- what a picture may be --------------------------------------------------------------------------------------------


def test_paths_bytes_base64_and_files(tmp_path):
    path = tmp_path / "picture.png"
    path.write_bytes(PNG)
    text = base64.b64encode(PNG).decode()
    same(load_image(path))
    same(load_image(str(path)))
    for data in (PNG, bytearray(PNG), memoryview(PNG), io.BytesIO(PNG)):
        same(load_image(data))
    with open(path, "rb") as file:
        same(load_image(file))
    same(load_image(text))
    same(load_image(f"data:image/png;base64,{text}"))
    same(load_image("\n".join(text[i : i + 76] for i in range(0, len(text), 76))))
    same(load_image(base64.encodebytes(PNG).decode()))


def test_images_and_arrays():
    same(load_image(Image.fromarray(PIXELS)))
    same(load_image(PIXELS))
    same(load_image(PIXELS.transpose(2, 0, 1)))
    same(load_image(PIXELS[..., 0]), np.repeat(PIXELS[..., :1], 3, axis=-1))
    same(load_image(PIXELS.astype(np.int64)))
    same(load_image((PIXELS / 255).astype(np.float32)), (PIXELS / np.float32(255) * 255).astype(np.uint8))
    same(load_image(PIXELS > 127), (PIXELS > 127) * 255)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "RGBA", "P", "CMYK", "YCbCr"])
def test_modes_as_pillow_converts_them(mode):
    image = picture(mode)
    same(load_image(image), np.array(image.convert("RGB")))


def test_opacity_is_dropped():
    rgba = noise(channels=4)
    same(load_image(encoded(Image.fromarray(rgba))), rgba[..., :3])


def test_a_palette_with_opacities_without_a_warning(recwarn):
    image = picture("P")
    image.info["transparency"] = bytes(range(256))
    data = encoded(image, transparency=bytes(range(256)))
    same(load_image(data), np.array(image.convert("RGBA"))[..., :3])
    assert not recwarn.list


def test_sixteen_bits():
    ramp = np.array(load_image(encoded(picture("I;16"))))[..., 0].ravel()
    assert np.abs(ramp - np.linspace(0, 255, ramp.size)).max() <= 1


def test_the_right_way_up():
    """EXIF orientation 6: the first row of the file is the right side of the picture."""
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded(Image.fromarray(PIXELS), exif=exif)
    same(load_image(data), np.rot90(PIXELS, -1))
    same(load_image(Image.open(io.BytesIO(data))), np.rot90(PIXELS, -1))


def test_the_first_frame_of_an_animation():
    frames = [Image.fromarray(np.full((4, 5, 3), value, np.uint8)) for value in (10, 200)]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert Image.open(io.BytesIO(data)).n_frames == 2
    assert np.abs(np.array(load_image(data)).astype(int) - 10).max() <= 2


def test_one_pixel():
    same(load_image(encoded(Image.fromarray(PIXELS[:1, :1]))), PIXELS[:1, :1])


# -- addresses --------------------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def server():
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            found = self.path == "/picture.png"
            self.send_response(200 if found else 404)
            self.end_headers()
            self.wfile.write(PNG if found else b"nothing here")

        def log_message(self, *args):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_an_address_is_fetched(server):
    same(load_image(f"{server}/picture.png", timeout=10))
    with pytest.raises(ImageFileError, match=r"/other.png could not be fetched: Not Found; download the picture"):
        load_image(f"{server}/other.png")


def test_too_large_a_download(server, monkeypatch):
    monkeypatch.setattr("edutransformers.images.loading.LARGEST_DOWNLOAD", 20)
    with pytest.raises(ImageFileError, match="is larger than 0 MiB"):
        load_image(f"{server}/picture.png")


def test_an_address_that_can_not_be_reached():
    with pytest.raises(ImageFileError, match="could not be fetched: .*; download the picture and pass its path"):
        load_image("http://127.0.0.1:9/picture.png", timeout=5)
    with pytest.raises(ImageFileError, match="could not be fetched"):
        load_image("https://")


# -- what is no picture -----------------------------------------------------------------------------------------------


def png_of_size(width: int, height: int) -> bytes:
    """A PNG whose header promises width × height pixels and which holds none of them."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP"])
def test_truncated(kind):
    data = encoded(Image.fromarray(noise(64, 64)), kind)
    with pytest.raises(ImageFileError, match=r"truncated or damaged|damaged|no picture that Pillow can read"):
        load_image(data[: len(data) // 2])


def test_a_damaged_header():
    with pytest.raises(ImageFileError, match=r"bytes is (damaged|no picture|truncated)"):
        load_image(PNG[:8] + b"\xff" * 50)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize(
    ("side", "message"),
    [
        (100_000, r"bytes is refused: Image size \(10000000000 pixels\) exceeds limit"),
        (12_000, "bytes has 12000 × 12000 pixels, more than the 89,478,485"),  # here Pillow only warns
    ],
)
def test_a_decompression_bomb_is_refused_before_it_is_decoded(side, message):
    with pytest.raises(ImageFileError, match=message):
        load_image(png_of_size(side, side))


def test_pillows_warning_may_be_an_error():
    with pytest.raises(ImageFileError, match="bytes is refused: Image size"):
        load_image(png_of_size(12_000, 12_000))


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_pillows_limit_counts(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 200)
    with pytest.raises(ImageFileError, match="has 17 × 13 pixels, more than the 200"):
        load_image(PNG)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    same(load_image(PNG))


def test_no_size_at_all():
    with pytest.raises(ValueError, match=r"0 × 7 pixels; expected at least one"):
        load_image(Image.new("RGB", (7, 0)))
    with pytest.raises(ValueError, match=r"\(0, 7, 3\) has no pixels"):
        load_image(np.zeros((0, 7, 3), np.uint8))
    with pytest.raises(ImageFileError):
        load_image(png_of_size(0, 7))


def test_files_that_are_something_else(tmp_path):
    text = tmp_path / "cat.png"
    text.write_text("I am a cat.")
    with pytest.raises(
        ImageFileError, match=r"cat.png' is no picture that Pillow can read: it starts with b'I am a cat.'"
    ):
        load_image(text)
    text.write_bytes(b"")
    with pytest.raises(ImageFileError, match=r"cat.png' is empty"):
        load_image(str(text))
    with pytest.raises(ImageFileError, match="is a folder"):
        load_image(tmp_path)
    with pytest.raises(ImageFileError, match=r"there is no file '.*none.png'; expected the path of a picture"):
        load_image(tmp_path / "none.png")
    for name in ("cat.png", "cat", "a folder/cat.jpeg", ""):
        with pytest.raises(
            ImageFileError, match=rf"there is no file '{name}'; expected the path of a picture, an address"
        ):
            load_image(name)
    text.write_text("text")
    with open(text) as file, pytest.raises(TypeError, match="opened as text"):
        load_image(file)


def test_postscript_is_not_run():
    program = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n%%EOF\n"
    with pytest.raises(ImageFileError, match="is EPS, a program that draws"):
        load_image(program)


def test_base64_that_is_no_picture():
    with pytest.raises(ImageFileError, match=r"there is no file 'SSBhbS.*', and as base64 it is no picture"):
        load_image(base64.b64encode(b"I am a cat, not a picture.").decode())
    with pytest.raises(ImageFileError, match="the base64 string is no picture"):
        load_image("data:image/png;base64," + base64.b64encode(b"I am a cat").decode())
    with pytest.raises(ImageFileError, match="holds no base64"):
        load_image("data:image/png;base64,???")


@pytest.mark.parametrize("thing", [None, 3, {"path": "cat.png"}, object()])
def test_things_that_are_no_image(thing):
    with pytest.raises(TypeError, match=rf"an image can't be {type(thing).__name__} .* expected a Pillow image"):
        load_image(thing)


def test_damaged_pixels_of_an_image_that_was_opened_elsewhere():
    data = encoded(Image.fromarray(noise(64, 64)))
    image = Image.open(io.BytesIO(data[: len(data) // 2]))
    with pytest.raises(ImageFileError, match="the image is truncated or damaged"):
        load_image(image)


def test_the_error_is_an_oserror_and_a_valueerror():
    assert issubclass(ImageFileError, OSError)
    assert issubclass(ImageFileError, ValueError)
    with pytest.raises(FileNotFoundError):
        load_image("no_such_file.png")


def test_open_image_keeps_the_mode():
    for mode in ("1", "L", "P", "RGBA", "I;16"):
        assert open_image(encoded(picture(mode))).mode in (mode, "I"), mode  # Pillow 10 opens 16 bits as I
