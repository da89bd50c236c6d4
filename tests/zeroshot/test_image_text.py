"""CLIP through open_clip, on a tiny random network; skipped where the extra is not installed."""

from __future__ import annotations

import json
import pickle

import pytest
import torch

from vision2.basics.errors import UserError
from vision2.zero_shot import main
from vision2.zeroshot.image_text import check_prompts, open_image_text, text_embeddings

TINY = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 64, "patch_size": 16},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1},
}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """The name of a tiny network, and a file with its random weights."""
    open_clip = pytest.importorskip("open_clip")
    folder = tmp_path_factory.mktemp("clip")
    (folder / "tiny-test.json").write_text(json.dumps(TINY))
    open_clip.add_model_config(folder / "tiny-test.json")
    torch.manual_seed(0)
    torch.save(open_clip.create_model("tiny-test").state_dict(), folder / "tiny.pt")
    return folder / "tiny.pt"


def test_text_embeddings_are_the_mean_over_the_prompts_by_open_clip_itself(checkpoint):
    import open_clip

    model = open_image_text("tiny-test", str(checkpoint), torch.device("cpu"))
    assert model.preprocessing.image_size_px == 32
    prompts = ["a photo of a {}.", "una foto de {}."]
    found = text_embeddings(model, ["gato", "perro"], prompts)
    tokens = open_clip.get_tokenizer("tiny-test")(["a photo of a perro.", "una foto de perro."])
    with torch.inference_mode():
        expected = torch.nn.functional.normalize(model.network.encode_text(tokens), dim=1).mean(0)
    assert torch.allclose(found[1], expected / expected.norm(), atol=1e-5)


def test_the_command_classifies_the_test_images(checkpoint, tmp_path, capsys):
    words = ["method=image_text", "clip=tiny-test", f"clip_weights={checkpoint}", "dataset=digits", "device=cpu"]
    assert main([*words, f"output_dir={tmp_path}", "prompts=the digit {}.|el dígito {}."]) == 0
    assert "chance 10.0 %" in capsys.readouterr().out
    record = json.loads((tmp_path / "zero_shot" / "digits-tiny-test-image_text" / "zero_shot.json").read_text())
    assert record["n"] == 359
    assert record["prompts"] == ["the digit {}.", "el dígito {}."]


class Harmful:
    def __reduce__(self):
        return (open, ("executed", "w"))


def test_a_checkpoint_with_code_is_refused_and_not_executed(checkpoint, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "harmful.pt").write_bytes(pickle.dumps(Harmful()))
    torch.save({"state_dict": Harmful()}, tmp_path / "harmful2.pt")
    for file in ("harmful.pt", "harmful2.pt"):
        with pytest.raises(UserError, match="cannot be loaded into tiny-test"):
            open_image_text("tiny-test", file, torch.device("cpu"))
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["clip_weights=absent.pt"], "clip_weights=absent.pt is neither a file nor a published set of ViT-B-32"),
        (["clip=ViT-B-3", "clip_weights=openai"], "clip: unknown network 'ViT-B-3', did you mean"),
    ],
)
def test_unknown_networks_and_checkpoints_are_refused(words, sentence, capsys):
    pytest.importorskip("open_clip")
    assert main(["method=image_text", "dataset=digits", *words]) == 2
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize("prompt", ["a photo", "{} and {}"])
def test_a_prompt_needs_the_place_of_the_name_once(prompt):
    with pytest.raises(UserError, match="needs the place of the class name once"):
        check_prompts([prompt])
