from __future__ import annotations

import io
import struct
import warnings
import zlib

import numpy as np
import pytest
from made_up_images import encoded, pixels
from PIL import Image, ImageCms
from torchvision.transforms import functional

from vision2.data.files.decode import MAX_PIXELS, BadImage, decode_entry, decode_image
from vision2.data.files.listing import FileEntry


def saved(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def test_a_png_is_decoded_to_the_pixels_that_were_written():
    np.testing.assert_array_equal(decode_image(encoded(3, "PNG")), pixels(3))


def test_a_file_and_its_bytes_give_the_same_image(tmp_path):
    file = tmp_path / "a.jpg"
    file.write_bytes(encoded(1))
    np.testing.assert_array_equal(decode_entry(FileEntry(file, "a.jpg")), decode_image(encoded(1)))


def test_transparency_is_blended_with_white():
    rgba = np.zeros((2, 3, 4), dtype=np.uint8)
    rgba[..., 0] = 200
    rgba[0, :, 3] = 255
    decoded = decode_image(saved(Image.fromarray(rgba)))
    assert decoded[0, 0].tolist() == [200, 0, 0]
    assert decoded[1, 0].tolist() == [255, 255, 255]


def test_half_transparent_grey_is_halfway_to_white():
    image = Image.fromarray(np.full((2, 2, 2), (100, 128), dtype=np.uint8), "LA")
    assert abs(int(decode_image(saved(image))[0, 0, 0]) - round(100 * 128 / 255 + 255 * 127 / 255)) <= 1


def test_a_palette_and_its_transparent_colour_are_resolved():
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putdata([0, 1])
    assert decode_image(saved(image)).tolist() == [[[10, 20, 30], [40, 50, 60]]]
    assert decode_image(saved(image, transparency=1)).tolist() == [[[10, 20, 30], [255, 255, 255]]]


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bits_are_rescaled_to_eight(kind):
    values = np.array([[0, 257, 32896, 65535]], dtype=np.uint16)
    assert decode_image(saved(Image.fromarray(values), kind))[0, :, 1].tolist() == [0, 1, 128, 255]


def test_floats_up_to_one_are_scaled_and_larger_ones_are_pixel_values():
    shares = Image.fromarray(np.array([[0.0, 0.5, 1.0]], dtype=np.float32))
    values = Image.fromarray(np.array([[-3.0, 100.2, 300.0]], dtype=np.float32))
    assert decode_image(saved(shares, "TIFF"))[0, :, 0].tolist() == [0, 128, 255]
    assert decode_image(saved(values, "TIFF"))[0, :, 0].tolist() == [0, 100, 255]


def test_one_bit_and_grey_become_three_equal_channels():
    for mode in ("1", "L"):
        decoded = decode_image(saved(Image.new(mode, (3, 2), 255)))
        assert decoded.shape == (2, 3, 3)
        assert (decoded == 255).all()


def test_adobe_cmyk_is_not_inverted():
    image = Image.new("CMYK", (16, 16), (0, 255, 255, 0))  # no cyan, full magenta and yellow: red
    red, green, blue = decode_image(saved(image, "JPEG", quality=95))[8, 8].tolist()
    assert red > 240
    assert max(green, blue) < 15


def test_lab_is_converted_by_its_profile():
    lab = ImageCms.profileToProfile(
        Image.new("RGB", (4, 4), (200, 40, 60)),
        ImageCms.createProfile("sRGB"),
        ImageCms.createProfile("LAB"),
        outputMode="LAB",
    )
    np.testing.assert_allclose(decode_image(saved(lab, "TIFF"))[0, 0], [200, 40, 60], atol=4)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_exif_orientation_is_applied(orientation):
    upright = pixels(0, width=8, height=6)
    turns = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.transpose(1, 0, 2),
        6: lambda a: np.rot90(a, 1),
        7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
        8: lambda a: np.rot90(a, -1),
    }
    exif = Image.Exif()
    exif[274] = orientation
    data = saved(Image.fromarray(np.ascontiguousarray(turns[orientation](upright))), "PNG", exif=exif)
    np.testing.assert_array_equal(decode_image(data), upright)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_a_damaged_exif_block_is_ignored():
    data = saved(Image.fromarray(pixels(1)), "JPEG", exif=b"Exif\x00\x00II*\x00\xff\xff\xff\xff")
    assert decode_image(data).shape == pixels(1).shape


def test_an_animation_shows_its_first_frame():
    frames = [Image.new("RGB", (5, 5), colour) for colour in ("red", "blue")]
    data = saved(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert decode_image(data)[0, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "TIFF", "WEBP", "BMP"])
def test_a_file_that_ends_too_early_is_an_error_with_a_reason(kind):
    data = saved(Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)), kind)
    with pytest.raises(BadImage) as error:
        decode_image(data[: len(data) // 2])
    assert str(error.value)


def test_a_truncated_jpeg_is_found_at_a_reduced_size_too():
    data = encoded(0, width=640, height=480)
    with pytest.raises(BadImage, match="truncated"):
        decode_image(data[: len(data) * 2 // 3], shorter_side_px=64)


@pytest.mark.parametrize(
    ("data", "reason"),
    [(b"", "empty"), (b"<html>not found</html>", "not an image"), (b"\xff\xd8\xff\xe0", "."), (b"GIF89a", ".")],
)
def test_a_file_that_is_not_an_image_is_an_error_with_a_reason(data, reason):
    with pytest.raises(BadImage, match=reason):
        decode_image(data)


def test_a_missing_file_is_an_error_with_a_reason(tmp_path):
    with pytest.raises(BadImage, match="No such file"):
        decode_entry(FileEntry(tmp_path / "none.jpg", "none.jpg"))


def test_an_image_too_large_for_the_memory_is_an_error_with_a_reason(monkeypatch):
    def refuse(*_):
        raise MemoryError

    monkeypatch.setattr("vision2.data.files.decode._scaled", refuse)
    with pytest.raises(BadImage, match="out of memory"):
        decode_image(encoded())


def test_a_decompression_bomb_is_refused_before_it_is_unpacked():
    side = int(MAX_PIXELS**0.5) + 1
    with warnings.catch_warnings(), pytest.raises(BadImage, match="million allowed"):
        warnings.simplefilter("ignore")
        decode_image(saved(Image.new("1", (side, side))))


@pytest.mark.parametrize(("width", "height"), [(400, 300), (300, 401), (333, 333)])
def test_scaling_equals_torchvisions_resize(width, height):
    image = Image.fromarray(pixels(2, width=width, height=height))
    expected = np.asarray(functional.resize(image, 96))
    np.testing.assert_array_equal(decode_image(saved(image), shorter_side_px=96), expected)


def test_scaling_turns_a_rotated_photograph_to_the_right_size():
    exif = Image.Exif()
    exif[274] = 6
    data = saved(Image.fromarray(pixels(0, width=90, height=60)), "JPEG", exif=exif)
    assert decode_image(data, shorter_side_px=30).shape == (45, 30, 3)


def test_smaller_images_are_not_enlarged():
    np.testing.assert_array_equal(decode_image(encoded(0), shorter_side_px=256), decode_image(encoded(0)))


def test_a_jpeg_somewhat_larger_than_wanted_is_decoded_whole():
    data = encoded(0, width=150, height=140)
    expected = np.asarray(functional.resize(Image.open(io.BytesIO(data)), 96))
    np.testing.assert_array_equal(decode_image(data, shorter_side_px=96), expected)


def test_a_jpeg_decoded_at_a_fraction_of_its_size_looks_the_same():
    data = encoded(5, width=1600, height=1200)
    small = decode_image(data, shorter_side_px=100).astype(int)
    whole = np.asarray(functional.resize(Image.open(io.BytesIO(data)), 100)).astype(int)
    assert small.shape == whole.shape
    assert np.abs(small - whole).mean() < 1.0


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_twelve_bits_in_sixteen_are_rescaled_by_their_own_white(kind):
    values = np.array([[0, 16, 2048, 4095]], dtype=np.uint16)
    assert decode_image(saved(Image.fromarray(values), kind))[0, :, 1].tolist() == [0, 1, 128, 255]
    brighter = np.array([[0, 4096]], dtype=np.uint16)
    assert decode_image(saved(Image.fromarray(brighter), kind))[0, :, 1].tolist() == [0, 16]


def sixteen_bit_png(values: np.ndarray) -> bytes:
    """A colour PNG of uint16 values (H, W, 3 or 4), which Pillow cannot write (PNG specification, sections 5 and 11.2.2)."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    height, width, channels = values.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    header = struct.pack(">IIBBBBB", width, height, 16, {3: 2, 4: 6}[channels], 0, 0, 0)
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def test_twelve_bits_per_colour_in_a_sixteen_bit_png_are_rescaled_too():
    values = np.array([[[0, 16, 2048], [4095, 5, 9]]])
    assert decode_image(sixteen_bit_png(values)).tolist() == [[[0, 1, 128], [255, 0, 1]]]
    opaque = np.concatenate([values, np.full((1, 2, 1), 65_535)], axis=2)
    assert decode_image(sixteen_bit_png(opaque)).tolist() == [[[0, 1, 128], [255, 0, 1]]]
    brighter = np.array([[[0, 4096, 65_535]]])
    assert decode_image(sixteen_bit_png(brighter)).tolist() == [[[0, 16, 255]]]


def test_twelve_bits_per_colour_in_a_tiff_are_refused_with_the_way_out(monkeypatch):
    monkeypatch.setattr("vision2.data.files.decode.has_sixteen_bits", lambda image: True)  # Pillow writes no such file
    with pytest.raises(BadImage, match=r"12 bits per colour in a 16-bit TIFF.*save it with 8 bits, or as PNG"):
        decode_image(saved(Image.new("RGB", (4, 4), (1, 2, 15)), "TIFF"))


def test_a_line_is_refused_and_a_strip_is_read():
    assert decode_image(saved(Image.new("RGB", (900, 1)))).shape == (1, 900, 3)
    for size in ((20_000, 1), (1, 20_000)):
        with pytest.raises(BadImage, match="more than 1000 times as long as wide"):
            decode_image(saved(Image.new("RGB", size)), shorter_side_px=256)


def test_only_formats_of_the_table_are_tried():
    postscript = saved(Image.new("RGB", (8, 8)), "EPS")
    with pytest.raises(BadImage, match="not an image in a known format"):
        decode_image(postscript)


def test_a_format_without_a_decoder_says_what_to_install(monkeypatch):
    from vision2.data.files import decode, formats

    monkeypatch.setattr(formats, "decodable", lambda: frozenset({"JPEG"}))
    monkeypatch.setattr(decode, "pillow_names", lambda: ("JPEG",))
    with pytest.raises(BadImage, match=r"HEIC: pip install 'vision2\[heif\]' to read it"):
        decode_image(b"\0\0\0\x18ftypheic" + bytes(40))
