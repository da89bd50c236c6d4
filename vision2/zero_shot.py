r"""Recognise classes without a single training image: from their attributes, from their names, or by image and text.

    python -m vision2.zero_shot unseen=3,8                                   # digits, by the segments of a display
    python -m vision2.zero_shot seeds=0,1,2,3,4                              # five pairs of digits, drawn
    python -m vision2.zero_shot attributes=birds.csv unseen=robin,crow dataset=folder dataset.root=PHOTOS \
        model=mobilenet_v2 weights.name=default                              # your photographs, a pretrained network
    python -m vision2.zero_shot method=names dataset=plants model=mobilenet_v2 names=nombres.csv
    python -m vision2.zero_shot method=image_text dataset=plants clip_weights=FILE "prompts=una foto de {}."

attributes: ESZSL (2015) learns a map from features to attributes on the seen classes; the unseen ones are tested among
themselves and among all classes. names: ConSE (2014) turns the 1,000 probabilities of an ImageNet network into a vector
of words. image_text: CLIP (2021) compares images with sentences. The last two train nothing and are tested on the test split.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence

from vision2.basics.errors import UserError, suggest
from vision2.config.command import Option, refuse_unused, run_command, whole_numbers

METHODS = {  # the options of each
    "attributes": ("attributes", "unseen", "seeds"),
    "names": ("names", "vectors", "top"),
    "image_text": ("names", "clip", "clip_weights", "prompts"),
}
OPTIONS = {
    "method": Option("attributes", "attributes | names | image_text"),
    "attributes": Option("seven_segments", "attributes: CSV file with the header class,NAME,NAME,... and a row for each class"),
    "unseen": Option(None, "attributes: classes to leave out, e.g. unseen=3,8; else two are drawn with each seed"),
    "seeds": Option("0", "attributes: one run for each seed"),
    "names": Option(None, "names, image_text: CSV file with the header class,name: the name to use for each class"),
    "vectors": Option(None, "names: file of word vectors (word2vec or GloVe text, or CSV); else a sentence model (English)"),
    "top": Option(10, "names: number of most probable ImageNet classes that are combined", int),
    "clip": Option("ViT-B-32", "image_text: network of open_clip"),
    "clip_weights": Option(None, "image_text: a local checkpoint, or a published set by its name"),
    "prompts": Option("a photo of a {}.", "image_text: sentences with {} for the name, separated by |"),
}


def main(argv: Sequence[str] | None = None) -> int:
    return run_command(argv, doc=__doc__, options=OPTIONS, run=run, composes=list)


def run(overrides: list[str], options: dict) -> int:
    """Check the options of the method and run it; return 1 if a run failed."""
    method = options["method"]
    if method not in METHODS:
        raise UserError(f"method is '{method}'{suggest(method, METHODS)}")
    refuse_unused(options, OPTIONS, ("method", *METHODS[method]), f"with method={method}")
    if method == "attributes":
        seeds = whole_numbers("seeds", options["seeds"], "seeds=0,1,2")
        from vision2.jobs.left_out_classes import left_out

        own = [f"{key}={options[key]}" for key in METHODS[method] if options[key] is not None]
        command = shlex.join(["python", "-m", "vision2.zero_shot", *overrides, *own])
        shared = {key: options[key] for key in ("attributes", "unseen")}
        return left_out(overrides, **shared, seeds=seeds, command=command)
    from vision2.config.compose import load_config
    from vision2.jobs import zero_shot_names

    if method == "names":
        if options["top"] < 1:
            raise UserError(f"top is {options['top']}; it must be at least 1")
        config = load_config([*overrides, "strategy=feature_extraction"])
        zero_shot_names.by_names(config, names=options["names"], vectors=options["vectors"], top=options["top"])
    else:
        if options["clip_weights"] is None:
            raise UserError("method=image_text needs clip_weights=FILE (or the name of a published set, e.g. openai)")
        prompts = [prompt.strip() for prompt in options["prompts"].split("|")]
        zero_shot_names.by_image_and_text(
            load_config(overrides),
            names=options["names"], clip=options["clip"], checkpoint=options["clip_weights"], prompts=prompts,
        )  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())
