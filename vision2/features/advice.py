"""The lecture's four cases as a rule based on two measurements: the size of the data set and its similarity to the source."""

from __future__ import annotations

from dataclasses import dataclass, field

ENOUGH_PER_CLASS = 1000  # ImageNet, the usual source, has 732 to 1,300 images per class
LARGE_ERROR_REDUCTION = 0.5  # pretrained features must remove half of the errors made on untrained ones
SAME_ACCURACY = 0.01  # probe accuracies that differ by no more than this count as equal


@dataclass(frozen=True)
class Evidence:
    """What was measured on a sample of the training images; `scores` is ordered by layer, from input to output."""

    images_per_class: int  # median
    smallest_class: int
    classes: int
    sample: int  # number of images
    scores: dict[str, dict[str, float]]  # of the pretrained network: h_score, log_me, knn_accuracy, probe_accuracy
    untrained: dict[str, float]  # the same scores for the last layer of an untrained network

    @property
    def last(self) -> str:
        return list(self.scores)[-1]

    @property
    def best_layer(self) -> str:
        """The deepest layer whose probe is as accurate as the best one: deep features are smaller and closer to the classes."""
        best = max(score["probe_accuracy"] for score in self.scores.values())
        return [name for name, score in self.scores.items() if score["probe_accuracy"] >= best - SAME_ACCURACY][-1]

    @property
    def error_reduction(self) -> float:
        """Share of the probe errors on untrained features that pretrained features remove; negative when they add errors."""
        errors = 1 - self.untrained["probe_accuracy"]
        if errors <= 0:
            return 0.0
        return 1 - (1 - self.scores[self.last]["probe_accuracy"]) / errors

    @property
    def large(self) -> bool:
        return self.images_per_class >= ENOUGH_PER_CLASS

    @property
    def similar(self) -> bool:
        return self.error_reduction >= LARGE_ERROR_REDUCTION and self.best_layer == self.last


@dataclass(frozen=True)
class Advice:
    """A recommended strategy, the reasons for it, and what would change it."""

    case: str  # a | b | c | d, as in the lecture
    title: str
    strategy: str
    settings: tuple[str, ...]
    because: tuple[str, ...]
    unless: tuple[str, ...] = field(default=())


def advise(evidence: Evidence) -> Advice:
    """The lecture's recommendation for this evidence."""
    case, title, strategy, settings = _case(evidence)
    return Advice(case, title, strategy, settings, _reasons(evidence), _changes(evidence))


def _case(evidence: Evidence) -> tuple[str, str, str, tuple[str, ...]]:
    if not evidence.large and evidence.similar:
        settings = ("strategy.layer=last", "strategy.classifier=logistic")
        return "a", "small and similar: a classifier on features of the last layer", "feature_extraction", settings
    if not evidence.large:
        settings = (f"strategy.layer={evidence.best_layer}", "strategy.classifier=logistic")
        return "b", "small and different: a classifier on features of an earlier layer", "feature_extraction", settings
    if evidence.similar:
        settings = ("strategy.backbone_lr_scale=0.1",)
        return "c", "large and similar: fine-tune the whole network at a low learning rate", "finetune", settings
    settings = ("strategy.backbone_lr_scale=1.0",)
    return (
        "d",
        "large and different: fine-tune every layer at the full learning rate, or train from scratch",
        "finetune",
        settings,
    )


def _reasons(evidence: Evidence) -> tuple[str, ...]:
    size = "large" if evidence.large else "small"
    probes = ", ".join(f"{name} {score['probe_accuracy']:.1%}" for name, score in evidence.scores.items())
    return (
        f"{evidence.images_per_class:,} training images per class (median of {evidence.classes} classes, smallest"
        f" {evidence.smallest_class:,}): {size}, the threshold is {ENOUGH_PER_CLASS:,}",
        f"a linear probe reaches {evidence.scores[evidence.last]['probe_accuracy']:.1%} on pretrained and"
        f" {evidence.untrained['probe_accuracy']:.1%} on untrained features of the last layer: transfer removes"
        f" {evidence.error_reduction:.0%} of the errors (similar means {LARGE_ERROR_REDUCTION:.0%} or more)",
        f"probe accuracy by layer: {probes}; best: {evidence.best_layer}",
    )


def _changes(evidence: Evidence) -> tuple[str, ...]:
    size = (
        f"with {ENOUGH_PER_CLASS:,} images per class or more ({ENOUGH_PER_CLASS / max(evidence.images_per_class, 1):.1f} times"
        " the current number), fine-tuning would be recommended"
        if not evidence.large
        else f"with fewer than {ENOUGH_PER_CLASS:,} images per class, fine-tuning would not be recommended"
    )
    if evidence.similar:
        near = (
            f"if the last layer were more than {SAME_ACCURACY:.0%} worse than an earlier one, or transfer removed less than"
            f" {LARGE_ERROR_REDUCTION:.0%} of the errors, the data would count as different"
        )
    else:
        near = (
            f"if the last layer were the best (within {SAME_ACCURACY:.0%}) and transfer removed {LARGE_ERROR_REDUCTION:.0%} of"
            " the errors, the data would count as similar"
        )
    return size, near


def as_text(evidence: Evidence, advice: Advice, command: str) -> str:
    """The report for the terminal: table of scores, case, reasons, what would change the advice, and the command to type."""
    rows = [*evidence.scores.items(), (f"{evidence.last}, untrained", evidence.untrained)]
    width = max(len(name) for name, _ in rows)
    lines = [f"{'layer':{width}}  H-score   LogME  neighbours  linear probe   ({evidence.sample:,} training images)"]
    lines += [
        f"{name:{width}}  {score['h_score']:7.2f}  {score['log_me']:6.3f}  {score['knn_accuracy']:10.1%}"
        f"  {score['probe_accuracy']:12.1%}"
        for name, score in rows
    ]
    lines += ["", f"case ({advice.case}) {advice.title}"]
    lines += [f"  because  {reason}" for reason in advice.because]
    lines += [f"  note     {change}" for change in advice.unless]
    return "\n".join([*lines, "", f"  {command}"])
