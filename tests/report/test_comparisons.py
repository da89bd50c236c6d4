import pytest
from made_up_runs import configuration, make_run

from vision2.basics.errors import UserError
from vision2.report.build import write_report
from vision2.report.comparisons import judge_runs, parse_comparisons
from vision2.runs.read import read_runs
from vision2.stats.intervals import newcombe_difference

CLAIM = {"metric": "metrics.test.accuracy", "a": {"model.name": "resnet56"}, "b": {"model.name": "plain56"}}


@pytest.fixture
def verdict_of(tmp_path):
    """A function that judges accuracies by model, {"resnet56": [...], "plain56": [...]}; the position is the seed."""

    def judged(accuracies, *claims):
        for model, values in accuracies.items():
            for seed, accuracy in enumerate(values):
                make_run(tmp_path, f"{model}-{seed}", configuration(**{"model.name": model, "seed": seed}), accuracy=accuracy)
        return judge_runs(read_runs(tmp_path)[0], parse_comparisons(claims or [CLAIM]))

    return judged


def test_a_difference_whose_interval_is_above_zero_supports_the_claim(verdict_of):
    # Differences 0.10, 0.12, 0.14: mean 0.12, s = 0.02, half width 4.302653 * 0.02 / sqrt(3) = 0.049683.
    verdict = verdict_of({"resnet56": [0.90, 0.92, 0.94], "plain56": [0.80, 0.80, 0.80]})
    (finding,) = verdict.findings
    assert verdict.overall == finding.judgement.verdict == "supported"
    assert finding.judgement.difference.low == pytest.approx(0.12 - 0.049683, abs=1e-6)
    assert finding.judgement.difference.high == pytest.approx(0.12 + 0.049683, abs=1e-6)
    assert finding.judgement.difference.n == 3


def test_means_that_differ_are_inconclusive_when_the_interval_includes_zero(verdict_of):
    # Differences 0.10, 0.02, 0.00: mean 0.04, s = 0.052915, half width 4.302653 * 0.052915 / sqrt(3) = 0.131449.
    verdict = verdict_of({"resnet56": [0.90, 0.82, 0.80], "plain56": [0.80, 0.80, 0.80]})
    (finding,) = verdict.findings
    assert finding.mean_a > finding.mean_b
    assert finding.judgement.difference.low == pytest.approx(0.04 - 0.131449, abs=1e-5)
    assert verdict.overall == "inconclusive"


def test_pairing_by_seed_removes_the_variation_between_seeds(verdict_of):
    # Seeds vary far more than the constant gain of about 0.02; unpaired intervals would overlap widely.
    verdict = verdict_of({"resnet56": [0.52, 0.721, 0.919], "plain56": [0.50, 0.70, 0.90]})
    assert verdict.overall == "supported"


def test_a_difference_in_the_other_direction_contradicts_the_claim(verdict_of):
    verdict = verdict_of({"resnet56": [0.80, 0.81, 0.80], "plain56": [0.90, 0.90, 0.90]})
    assert verdict.overall == "contradicted"


def test_better_lower_reverses_the_claim(verdict_of):
    claim = CLAIM | {"better": "lower"}
    assert verdict_of({"resnet56": [0.80, 0.81, 0.80], "plain56": [0.90, 0.90, 0.90]}, claim).overall == "supported"


def test_one_seed_is_inconclusive_and_shows_the_noise_of_the_test_images(verdict_of):
    verdict = verdict_of({"resnet56": [0.95], "plain56": [0.50]})
    (finding,) = verdict.findings
    assert (verdict.overall, finding.judgement.reason) == ("inconclusive", "one_pair")
    assert finding.test_noise == pytest.approx(newcombe_difference(0.95, 60, 0.50, 60))
    assert finding.test_noise[0] > 0


def test_seeds_that_change_nothing_are_one_observation(verdict_of):
    verdict = verdict_of({"resnet56": [0.9, 0.9, 0.9], "plain56": [0.8, 0.8, 0.8]})
    assert (verdict.overall, verdict.findings[0].judgement.reason) == ("inconclusive", "no_spread")


def test_one_pair_is_enough_for_parameter_counts(tmp_path):
    for model, count in (("resnet56", 850_000), ("plain56", 849_000)):
        make_run(tmp_path, model, configuration(**{"model.name": model}), parameters=count)
    runs, _ = read_runs(tmp_path)
    overall = [
        judge_runs(runs, parse_comparisons([CLAIM | {"metric": "parameters", "better": better}])).overall
        for better in ("higher", "lower")
    ]
    assert overall == ["supported", "contradicted"]


def test_an_unpaired_seed_is_left_out_and_named(verdict_of):
    verdict = verdict_of({"resnet56": [0.90, 0.92, 0.94, 0.1], "plain56": [0.80, 0.80, 0.80]})
    assert verdict.findings[0].judgement.difference.n == 3
    assert verdict.findings[0].unpaired == ("resnet56-3",)


def test_a_side_without_runs_is_inconclusive(verdict_of):
    verdict = verdict_of({"resnet56": [0.9, 0.8]})
    assert (verdict.overall, verdict.findings[0].judgement.reason) == ("inconclusive", "no_pairs")


def test_a_claim_of_two_comparisons_is_supported_only_if_both_are(verdict_of):
    second = {"metric": "metrics.train.accuracy", "a": {"model.name": "resnet56"}, "b": {"model.name": "vgg16"}}
    accuracies = {"resnet56": [0.90, 0.92, 0.94], "plain56": [0.80, 0.80, 0.80], "vgg16": [0.99, 0.80, 0.9]}
    verdict = verdict_of(accuracies, CLAIM, second)
    assert [finding.judgement.verdict for finding in verdict.findings] == ["supported", "inconclusive"]
    assert verdict.overall == "inconclusive"


def test_a_comparison_contradicted_at_the_corrected_level_contradicts_the_claim(verdict_of):
    second = CLAIM | {"a": {"model.name": "vgg16"}}
    accuracies = {"resnet56": [0.90, 0.92, 0.94], "plain56": [0.80, 0.80, 0.80], "vgg16": [0.50, 0.51, 0.50]}
    assert verdict_of(accuracies, CLAIM, second).overall == "contradicted"


def test_a_comparison_contradicted_only_at_the_uncorrected_level_does_not_contradict_the_claim(verdict_of):
    # Differences -0.10, -0.12, -0.20 with plain56: mean -0.14, s = 0.052915, half width at 95 % 0.131449 (excludes 0) and
    # at 97.5 % 6.205347 * 0.052915 / sqrt(3) = 0.189578 (includes 0).
    second = CLAIM | {"a": {"model.name": "vgg16"}}
    accuracies = {"resnet56": [0.90, 0.92, 0.94], "plain56": [0.80, 0.80, 0.80], "vgg16": [0.70, 0.68, 0.60]}
    verdict = verdict_of(accuracies, CLAIM, second)
    assert verdict.findings[1].judgement.verdict == "contradicted"
    assert verdict.overall == "inconclusive"


def test_a_negative_margin_requires_only_not_being_worse(verdict_of):
    accuracies = {"resnet56": [0.899, 0.902, 0.899], "plain56": [0.90, 0.90, 0.90]}
    assert verdict_of(accuracies, CLAIM | {"margin": -0.02}).overall == "supported"


def test_the_noise_of_the_test_images_is_not_shown_for_several_pairs_of_one_seed(tmp_path):
    """The interval of the first pair alone would appear next to the mean difference of all pairs."""
    for model in ("resnet56", "plain56"):
        for fraction in (0.1, 1.0):
            config = configuration(**{"model.name": model, "seed": 0, "dataset.fraction": fraction})
            make_run(tmp_path, f"{model}-{fraction}", config, accuracy=0.5 + 0.2 * fraction)
    (comparison,) = parse_comparisons([CLAIM | {"pair_on": ["dataset.fraction"]}])
    (finding,) = judge_runs(read_runs(tmp_path)[0], [comparison]).findings
    assert (finding.judgement.reason, finding.test_noise) == ("one_pair", None)


def test_several_pairs_of_a_seed_count_once_and_unpaired_runs_do_not_count(tmp_path):
    """Runs of one seed on a tenth and on all of the images share images, so its pairs are a single observation."""
    runs = [("resnet56", seed, fraction) for seed in (0, 1) for fraction in (0.1, 1.0)]
    runs += [("plain56", 0, 0.1), ("plain56", 0, 1.0), ("plain56", 1, 0.1)]  # seed 1 lacks plain-56 on all images
    for model, seed, fraction in runs:
        config = configuration(**{"model.name": model, "seed": seed, "dataset.fraction": fraction})
        accuracy = 0.6 + 0.2 * fraction + (0.04 + 0.04 * seed if model == "resnet56" else 0.0)
        make_run(tmp_path, f"{model}-{seed}-{fraction}", config, accuracy=accuracy)
    found, _ = read_runs(tmp_path)
    by_seed, by_both = parse_comparisons([CLAIM, CLAIM | {"pair_on": ["dataset.fraction"]}])
    (of_seed,), (of_both,) = (judge_runs(found, [comparison]).findings for comparison in (by_seed, by_both))
    assert of_both.judgement.difference.n == 2
    assert of_both.judgement.difference.mean == pytest.approx((0.04 + 0.08) / 2)
    assert of_seed.judgement.reason == "ambiguous", "runs on different numbers of images would be compared"


def test_a_side_of_several_configurations_per_seed_is_refused_with_the_keys_that_differ(tmp_path):
    """For example, lite and full runs in one folder: their mean would not be the result of any experiment."""
    stated = {"name": "degradation", "claim": "Deeper is better.", "comparisons": [CLAIM]}
    for model in ("resnet56", "plain56"):
        for epochs, fraction in ((3, 0.1), (182, 1.0)):
            for seed in (0, 1):
                changes = {"model.name": model, "seed": seed, "train.epochs": epochs, "dataset.fraction": fraction}
                config = configuration(**changes, experiment=stated)
                make_run(tmp_path, f"{model}-{epochs}-{seed}", config, accuracy=0.5 + 0.1 * (model == "resnet56"))
    verdict = judge_runs(read_runs(tmp_path)[0], parse_comparisons([CLAIM]))
    (finding,) = verdict.findings
    assert (verdict.overall, finding.judgement.reason) == ("inconclusive", "ambiguous")
    assert finding.ambiguous == ("dataset.fraction (1.0 | 0.1)", "train.epochs (182 | 3)")
    report = write_report(tmp_path)
    sentence = "refused: one side matches several configurations, which differ in dataset.fraction (1.0 | 0.1)"
    for text in (report.text, (report.page.parent / "report.md").read_text().replace("\\", "")):
        assert sentence in text and "pair_on" in text
    assert write_report(tmp_path, language="es").verdict == "inconclusive"


def test_unlike_runs_with_different_seeds_are_refused_too(tmp_path):
    for model in ("resnet56", "plain56"):
        for seed, epochs in ((0, 3), (1, 3), (2, 50), (3, 50)):
            config = configuration(**{"model.name": model, "seed": seed, "train.epochs": epochs})
            make_run(tmp_path, f"{model}-{seed}", config, accuracy=0.5 + 0.01 * seed + 0.1 * (model == "resnet56"))
    (finding,) = judge_runs(read_runs(tmp_path)[0], parse_comparisons([CLAIM])).findings
    assert finding.judgement.reason == "ambiguous"
    assert finding.ambiguous == ("train.epochs (3 | 50)",)


def test_the_rows_of_a_claim_name_the_networks_weights_and_data_that_ran(tmp_path):
    stated = {"name": "t", "claim": "Transfer beats scratch.", "comparisons": [CLAIM]}
    for model, weights in (("resnet56", {"source": "/x/resnet56_imagenet.safetensors"}), ("plain56", None)):
        make_run(tmp_path, model, configuration(**{"model.name": model}, experiment=stated), weights=weights)
    page = (write_report(tmp_path).page.parent / "report.md").read_text()
    assert "90.00 % (resnet56, resnet56_imagenet.safetensors, digits)" in page
    assert "90.00 % (plain56, random initialisation, digits)" in page


@pytest.mark.parametrize(("planned", "second"), [("0,1", True), ("0,1,2", False), ("", False)])
def test_seeds_beyond_those_of_the_experiment_are_reported_as_a_second_look(tmp_path, planned, second):
    stated = {"name": "t", "claim": "Deeper is better.", "comparisons": [CLAIM], "seeds": planned}
    for model in ("resnet56", "plain56"):
        for seed in range(3):
            config = configuration(**{"model.name": model, "seed": seed}, experiment=stated)
            make_run(tmp_path, f"{model}-{seed}", config, accuracy=0.8)
    page = (write_report(tmp_path).page.parent / "report.md").read_text()
    assert ("A second look: the experiment fixes its seeds in advance (0, 1); others were added later (2)." in page) == second


def test_metrics_can_be_read_from_the_epochs(tmp_path):
    for model, accuracy in (("resnet56", 0.9), ("plain56", 0.5)):
        make_run(tmp_path, model, configuration(**{"model.name": model}), accuracy=accuracy)
    runs, _ = read_runs(tmp_path)
    for metric, expected in (("last.val_accuracy", 0.88 - 0.48), ("mean.gradient_norms.stem", 0.0)):
        (comparison,) = parse_comparisons([CLAIM | {"metric": f"history.{metric}"}])
        assert judge_runs(runs, [comparison]).findings[0].judgement.difference.mean == pytest.approx(expected)


@pytest.mark.parametrize(
    ("claim", "words"),
    [
        ("faster", "must be a mapping with metric, a and b"),
        ({"metric": "x", "a": {"seed": 0}}, "has no 'b'; a comparison needs metric, a and b"),
        (CLAIM | {"beter": "higher"}, "did you mean 'better'"),
        (CLAIM | {"better": "more"}, "higher or lower"),
    ],
)
def test_an_invalid_comparison_is_refused(claim, words):
    with pytest.raises(UserError, match=words):
        parse_comparisons([claim])


def test_a_run_can_be_compared_with_another_number_of_itself(tmp_path):
    # Accuracies 0.6, 0.7, 0.65 against the chance level 0.5 of each run: mean difference 0.15, s = 0.05.
    for seed, accuracy in enumerate((0.6, 0.7, 0.65)):
        found = {"unseen": {"accuracy": accuracy, "chance": 0.5}}
        make_run(tmp_path, f"run-{seed}", configuration(seed=seed), metrics={"test": {"zero_shot": found}})
    key = "metrics.test.zero_shot.unseen"
    claim = {"metric": f"{key}.accuracy", "metric_b": f"{key}.chance", "a": {"seed": [0, 1, 2]}, "b": {"seed": [0, 1, 2]}}
    (finding,) = judge_runs(read_runs(tmp_path)[0], parse_comparisons([claim])).findings
    assert (finding.mean_a, finding.mean_b) == (pytest.approx(0.65), pytest.approx(0.5))
    assert finding.judgement.difference.low == pytest.approx(0.15 - 4.302653 * 0.05 / 3**0.5, abs=1e-6)
    assert finding.judgement.verdict == "supported"


def test_tuned_gives_each_side_the_value_that_is_best_on_validation_whatever_the_test_split_says(tmp_path):
    """Validation prefers 0.1 for the residual network and 0.01 for the plain one; the test split would prefer the others."""
    validation = {("resnet56", 0.1): 0.9, ("resnet56", 0.01): 0.8, ("plain56", 0.1): 0.6, ("plain56", 0.01): 0.7}
    for (model, rate), accuracy in validation.items():
        for seed in (0, 1, 2):
            config = configuration(**{"model.name": model, "strategy.lr": rate, "seed": seed})
            metrics = {"val": {"accuracy": accuracy + 0.01 * seed}, "test": {"accuracy": 1.0 - accuracy}}
            make_run(tmp_path, f"{model}-{rate}-{seed}", config, metrics=metrics)
    stated = CLAIM | {"tuned": ["strategy.lr"]}
    (finding,) = judge_runs(read_runs(tmp_path)[0], parse_comparisons([stated])).findings
    assert (finding.mean_a, finding.mean_b) == pytest.approx((0.1, 0.3))
    assert {run.get("strategy.lr") for run in finding.runs[0]} == {0.1}
    assert {run.get("strategy.lr") for run in finding.runs[1]} == {0.01}


def test_the_report_names_the_values_chosen_on_validation(tmp_path):
    stated = {"name": "tuned", "claim": "Deeper is better.", "comparisons": [CLAIM | {"tuned": ["strategy.lr"]}]}
    for model, best in (("resnet56", 0.1), ("plain56", 0.01)):
        for rate in (0.1, 0.01):
            config = configuration(**{"model.name": model, "strategy.lr": rate}, experiment=stated)
            make_run(tmp_path, f"{model}-{rate}", config, accuracy=0.8 + 0.1 * (rate == best))
    assert "strategy.lr chosen on validation: 0.1 and 0.01" in write_report(tmp_path).text.replace("\\", "") + (
        tmp_path / "report" / "report.md"
    ).read_text().replace("\\", "")
