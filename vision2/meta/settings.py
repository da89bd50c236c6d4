"""Settings of the episodes that a data set split by class is measured on."""

from __future__ import annotations

from dataclasses import dataclass

from vision2.basics.settings import number


@dataclass
class EpisodesConfig:
    way: list[int] | None = None  # classes per episode; null = those of 5 and 20 that there are enough classes for
    shot: list[int] | None = None  # labelled images per class; null = those of 1 and 5 that there are enough images for
    query: int = number(15, 1)  # images per class to classify
    test_episodes: int = number(1000, 2)  # of each way and shot, the same for every method
    val_episodes: int = number(200, 2)  # after each epoch, with the most ways and the fewest shots


def problems(config: EpisodesConfig) -> list[str]:
    """One sentence for each list that is empty or has a number that is too small."""
    found = []
    for key, least in (("way", 2), ("shot", 1)):
        values = getattr(config, key)
        if values is not None and (not values or min(values) < least):
            found.append(f"episodes.{key} is {values}; it must be a list of numbers of at least {least}, or left out")
    return found
