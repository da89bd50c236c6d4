"""The lecture's four cases as a rule on two measured facts: how many images there are, and how near the source is."""

from __future__ import annotations

from dataclasses import dataclass, field

ENOUGH_PER_CLASS = 1000  # ImageNet, the usual source, has 732 to 1,300 images a class
LARGE_ERROR_REDUCTION = 0.5  # pretrained features must undo half the errors of untrained ones
AS_GOOD = 0.01  # probe accuracies nearer than this are one


@dataclass(frozen=True)
class Evidence:
    """What was measured on a sample of the training images. `scores` by layer, from input to output, last one last."""

    images_per_class: int  # median
    smallest_class: int
    classes: int
    sample: int
    scores: dict[str, dict[str, float]]  # pretrained: h_score, log_me, knn_accuracy, probe_accuracy
    untrained: dict[str, float]  # the same of the last layer of an untrained network

    @property
    def last(self) -> str:
        return list(self.scores)[-1]

    @property
    def best_layer(self) -> str:
        """The deepest layer whose probe is as good as the best: its features are smaller and nearest to a decision."""
        best = max(score["probe_accuracy"] for score in self.scores.values())
        return [name for name, score in self.scores.items() if score["probe_accuracy"] >= best - AS_GOOD][-1]

    @property
    def error_reduction(self) -> float:
        """Share of the untrained features' probe errors that the pretrained features undo; negative when they add some."""
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
    """A strategy, why, and what would change it."""

    case: str  # a | b | c | d, as the lecture names them
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
        return "c", "large and similar: fine-tune the whole network at a low rate", "finetune", settings
    settings = ("strategy.backbone_lr_scale=1.0",)
    return (
        "d",
        "large and different: fine-tune every layer at the full rate, or train from scratch",
        "finetune",
        settings,
    )


def _reasons(evidence: Evidence) -> tuple[str, ...]:
    size = "large" if evidence.large else "small"
    probes = ", ".join(f"{name} {score['probe_accuracy']:.1%}" for name, score in evidence.scores.items())
    return (
        f"{evidence.images_per_class:,} training images a class (median of {evidence.classes}, smallest"
        f" {evidence.smallest_class:,}): {size}, the bound is {ENOUGH_PER_CLASS:,}",
        f"a linear probe reaches {evidence.scores[evidence.last]['probe_accuracy']:.1%} on pretrained and"
        f" {evidence.untrained['probe_accuracy']:.1%} on untrained features of the last layer: transfer undoes"
        f" {evidence.error_reduction:.0%} of the errors (similar from {LARGE_ERROR_REDUCTION:.0%} on)",
        f"probe by layer: {probes}; best: {evidence.best_layer}",
    )


def _changes(evidence: Evidence) -> tuple[str, ...]:
    size = (
        f"from {ENOUGH_PER_CLASS:,} images a class on ({ENOUGH_PER_CLASS / max(evidence.images_per_class, 1):.1f} times what"
        " there is) it would fine-tune"
        if not evidence.large
        else f"below {ENOUGH_PER_CLASS:,} images a class it would not fine-tune"
    )
    if evidence.similar:
        near = (
            f"if the last layer fell more than {AS_GOOD:.0%} behind an earlier one, or transfer undid less than"
            f" {LARGE_ERROR_REDUCTION:.0%} of the errors, the data would count as different"
        )
    else:
        near = (
            f"if the last layer were the best (within {AS_GOOD:.0%}) and undid {LARGE_ERROR_REDUCTION:.0%} of the errors, the"
            " data would count as similar"
        )
    return size, near


def as_text(evidence: Evidence, advice: Advice, command: str) -> str:
    """Everything for the terminal: the table of scores, the case, why, what to type, what would change it."""
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
    lines += [f"  unless   {change}" for change in advice.unless]
    return "\n".join([*lines, "", f"  {command}"])
