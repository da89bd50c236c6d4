"""Check the advice: train every candidate strategy on a small budget and compare them on validation."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from vision2.basics.errors import UserError
from vision2.config.compose import load_config
from vision2.features.advice import Advice, Evidence
from vision2.features.transferability import rank_correlation
from vision2.jobs.run_job import run_recorded, stop_if_interrupted
from vision2.stats.verdict import CONTRADICTED, judge_shares


def check_advice(overrides: Sequence[str], advice: Advice, evidence: Evidence) -> dict:
    """Train each candidate once and report which is best on validation; the test split plays no part in the choice.

    Rank correlations are between the scores of the layers and the validation accuracies of classifiers trained on them.
    """
    rows, curve = _train_candidates(overrides, advice, evidence)
    finished = [row for row in rows if row["val_accuracy"] is not None]
    if not finished:
        raise UserError(f"no candidate could be trained: {rows[0]['error']}")
    best = max(finished, key=lambda row: row["val_accuracy"])
    advised = next((row for row in finished if row["name"] == advice.strategy), best)
    judged = judge_shares(advised["val_accuracy"], advised["n"], best["val_accuracy"], best["n"])
    right = "right" if advised is best else "wrong" if judged == CONTRADICTED else "not shown to be wrong"
    print("\n" + "\n".join(f"{row['name']:20} validation accuracy {row['val_accuracy']:.2%}" for row in finished))
    print(f"the advice ({advice.strategy}) was {right} on this budget; best: {best['name']} (n = {best['n']:,})")
    ranks = _rank_correlations(evidence, curve)
    shown = ", ".join(f"{name} {value:+.2f}" for name, value in ranks.items() if value is not None)
    print(f"rank correlation with the trained classifier over {len(curve)} layers: {shown or 'undefined (all equal)'}")
    return {"candidates": rows, "verdict": right, "best": best["name"], "layers": curve, "rank_correlation": ranks}


def _train_candidates(overrides: Sequence[str], advice: Advice, evidence: Evidence) -> tuple[list[dict], list[dict]]:
    """Return (name, run, error, validation accuracy and n of each strategy; the accuracy of feature extraction by layer)."""
    budget = [] if any(override.startswith("train.epochs=") for override in overrides) else ["train.epochs=3"]
    layers = f"strategy.layer={'+'.join(evidence.scores)}"
    candidates = {
        "scratch": ["strategy=scratch"],
        "feature_extraction": ["strategy=feature_extraction", layers, "strategy.classifier=logistic"],
        "finetune": ["strategy=finetune", *(advice.settings if advice.strategy == "finetune" else ())],
    }
    rows, curve = [], []
    for name, own in candidates.items():
        line = [*overrides, *budget, *own]
        print(f"\ncandidate {name}: {shlex.join(line)}", flush=True)
        outcome = run_recorded(load_config(line), shlex.join(["python", "-m", "vision2.train", *line]))
        stop_if_interrupted(outcome)
        val = outcome.summary["metrics"]["val"] if outcome.summary else {}
        row = {"name": name, "error": outcome.error, "run": str(outcome.run_dir) if outcome.run_dir else None}
        rows.append(row | {"val_accuracy": val.get("accuracy"), "n": val.get("n")})
        if outcome.summary and name == "feature_extraction":
            curve = outcome.summary["classifier"]["layers"]
    return rows, curve


def _rank_correlations(evidence: Evidence, curve: list[dict]) -> dict[str, float | None]:
    """The rank correlation of each score with the validation accuracy of a classifier trained on the same layer."""
    trained = {row["layer"]: row["val_accuracy"] for row in curve}
    return {
        score: rank_correlation([evidence.scores[layer][score] for layer in trained], list(trained.values()))
        for score in evidence.untrained
    }
