"""The sections of a report after the claim, from numbers to pictures to how it was made."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from vision2.pictures.confusion import confusion_figure
from vision2.report import figures
from vision2.report.document import Document, Gallery, Picture, Table, Text, Verbatim
from vision2.report.material import Material
from vision2.runs.sweep_folder import SweepFolder
from vision2.runs.table import table, varying_keys
from vision2.stats.intervals import mean_interval

RESPONSES_AT_MOST = 3
OVERVIEW_AT_MOST = 40
CONFUSIONS_AT_MOST = 6
CLASSES_IN_CONFUSION = 100
COMMANDS_AT_MOST = 40
NAMED_AT_MOST = 10


def add_results(document: Document, material: Material) -> None:
    """The table, what failed, and each configuration's numbers as a picture."""
    say, groups = material.say, material.groups
    metric, name = material.metric
    gallery = material.picture(
        "overview", figures.overview(material.best(OVERVIEW_AT_MOST), metric, say(name)), say(name)
    )
    keys = [key for key in varying_keys(groups) if any(key in group.named_by for group in groups)]
    for key in [key for key in keys if not key.endswith(".name")][:RESPONSES_AT_MOST]:
        figure = figures.response(groups, key, metric, say(name))
        gallery += material.picture(f"by-{key.replace('.', '-')}", figure, say("Accuracy against {key}", key=key))
    older = [run.path.name for group in groups for run in group.superseded]
    left_out = "Older runs of the same configuration and seed, left out: {runs}"
    document.add(
        say("Results"),
        Table(*table([group for group in groups if group.runs], mean_interval, say)),
        Text(
            say(
                "Mean over seeds ± standard deviation [95 % interval], n runs each. A single run has no interval over seeds."
            ),
            quiet=True,
        ),
        Text(say(left_out, runs=", ".join(older[:NAMED_AT_MOST]) + (" …" if len(older) > NAMED_AT_MOST else "")))
        if older
        else None,
        Gallery(gallery),
        Text(say("Points are single runs, bars 95 % intervals over seeds."), quiet=True) if gallery else None,
    )
    _add_failures(document, material)


def _add_failures(document: Document, material: Material) -> None:
    say = material.say
    failed = [
        [run.path.name, f"{run.summary['status']}: {run.summary.get('error') or '-'}"]
        for run in material.runs
        if not run.completed
    ]
    unread = [[problem.path.name, problem.reason] for problem in material.problems]
    rows = failed + unread
    document.add(
        say("Runs that failed or could not be read"),
        Table([say("run"), say("reason")], rows) if rows else Text(say("Every run was completed and read.")),
    )


def add_curves(document: Document, material: Material) -> None:
    say, groups = material.say, material.shown
    gallery = material.picture("loss", figures.learning_curves(groups, "loss", say), say("Loss"))
    gallery += material.picture("accuracy", figures.learning_curves(groups, "accuracy", say), say("Accuracy"))
    how = "Solid: validation, dashed: training; bands from the lowest to the highest seed."
    document.add(say("Learning curves"), _selection(material), Gallery(gallery), Text(say(how), quiet=True))
    norms = material.picture("gradients", figures.gradient_norms(groups, say), say("gradient norm"))
    how = "Norm of the gradient of each stage, from input to output. Solid: first epoch, dashed: last."
    document.add(say("Gradient norm by depth"), Gallery(norms), Text(say(how), quiet=True))


def _selection(material: Material) -> Text | None:
    done = [group for group in material.groups if group.runs]
    if len(material.shown) == len(done):
        return None
    words = "Shown: the {count} best of {all} configurations. The table has all of them."
    return Text(material.say(words, count=len(material.shown), all=len(done)), quiet=True)


def add_costs(document: Document, material: Material) -> None:
    say, (metric, name) = material.say, material.metric
    gallery: list[Picture] = []
    for cost, label, scale in (
        ("multiply_adds", "multiply-adds (millions)", 1e6),
        ("parameters", "parameters (millions)", 1e6),
        ("seconds", "seconds", 1.0),
    ):
        figure = figures.against_cost(material.groups, cost, metric, xlabel=say(label), ylabel=say(name), scale=scale)
        gallery += material.picture(f"cost-{cost}", figure, say(label))
    how = "Cost of one image (multiply-adds), of the network (parameters) and of the run (seconds)."
    document.add(say("Accuracy against cost"), Gallery(gallery), Text(say(how), quiet=True))


def add_classes(document: Document, material: Material) -> None:
    """Confusion matrices, F1 by class and calibration of the test split."""
    say = material.say
    matrices: list[Picture] = []
    for number, group in enumerate(material.shown[:CONFUSIONS_AT_MOST]):
        found = [(run.get("metrics.test.confusion"), run.get("classes")) for run in group.runs]
        found = [(confusion, classes) for confusion, classes in found if confusion and classes == found[0][1]]
        if found and len(found[0][1]) <= CLASSES_IN_CONFUSION:
            total = np.sum([confusion for confusion, _ in found], axis=0)
            figure = confusion_figure(total, found[0][1], words=(say("true"), say("predicted")))
            matrices += material.picture(f"confusion-{number}", figure, group.label)
    how = "Rows are the true class; colour is the share of the row; counts are summed over seeds."
    document.add(say("Classes"), Gallery(matrices), Text(say(how), quiet=True), Gallery(_scores(material)))
    calibration = material.picture("calibration", figures.calibration(material.shown, say), say("Calibration"))
    how = "A calibrated network is right as often as it is sure: on the diagonal. ECE is the mean distance from it."
    document.add(say("Calibration"), Gallery(calibration), Text(say(how), quiet=True))


def _scores(material: Material) -> list[Picture]:
    """One figure for each list of classes: runs on other data are not comparable."""
    by_classes: dict[tuple, list] = {}
    for group in material.shown:
        by_classes.setdefault(tuple(group.runs[0].get("classes") or ()), []).append(group)
    pictures: list[Picture] = []
    for number, (classes, groups) in enumerate(by_classes.items()):
        figure = figures.class_scores(groups, classes, material.say) if classes else None
        pictures += material.picture(f"classes-{number}", figure, material.say("F1 of each class"))
    return pictures


def add_pictures(document: Document, material: Material) -> None:
    """What the runs left in their artifacts folders: mistakes, Grad-CAM, first-layer filters."""
    say = material.say
    mistakes = _copied(material, "mistakes_confident", "{label}: most confident mistakes")
    mistakes += _copied(material, "mistakes_worst", "{label}: worst of the other mistakes (highest loss)")
    how = (
        "Test images of the best run of each configuration. Above each: true → predicted class, how sure it was, and the "
        "probability it gave the truth."
    )
    document.add(say("Mistakes"), Text(say(how), quiet=True), Gallery(mistakes))
    maps = _copied(material, "gradcam", "{label}: Grad-CAM")
    how = (
        "Grad-CAM (Selvaraju et al. 2017): each image, the map of the predicted class, and that of the true class or, where "
        "the network was right, of the runner-up."
    )
    document.add(say("Where the networks look"), Text(say(how), quiet=True), Gallery(maps))
    filters = _copied(material, "filters", "{label}: filters", wide=False)
    how = "Each filter is stretched over its own range of values."
    document.add(say("First-layer filters"), Gallery(filters), Text(say(how), quiet=True))


def _copied(material: Material, name: str, caption: str, *, wide: bool = True) -> list[Picture]:
    """Copies of one artifact of each pictured run, so that the report's folder can be given away alone."""
    pictures = []
    for number, (group, run) in enumerate(material.pictured):
        source = run.path / "artifacts" / f"{name}.png"
        if source.is_file():
            path = material.out / f"{name.replace('_', '-')}-{number}.png"
            path.write_bytes(source.read_bytes())
            pictures.append(Picture(path, material.say(caption, label=group.label), wide))
    return pictures


def add_training(document: Document, material: Material) -> None:
    """The trainable map, once for each different one, and the settings that differ."""
    say = material.say
    maps: dict[str, list[str]] = {}
    for group in material.shown:
        if found := group.runs[0].get("trainable_map"):
            maps.setdefault(json.dumps(found), []).append(group.label)
    headings = [say("stage"), say("parameters"), say("learning"), say("batch-norm"), say("learning rate")]
    blocks: list = []
    for text, labels in maps.items():
        rows = [
            [row["stage"], f"{row['parameters']:,}", f"{row['learning']:,}", row["batchnorm"], _rate(row, material)]
            for row in json.loads(text)
        ]
        blocks += [Text(", ".join(labels)), Table(headings, rows)]
    document.add(say("What was trained"), *blocks)
    keys = varying_keys(material.groups)
    rows = [[group.label, *(_shown(group.config.get(key)) for key in keys)] for group in material.groups]
    same = "The other settings are the same in all runs and stand in each run's config.yaml."
    alone = "All runs have the same configuration apart from the seed."
    document.add(
        say("What differs between the configurations"),
        Table([say("configuration"), *keys], rows) if keys else Text(say(alone)),
        Text(say(same), quiet=True) if keys else None,
    )


def _rate(row: dict, material: Material) -> str:
    if not row["lr"]:
        return material.say("frozen")
    rate = ", ".join(f"{value:g}" for value in row["lr"])
    later = (row.get("from_epoch") or 1) > 1
    return material.say("{rate} from epoch {epoch}", rate=rate, epoch=row["from_epoch"]) if later else rate


def _shown(value: object) -> str:
    return "-" if value is None else Path(value).name if isinstance(value, str) and "/" in value else str(value)


def add_provenance(document: Document, material: Material) -> None:
    """Environment and the exact commands."""
    say = material.say
    rows = []
    for key in ("device", "precision", "processor", "cpus", "platform", "versions", "git"):
        values = dict.fromkeys(
            _plain(run.summary.get(key)) for run in material.runs if run.summary.get(key) is not None
        )
        if values:
            rows.append([key, " | ".join(list(values)[:NAMED_AT_MOST])])
    document.add(say("Environment"), Table([say("item"), say("value")], rows))
    sweep = SweepFolder(material.folder).description().get("command")
    commands = list(dict.fromkeys(run.summary["command"] for run in material.runs if run.summary.get("command")))
    more = len(commands) - COMMANDS_AT_MOST
    document.add(
        say("How to make it again"),
        Text(say("The command of the whole sweep:")) if sweep else None,
        Verbatim(sweep) if sweep else None,
        Text(say("The exact command of each run:")) if commands else None,
        Verbatim("\n".join(commands[:COMMANDS_AT_MOST])) if commands else None,
        Text(say("… and {count} more, each in its run's summary.json", count=more), quiet=True) if more > 0 else None,
        Text(say("This page again:")),
        Verbatim(f"python -m vision2.report {material.folder} report.language={material.language}"),
    )


def _plain(value: object) -> str:
    return ", ".join(f"{name} {item}" for name, item in value.items()) if isinstance(value, dict) else str(value)
