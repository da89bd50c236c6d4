"""`python -m vision2.predict support=FOLDER`: new classes from a few images, with the network's head cut off."""

from __future__ import annotations

import csv
import io
import shutil

import numpy as np
import pytest
import torch
from made_up_checkpoint import cut_checkpoint, reading_head
from made_up_images import zip_of
from PIL import Image

from vision2.inference.predictor import list_images_of, network_inputs, predictor_of_checkpoint
from vision2.models.build import build_model
from vision2.models.heads import COSINE_SCALE, NoHead
from vision2.models.settings import ModelConfig
from vision2.predict import main
from vision2.training.checkpoint import load_checkpoint, save_checkpoint

WARM, COLD = [(255, 120, 0), (230, 20, 20)], [(0, 90, 255), (10, 200, 60)]  # two images of each class


def save(path, colour):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (20, 16), colour).save(path)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """It distinguishes red, green and blue, and so knows neither of the classes `warm` and `cold`."""
    return cut_checkpoint(tmp_path_factory.mktemp("run") / "best.pt", reading_head())


@pytest.fixture
def support(tmp_path):
    for name, colours in (("warm", WARM), ("cold", COLD)):
        for index, colour in enumerate(colours):
            save(tmp_path / "support" / name / f"{index}.png", colour)
    return tmp_path / "support"


@pytest.fixture
def new(tmp_path):
    save(tmp_path / "new" / "warm" / "1.png", (200, 90, 30))
    save(tmp_path / "new" / "cold" / "1.png", (20, 60, 180))
    return tmp_path / "new"


def trained_for(checkpoint, distance, path):
    """The same backbone in a checkpoint as training on episodes leaves it: without a head for fixed classes."""
    content, head = load_checkpoint(checkpoint), NoHead(16)
    content["model"] = {name: value for name, value in content["model"].items() if not name.startswith("head.")}
    content["model"] |= {f"head.{name}": value for name, value in head.state_dict().items()}
    content["classifier"]["kind"] = head.kind
    content["config"]["strategy"] = {"name": "protonet", "distance": distance}
    save_checkpoint(path, content)
    return path


def features_of(checkpoint, folder):
    """(N, D) computed one image at a time, in the order of the names."""
    predictor = predictor_of_checkpoint(str(checkpoint), torch.device("cpu"))
    with torch.inference_mode():
        images = [network_inputs(predictor, [entry]) for entry in list_images_of(str(folder)).images]
        return np.concatenate([predictor.network.features(image).numpy() for image in images]).astype(np.float64)


def predicted(capsys, *words):
    assert main([*words, "format=csv"]) == 0
    return list(csv.DictReader(io.StringIO(capsys.readouterr().out)))


def softmax(logits):
    shares = np.exp(logits - logits.max(1, keepdims=True))
    return shares / shares.sum(1, keepdims=True)


@pytest.mark.parametrize("distance", ["euclidean", "cosine", None])
def test_probabilities_are_the_softmax_of_distances_to_the_class_means(distance, checkpoint, support, new, tmp_path, capsys):
    """`None`: the checkpoint was not trained on episodes, so the cosine is used, whatever its unused setting says."""
    saved = trained_for(checkpoint, distance, tmp_path / "proto.pt") if distance else checkpoint
    rows = predicted(capsys, f"checkpoint={saved}", f"support={support}", f"images={new}")
    queries = features_of(saved, new)
    means = np.stack([features_of(saved, support / name).mean(0) for name in ("cold", "warm")])
    if distance == "euclidean":
        logits = -np.square(queries[:, None] - means).sum(2)
    else:
        length = np.linalg.norm(queries, axis=1)[:, None] * np.linalg.norm(means, axis=1)
        logits = -COSINE_SCALE * (1 - queries @ means.T / length)
    assert [(row["image"], row["class"]) for row in rows] == [("cold/1.png", "cold"), ("warm/1.png", "warm")]
    assert [float(row["probability"]) for row in rows] == pytest.approx(softmax(logits).max(1), abs=1e-5)


def test_weights_without_a_head_and_a_zip_are_enough(support, new, tmp_path, capsys):
    network = build_model(ModelConfig("resnet20"), 2, seed=0)
    weights = {name: tensor for name, tensor in network.state_dict().items() if not name.startswith("head.")}
    torch.save(weights, tmp_path / "weights.pth")
    words = ["model=resnet20", f"weights.path={tmp_path / 'weights.pth'}", f"support={zip_of(support, tmp_path / 's.zip')}"]
    rows = predicted(capsys, *words, f"images={new}")
    assert {row["class"] for row in rows} | {row["class_2"] for row in rows} == {"cold", "warm"}


def test_it_says_how_it_decides_and_writes_what_any_prediction_writes(checkpoint, support, new, tmp_path, capsys):
    out = tmp_path / "out"
    words = [f"checkpoint={checkpoint}", f"support={support}", f"images={new}", f"out={out}", "gradcam=true"]
    assert main(words) == 0
    printed = capsys.readouterr()
    assert f"support: 2 classes with 2 images each in {support}; probabilities are the softmax of 20 x cosine" in printed.err
    assert "warning" not in printed.err
    assert "cold    1       cold 100.0%       1 (100.0%)" in printed.out
    assert {"predictions.csv", "predictions.json", "contact_sheet.png", "gradcam"} <= {file.name for file in out.iterdir()}


def test_support_images_among_those_to_classify_are_reported(checkpoint, support, new, capsys):
    shutil.copy(support / "warm" / "0.png", new / "copy.png")
    assert main([f"checkpoint={checkpoint}", f"support={support}", f"images={new}"]) == 0
    assert "warning: 1 of the 3 images are also in the support folder, e.g. copy.png;" in capsys.readouterr().err


def broken(folder, how):
    if how == "one class":
        shutil.rmtree(folder / "cold")
    elif how == "empty":
        (folder / "mild").mkdir()
    elif how == "damaged":
        (folder / "cold" / "9.jpg").write_text("no image")
    elif how == "outside":
        save(folder / "a.png", WARM[0])
    elif how == "split":
        (folder / "cold").rename(folder / "train")
        (folder / "warm").rename(folder / "test")
    elif how == "list":
        (folder / "list.csv").write_text("path,label\n")
        return folder / "list.csv"
    elif how == "missing":
        return folder / "nowhere"
    return folder


@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        ("one class", "has only the class warm; give a folder or a zip with one subfolder per class (at least two)"),
        ("empty", "no images in the class folder mild; add some or remove the folder"),
        ("damaged", "cold/9.jpg cannot be read (not an image in a known format); replace or remove it"),
        ("outside", "has images outside class folders, such as a.png; give a folder or a zip with one subfolder"),
        ("split", "is split into test, train; give one of these folders"),
        ("list", "list.csv is a single file; give a folder or a zip with one subfolder per class (at least two)"),
        ("missing", "nowhere does not exist"),
    ],
)
def test_a_support_that_cannot_be_used_is_refused_in_one_sentence(how, sentence, checkpoint, support, new, tmp_path, capsys):
    out = tmp_path / "out"
    words = [f"checkpoint={checkpoint}", f"support={broken(support, how)}", f"images={new}", f"out={out}"]
    assert main(words) == 2
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error:")]
    assert len(errors) == 1
    assert sentence in errors[0]
    assert not out.exists()


def test_names_of_outputs_and_an_unknown_distance_are_refused(checkpoint, support, new, tmp_path, capsys):
    words = [f"support={support}", f"images={new}"]
    (tmp_path / "w.pth").touch()
    (tmp_path / "names.txt").write_text("warm\ncold\n")
    weights = [f"weights.path={tmp_path / 'w.pth'}", f"weights.classes={tmp_path / 'names.txt'}"]
    assert main([*words, "model=resnet20", *weights]) == 2
    assert "weights.classes names the outputs of a head, which support= replaces; leave it out" in capsys.readouterr().err
    assert main([*words, f"checkpoint={trained_for(checkpoint, 'taxicab', tmp_path / 'odd.pt')}"]) == 2
    assert (
        "trained on episodes with the distance 'taxicab' (known: euclidean, cosine); use the version" in capsys.readouterr().err
    )
