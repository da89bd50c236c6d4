"""`python -m vision2.predict`: the right class names for files of any kind, and pictures of the predictions."""

from __future__ import annotations

import csv
import io
import json
import zipfile

import numpy as np
import pytest
import torch
from made_up_checkpoint import COLOURS, colour_checkpoint, cut_checkpoint, neighbour_head, reading_head
from PIL import Image
from safetensors.torch import save_file

from vision2.basics.written import LIST
from vision2.inference.predictor import list_images_of, network_inputs, predictor_of_checkpoint
from vision2.models.build import build_model
from vision2.models.settings import ModelConfig
from vision2.models.weights.load import imagenet_classes
from vision2.predict import main
from vision2.training.checkpoint import load_checkpoint, save_checkpoint

ORIENTATION_TAG = 0x0112


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return colour_checkpoint(tmp_path_factory.mktemp("run") / "best.pt")


@pytest.fixture
def pictures(tmp_path):
    """red/ green/ blue/ with two images each, one file that is not an image, and one that is empty."""
    folder = tmp_path / "pictures"
    for name, colour in COLOURS.items():
        (folder / name).mkdir(parents=True)
        Image.new("RGB", (20, 16), colour).save(folder / name / "a.png")
        Image.new("RGB", (16, 40), colour).save(folder / name / "b.jpg", quality=95)
    (folder / "red" / "broken.jpg").write_text("no image")
    (folder / "green" / "empty.png").touch()
    return folder


def test_each_file_gets_its_class_name_and_probability(checkpoint, pictures, capsys):
    assert main([f"checkpoint={checkpoint}", f"images={pictures}", "format=csv"]) == 0
    printed = capsys.readouterr()
    rows = list(csv.DictReader(io.StringIO(printed.out)))
    assert [(row["image"].split("/")[0], row["class"]) for row in rows] == [
        (name, name) for name in ("blue", "blue", "green", "green", "red", "red")
    ]
    for row in rows:
        assert sum(float(row[key]) for key in ("probability", "probability_2", "probability_3")) == pytest.approx(1, abs=1e-5)
    assert "unreadable: green/empty.png: empty file" in printed.err


def test_the_table_lists_unreadable_files_and_the_predictions_of_each_folder(checkpoint, pictures, capsys):
    assert main([f"checkpoint={checkpoint}", f"images={pictures}", "top=1"]) == 0
    printed = capsys.readouterr().out
    assert "red/broken.jpg: not an image in a known format" in printed
    assert "green   2       green 100.0%      2 (100.0%)" in printed


def test_json_holds_classes_preprocessing_and_everything_unreadable(checkpoint, pictures, capsys):
    assert main([f"checkpoint={checkpoint}", f"images={pictures}", "format=json", "top=2"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["classes"] == ["blue", "green", "red"]
    assert record["preprocessing"]["mean"] == [0.5, 0.5, 0.5]
    assert {entry["image"] for entry in record["unreadable"]} == {"red/broken.jpg", "green/empty.png"}
    assert [len(image["predictions"]) for image in record["images"]] == [2] * 6


def test_the_preprocessing_of_the_checkpoint_is_enforced(checkpoint, pictures, capsys):
    """A red pixel becomes (1, -1, -1) with mean = std = 0.5; ReLU keeps the 1, and the head returns logits (0, 0, 3)."""
    assert main([f"checkpoint={checkpoint}", f"images={pictures / 'red' / 'a.png'}", "format=json"]) == 0
    (image,) = json.loads(capsys.readouterr().out)["images"]
    batchnorm = 1 / np.sqrt(1 + 1e-5)  # the stem's untrained batch norm
    expected = np.exp(3 * batchnorm) / (np.exp(3 * batchnorm) + 2)
    assert image["predictions"][0]["class"] == "red"
    assert image["predictions"][0]["probability"] == pytest.approx(expected, abs=1e-4)


def test_an_image_is_rotated_upright_before_it_is_cropped(checkpoint, tmp_path):
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = 6  # rotate it clockwise
    predictor = predictor_of_checkpoint(str(checkpoint), torch.device("cpu"))
    striped = Image.new("RGB", (16, 16), "red")
    striped.paste((0, 0, 255), (0, 0, 16, 8))  # blue above red
    striped.save(tmp_path / "stripes.png", exif=exif)
    seen = network_inputs(predictor, list_images_of(str(tmp_path / "stripes.png")).images)[0]
    assert (seen[2, :, 8:] > 0.9).all()  # what was on top is on the right
    assert (seen[0, :, :8] > 0.9).all()


def test_out_gets_tables_a_contact_sheet_and_attribution_maps(checkpoint, pictures, tmp_path, capsys):
    out = tmp_path / "out"
    assert main([f"checkpoint={checkpoint}", f"images={pictures}", f"out={out}", "gradcam=true", "shown=3"]) == 0
    assert sorted(file.name for file in out.iterdir()) == [
        LIST,
        "contact_sheet.png",
        "gradcam",
        "predictions.csv",
        "predictions.json",
    ]
    # Three of six, evenly spread: the first, the last and one in the middle.
    maps = sorted(file.relative_to(out / "gradcam").as_posix() for file in (out / "gradcam").rglob("*.png"))
    assert maps == ["blue/a.png.png", "green/a.png.png", "red/b.jpg.png"]
    sheet = np.asarray(Image.open(out / "contact_sheet.png"))
    assert sheet.shape[2] == 3
    assert (sheet == (0, 0, 255)).all(-1).any()  # the blue picture is on it
    assert "(3 of 6 images)" in capsys.readouterr().err


def test_files_of_the_user_in_the_folder_are_not_overwritten(checkpoint, pictures, tmp_path, capsys):
    (tmp_path / "out" / "gradcam" / "red").mkdir(parents=True)
    words = [f"checkpoint={checkpoint}", f"images={pictures / 'red'}", f"out={tmp_path / 'out'}"]
    assert main(words) == main(words) == 0
    (tmp_path / "out" / "gradcam" / "a.png.png").write_text("mine")
    assert main([*words, "gradcam=true"]) == 2
    assert "a.png.png was not written by vision2" in capsys.readouterr().err
    assert (tmp_path / "out" / "gradcam" / "a.png.png").read_text() == "mine"


@pytest.mark.parametrize(("head", "explained"), [(reading_head, True), (neighbour_head, False)])
def test_classifiers_on_features_predict_too_and_are_explained_where_a_gradient_flows(
    head, explained, pictures, tmp_path, capsys
):
    saved, out = cut_checkpoint(tmp_path / "best.pt", head()), tmp_path / "out"
    assert main([f"checkpoint={saved}", f"images={pictures}", f"out={out}", "gradcam=true", "format=csv"]) == 0
    printed = capsys.readouterr()
    rows = csv.DictReader(io.StringIO(printed.out))
    assert [row["class"] for row in rows] == ["blue", "blue", "green", "green", "red", "red"]
    assert (out / "gradcam").exists() == explained
    assert ("no Grad-CAM" in printed.err) != explained


def test_members_of_a_zip_are_read_except_those_whose_path_leads_outside(checkpoint, tmp_path, capsys):
    stream = io.BytesIO()
    Image.new("RGB", (16, 16), "red").save(stream, format="PNG")
    with zipfile.ZipFile(tmp_path / "images.zip", "w") as archive:
        archive.writestr("red/inside.png", stream.getvalue())
        archive.writestr(f"{tmp_path}/escaped.png", stream.getvalue())
    out = tmp_path / "deep" / "out"
    assert main([f"checkpoint={checkpoint}", f"images={tmp_path / 'images.zip'}", f"out={out}", "gradcam=true"]) == 0
    assert f"1 .png (path outside the archive, first: {tmp_path}/escaped.png)" in capsys.readouterr().err
    assert list(tmp_path.rglob("escaped*")) == []
    assert len(list((out / "gradcam").rglob("inside.png.png"))) == 1


def test_unused_files_are_counted_by_reason_and_extension(checkpoint, pictures, capsys):
    (pictures / "red" / "a.png").rename(pictures / "red" / "no_extension")
    for name in ("a.jxl", "notes.txt", "b.JXL"):
        (pictures / name).write_bytes(b"x")
    assert main([f"checkpoint={checkpoint}", f"images={pictures}", "format=csv"]) == 0
    printed = capsys.readouterr()
    assert "red/no_extension,red," in printed.out
    assert "Files that are not used: 2 .jxl (JPEG XL: convert to JPEG or PNG), 1 .txt (not an image)." in printed.err


def test_local_weights_keep_their_classifier_and_imagenets_class_names(tmp_path, pictures, capsys):
    network = build_model(ModelConfig("mobilenet_v3_small"), 1000, seed=3, image_size_px=32)
    network.head.bias.data[281] += 100.0
    renamed = {
        name.replace("backbone.", "", 1) if name.startswith("backbone.") else name.replace("head.", "classifier.3."): tensor
        for name, tensor in network.state_dict().items()
    }
    save_file(renamed, tmp_path / "mobilenet_imagenet.safetensors")
    words = [
        "model=mobilenet_v3_small",
        f"weights.path={tmp_path / 'mobilenet_imagenet.safetensors'}",
        "dataset.image_size_px=32",
    ]
    assert main([*words, f"images={pictures / 'red'}", "format=json", "top=1"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["images"][0]["predictions"][0]["class"] == "tabby"  # class 281 of ImageNet
    assert record["preprocessing"]["image_size_px"] == 32
    assert len(record["classes"]) == len(imagenet_classes()) == 1000


def test_a_list_of_images_is_predicted_in_its_order_and_missing_files_are_counted(checkpoint, pictures, capsys):
    for name, text in (
        ("list.txt", "red/a.png\n\nblue/b.jpg\ngone.png\nblue/a.png\n"),
        ("list.csv", "image,label\nred/a.png,x\nblue/b.jpg,y\ngone.png,\nblue/a.png,z\n"),
    ):
        (pictures / name).write_text(text)
        assert main([f"checkpoint={checkpoint}", f"images={pictures / name}", "format=csv"]) == 0
        printed = capsys.readouterr()
        rows = list(csv.DictReader(io.StringIO(printed.out)))
        assert [(row["image"], row["class"]) for row in rows] == [
            ("red/a.png", "red"),
            ("blue/b.jpg", "blue"),
            ("blue/a.png", "blue"),
        ]
        assert "unreadable: gone.png: cannot be read: No such file or directory" in printed.err
        assert "skipped: 1 of 4 files cannot be read" in printed.err


@pytest.mark.parametrize("extension", ["gif", "webp"])
def test_the_first_frame_of_an_animation_is_predicted(checkpoint, tmp_path, capsys, extension):
    frames = [Image.new("RGB", (16, 16), COLOURS[name]) for name in ("green", "red", "blue")]
    frames[0].save(tmp_path / f"a.{extension}", save_all=True, append_images=frames[1:], duration=100)
    assert main([f"checkpoint={checkpoint}", f"images={tmp_path}", "format=json"]) == 0
    (image,) = json.loads(capsys.readouterr().out)["images"]
    assert image["predictions"][0]["class"] == "green"


@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_images_in_subfolders_and_zips_are_predicted_in_the_order_of_their_names(checkpoint, tmp_path, capsys, kind):
    names = ["b/deep/er/1.png", "a/2.png", "c.png", "a/10.png"]
    place = tmp_path / "nested"
    for name in names:
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (16, 16), "red").save(place / name)
    if kind == "zip":
        with zipfile.ZipFile(tmp_path / "nested.zip", "w") as archive:
            for name in names:
                archive.write(place / name, name)
        place = tmp_path / "nested.zip"
    assert main([f"checkpoint={checkpoint}", f"images={place}", "format=csv"]) == 0
    rows = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert [row["image"] for row in rows] == sorted(names)


def test_a_top_above_the_class_count_shows_all_classes(checkpoint, pictures, capsys):
    assert main([f"checkpoint={checkpoint}", f"images={pictures}", "format=csv", "top=99"]) == 0
    header = capsys.readouterr().out.splitlines()[0]
    assert header == "image,class,probability,class_2,probability_2,class_3,probability_3"


def test_hostile_names_are_harmless_in_a_terminal_and_in_a_spreadsheet(tmp_path, capsys):
    saved = load_checkpoint(colour_checkpoint(tmp_path / "best.pt"))
    saved["classes"] = ["=1+1", "\x1b[31mgreen\nred", "-red"]
    save_checkpoint(tmp_path / "best.pt", saved)
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name, colour in (("@a.png", "blue"), ("+b\x1b]0;x.png", "green"), ("c\u202egnp.png", "red")):
        Image.new("RGB", (16, 16), COLOURS[colour]).save(folder / name)
    out = tmp_path / "out"
    assert main([f"checkpoint={tmp_path / 'best.pt'}", f"images={folder}", f"out={out}"]) == 0
    printed = capsys.readouterr().out
    assert not set(printed) & set("\x1b\u202e")
    assert "\\u001b[31mgreen\\nred" in printed
    rows = list(csv.DictReader(io.StringIO((out / "predictions.csv").read_text())))
    assert [(row["image"], row["class"]) for row in rows] == [
        ("'+b\\u001b]0;x.png", "\\u001b[31mgreen\\nred"),
        ("'@a.png", "'=1+1"),
        ("c\\u202egnp.png", "'-red"),
    ]
    record = json.loads((out / "predictions.json").read_text())
    assert record["classes"] == saved["classes"]  # programs get the unchanged names
    assert [image["image"] for image in record["images"]] == sorted(file.name for file in folder.iterdir())


def test_weights_without_class_names_predict_numbers_until_the_classes_are_named(tmp_path, pictures, capsys):
    saved = load_checkpoint(colour_checkpoint(tmp_path / "best.pt"))
    torch.save(saved["model"], tmp_path / "weights.pth")
    words = ["model=resnet20", f"weights.path={tmp_path / 'weights.pth'}", f"images={pictures / 'red'}", "format=csv"]
    assert main(words) == 0
    printed = capsys.readouterr()
    assert next(csv.DictReader(io.StringIO(printed.out)))["class"] == "2"
    assert "weights.pth does not name its 3 classes" in printed.err
    (tmp_path / "names.txt").write_text("blue\ngreen\nred\n")
    assert main([*words, f"weights.classes={tmp_path / 'names.txt'}"]) == 0
    printed = capsys.readouterr()
    assert next(csv.DictReader(io.StringIO(printed.out)))["class"] == "red"
    assert "does not name its" not in printed.err
    (tmp_path / "names.txt").write_text("blue\ngreen\n")
    assert main([*words, f"weights.classes={tmp_path / 'names.txt'}"]) == 2
    assert "names 2 classes, but the classifier in weights.pth has 3" in capsys.readouterr().err


def test_weights_without_a_classifier_are_refused(tmp_path, pictures, capsys):
    network = build_model(ModelConfig("mobilenet_v3_small"), 1000, seed=3, image_size_px=32)
    body = {n.removeprefix("backbone."): t for n, t in network.state_dict().items() if n.startswith("backbone.")}
    save_file(body, tmp_path / "mobilenet_imagenet.safetensors")
    words = ["model=mobilenet_v3_small", f"weights.path={tmp_path / 'mobilenet_imagenet.safetensors'}", f"images={pictures}"]
    assert main(words) == 2
    assert "has no classifier for the features of mobilenet_v3_small" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["images=nowhere", "checkpoint={checkpoint}"], "nowhere does not exist"),
        (["images={folder}", "checkpoint={checkpoint}"], "holds no images"),
        (
            ["images={folder}/notes.txt", "checkpoint={checkpoint}"],
            "none of the images can be read (1 given, the first hello: cannot be read: ",
        ),
        (["images={folder}/empty.txt", "checkpoint={checkpoint}"], "is an empty list; write one image path per line"),
        (["images={picture}", "checkpoint=absent.pt"], "no checkpoint at absent.pt"),
        (["images={picture}", "checkpoint={folder}/notes.txt"], "cannot be read as a checkpoint"),
        (["checkpoint={checkpoint}"], "which images?"),
        (["images={folder}"], "predict with what?"),
        (["images={folder}", "checkpoint={checkpoint}", "model=resnet18"], "leave out model"),
        (["images={folder}", "checkpoint={checkpoint}", "top=0"], "top is 0"),
        (["images={folder}", "checkpoint={checkpoint}", "shown=0"], "shown is 0; it must be 1 or more"),
        (["images={folder}/latin.txt", "checkpoint={checkpoint}"], "; write one path per line, in UTF-8"),
        (["images={folder}", "checkpoint={checkpoint}", "format=xml"], "table, csv, json"),
        (["images={folder}", "checkpoint={checkpoint}", "gradcam=true"], "out=FOLDER"),
        (["images={picture}", "model=resnet20", "weights.name=none"], "predict at random"),
        (["images={picture}", "model=resnet20"], "resnet20 has no published weights"),
        (["images={picture}", "model=resnet18", "weights.name=IMAGENET1K_V1"], "resnet18-f37072fd.pth"),
    ],
)
def test_mistakes_give_one_line_and_exit_code_2(words, sentence, checkpoint, pictures, tmp_path, capsys):
    folder = tmp_path / "nothing"
    folder.mkdir()
    (folder / "notes.txt").write_text("hello")
    (folder / "empty.txt").touch()
    (folder / "latin.txt").write_bytes(b"ni\xf1o.jpg\n")
    given = {"checkpoint": checkpoint, "folder": folder, "picture": pictures / "red" / "a.png"}
    assert main([word.format(**given) for word in words]) == 2
    errors = capsys.readouterr().err
    assert sentence in errors
    assert errors.count("\n") == 1
