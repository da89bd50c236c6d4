"""The sections of a report after the claim: numbers, then pictures, then how to reproduce it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from vision2.pictures.confusion import confusion_figure
from vision2.report import curves, figures
from vision2.report.document import Document, Gallery, Picture, Table, Text, Verbatim
from vision2.report.material import Material
from vision2.report.tables import episodes, measurements, named, others, ranking
from vision2.runs.groups import Group, varying_keys
from vision2.runs.sweep_folder import SweepFolder

RESPONSES_AT_MOST = 3
OVERVIEW_AT_MOST = 40
CONFUSIONS_AT_MOST = 6
CLASSES_IN_CONFUSION = 100
COMMANDS_AT_MOST = 40
NAMED_AT_MOST = 10
COSTS = (
    ("multiply_adds", "multiply-adds (millions)", 1e6),
    ("parameters", "parameters (millions)", 1e6),
    ("seconds", "seconds", 1.0),
)
HOW_TO_READ = (
    "Mean over seeds ± standard deviation [95 % interval]. For a single run, or several identical ones, the interval is over "
    "images (Wilson); otherwise it is over seeds (Student). If each seed draws its own split, the test images of the seeds "
    "overlap, so the interval is that of the corrected resampled t-test (Nadeau and Bengio 2003). At chance: a run's "
    "interval over images includes the accuracy of always predicting the most frequent class."
)
EPISODES = (
    "Test accuracy on episodes: of a number of classes that were not trained on (way), with a number of labelled images of "
    "each (shot). Runs with the same seed classify the same episodes; the test accuracy is that of the first kind, and the "
    "interval of a single run is over its episodes. Training and validation have other numbers of classes, so their "
    "accuracies cannot be compared with it or with each other."
)
ENDED = {status: f"{status}: {{error}}" for status in ("failed", "interrupted", "died")}
BATCHNORM = ("adapts", "frozen", "none")
ENVIRONMENT = ("device", "precision", "processor", "cpus", "runtime", "platform", "versions", "git")


def add_results(document: Document, material: Material) -> None:
    """Add the tables, and figures of the metric by configuration and by swept key."""
    say, note, groups, (name, metric) = material.say, material.note, material.groups, material.metric
    overview = figures.overview(material.best(OVERVIEW_AT_MOST), metric, say(name))
    gallery = material.picture("overview", overview, say(name))
    swept = [key for key in varying_keys(groups) if any(key in group.named_by for group in groups)]
    for key in [key for key in swept if not key.endswith(".name")][:RESPONSES_AT_MOST]:
        figure = figures.response(groups, key, metric, say(name))
        gallery += material.picture(f"by-{key.replace('.', '-')}", figure, say("Accuracy by {key}", key=key))
    older = [run.path.name for group in groups for run in group.superseded]
    left_out = ", ".join(older[:NAMED_AT_MOST]) + (" …" if len(older) > NAMED_AT_MOST else "")
    done = [group for group in groups if group.runs]
    rest = named(done, say).beside(measurements(done, others(material.metric), say))
    document.add(
        say("Results"),
        Table(*ranking(done, material.metric, say)),
        note(HOW_TO_READ),
        *([Table(*kinds), note(EPISODES)] if (kinds := episodes(done, say)) else []),
        Table(*rest, fold=say("More columns (validation, training, loss, size, time)")),
        Text(say("Runs left out (a newer one has the same configuration and seed): {runs}", runs=left_out)) if older else None,
        Gallery(gallery),
        note("Each point is a run; bars are the 95 % intervals from the table.") if gallery else None,
    )


def add_failures(document: Document, material: Material) -> None:
    """Add the runs that failed or could not be read, if there are any."""
    say = material.say
    rows = [
        [run.path.name, say(ENDED[run.summary["status"]], error=run.summary.get("error") or "-")]
        for run in material.runs
        if not run.completed
    ]
    rows += [[problem.path.name, problem.reason] for problem in material.problems]
    document.add(say("Runs that failed or could not be read"), Table([say("run"), say("reason")], rows))


def add_curves(document: Document, material: Material) -> None:
    say, groups = material.say, material.shown
    gallery = material.picture("loss", curves.learning_curves(groups, "loss", say), say("Loss"))
    gallery += material.picture("accuracy", curves.learning_curves(groups, "accuracy", say), say("Accuracy"))
    done = sum(bool(group.runs) for group in material.groups)
    best = "The best {count} of {all} configurations are shown; the table lists all of them."
    document.add(
        say("Learning curves"),
        material.note(best, count=len(groups), all=done) if len(groups) < done else None,
        Gallery(gallery),
        material.note("Bands span the lowest to the highest value over seeds."),
    )
    document.add(
        say("Gradient norm by depth"),
        Gallery(material.picture("gradients", curves.gradient_norms(groups, say), say("gradient norm"))),
        material.note("Gradient norm of each stage, from input to output."),
    )


def add_costs(document: Document, material: Material) -> None:
    say, (name, metric) = material.say, material.metric
    gallery: list[Picture] = []
    for cost, label, scale in COSTS:
        axes = {"xlabel": say(label), "ylabel": say(name), "scale": scale}
        figure = figures.against_cost(material.groups, cost, metric, **axes)
        gallery += material.picture(f"cost-{cost}", figure, say(label))
    how = "Multiply-adds are per image, parameters per network and seconds per run."
    document.add(say("Accuracy versus cost"), Gallery(gallery), material.note(how))


def add_classes(document: Document, material: Material) -> None:
    """Add the confusion matrices, F1 per class and calibration on the test split."""
    say = material.say
    matrices: list[Picture] = []
    for number, group in enumerate(material.shown[:CONFUSIONS_AT_MOST]):
        found = [(run.get("metrics.test.confusion"), run.get("classes")) for run in group.runs]
        found = [(confusion, classes) for confusion, classes in found if confusion and classes == found[0][1]]
        if found and len(found[0][1]) <= CLASSES_IN_CONFUSION:
            total = np.sum([confusion for confusion, _ in found], axis=0)
            figure = confusion_figure(total, found[0][1], words=(say("true class"), say("predicted class")))
            matrices += material.picture(f"confusion-{number}", figure, group.label, quiet=False)
    by_classes: dict[tuple, list[Group]] = {}  # runs with different classes are not comparable
    for group in material.shown:
        by_classes.setdefault(tuple(group.runs[0].get("classes") or ()), []).append(group)
    scores: list[Picture] = []
    for number, (classes, groups) in enumerate(by_classes.items()):
        figure = figures.class_scores(groups, classes, say) if classes else None
        scores += material.picture(f"classes-{number}", figure, say("F1 of each class"))
    how = "Rows are true classes; colour shows the share within the row; counts are summed over seeds."
    document.add(say("Classes"), Gallery(matrices), material.note(how), Gallery(scores))
    calibration = material.picture("calibration", figures.calibration(material.shown, say), say("Calibration"))
    how = (
        "A calibrated network lies on the diagonal: its accuracy equals its confidence. ECE (expected calibration error) is "
        "the mean distance from it."
    )
    document.add(say("Calibration"), Gallery(calibration), material.note(how))


def add_pictures(document: Document, material: Material) -> None:
    """Add the pictures from the runs' artifacts folders: mistakes, Grad-CAM and first-layer filters."""
    say, note = material.say, material.note
    mistakes = _copied(material, "mistakes_confident", "{label}: most confident mistakes", cells=1)
    mistakes += _copied(material, "mistakes_worst", "{label}: the other mistakes with the highest loss", cells=1)
    how = (
        "Test images from the best run of each configuration. Above each: true → predicted class, and the probabilities of "
        "the predicted class and the true class."
    )
    document.add(say("Mistakes"), note(how), Gallery(mistakes))
    how = (
        "Grad-CAM (Selvaraju et al. 2017): each image is followed by the map for the predicted class and the map for the true "
        "class or, if the prediction is correct, the runner-up."
    )
    maps = _copied(material, "gradcam", "{label}: Grad-CAM", cells=3)
    document.add(say("Where the networks look"), note(how), Gallery(maps))
    filters = _copied(material, "filters", "{label}: filters")
    how = "Each filter is scaled to its own range of values."
    document.add(say("First-layer filters"), Gallery(filters), note(how))


def _copied(material: Material, name: str, caption: str, *, cells: int = 0) -> list[Picture]:
    pictures = []
    for number, (group, run) in enumerate(material.pictured):
        source, words = run.path / "artifacts" / f"{name}.png", material.say(caption, label=group.label)
        pictures += material.copy(source, f"{name.replace('_', '-')}-{number}", words, cells=cells)
    return pictures


def add_training(document: Document, material: Material) -> None:
    """Add each distinct table of trainable stages, and the settings that differ between configurations."""
    say, groups = material.say, material.groups
    maps: dict[str, list[str]] = {}
    for group in material.shown:
        if found := group.runs[0].get("trainable_map"):
            maps.setdefault(json.dumps(found), []).append(group.label)
    headings = [say("stage"), say("parameters"), say("trainable"), say("batch-norm"), say("learning rate")]
    blocks: list = []
    for text, labels in maps.items():
        rows = [
            [row["stage"], f"{row['parameters']:,}", f"{row['learning']:,}", _norm(row, material), _rate(row, material)]
            for row in json.loads(text)
        ]
        blocks += [Text(", ".join(labels)), Table(headings, rows)]
    document.add(say("What was trained"), *blocks)
    keys = varying_keys(groups)
    rows = [[group.label, *(_shown(group.config.get(key)) for key in keys)] for group in groups]
    alone = say("All runs have the same configuration apart from the seed.")
    document.add(
        say("What differs between the configurations"),
        Table([say("configuration"), *keys], rows) if keys else Text(alone),
        material.note("All other settings are the same in all runs; see config.yaml in any run folder.") if keys else None,
    )


def _norm(row: dict, material: Material) -> str:
    return material.say(row["batchnorm"]) if row["batchnorm"] in BATCHNORM else str(row["batchnorm"])


def _rate(row: dict, material: Material) -> str:
    if not row["lr"]:
        return material.say("frozen")
    rate = ", ".join(f"{value:g}" for value in row["lr"])
    later = (row.get("from_epoch") or 1) > 1
    return material.say("{rate} from epoch {epoch}", rate=rate, epoch=row["from_epoch"]) if later else rate


def _shown(value: object) -> str:
    return "-" if value is None else Path(value).name if isinstance(value, str) and "/" in value else str(value)


def add_provenance(document: Document, material: Material) -> None:
    """Add the environment and the exact commands."""
    say, rows = material.say, []
    for key in ENVIRONMENT:
        found = [run.summary[key] for run in material.runs if run.summary.get(key) is not None]
        if values := list(dict.fromkeys(map(_plain, found))):
            rows.append([say(key), " | ".join(values[:NAMED_AT_MOST])])
    document.add(say("Environment"), Table([say("item"), say("value")], rows))
    sweep = SweepFolder(material.folder).description().get("command")
    commands = list(dict.fromkeys(run.summary["command"] for run in material.runs if run.summary.get("command")))
    more = len(commands) - COMMANDS_AT_MOST
    document.add(
        say("How to reproduce it"),
        *_command(say("The command of the whole sweep:"), [sweep] if sweep else []),
        *_command(say("The exact command of each run:"), commands[:COMMANDS_AT_MOST]),
        material.note("… and {count} more, each in its run's summary.json", count=more) if more > 0 else None,
        *_command(
            say("To rebuild this page:"), [f"python -m vision2.report {material.folder} report.language={material.language}"]
        ),
    )


def _command(title: str, commands: Sequence[str]) -> list[Text | Verbatim]:
    return [Text(title), Verbatim("\n".join(commands))] if commands else []


def _plain(value: object) -> str:
    return ", ".join(f"{name} {item}" for name, item in value.items()) if isinstance(value, dict) else str(value)
