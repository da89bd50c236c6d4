"""Hydra's launchers and sweepers, and the package that provides each of them."""

from __future__ import annotations

from importlib.util import find_spec

from vision2.basics.errors import suggest

PACKAGES = {  # key -> option -> package on PyPI; None: part of Hydra
    "hydra/launcher": {
        "basic": None,
        "joblib": "hydra-joblib-launcher",
        "submitit_local": "hydra-submitit-launcher",
        "submitit_slurm": "hydra-submitit-launcher",
        "ray": "hydra-ray-launcher",
        "ray_aws": "hydra-ray-launcher",
        "rq": "hydra-rq-launcher",
    },
    "hydra/sweeper": {
        "basic": None,
        "ax": "hydra-ax-sweeper",
        "nevergrad": "hydra-nevergrad-sweeper",
        "optuna": "hydra-optuna-sweeper",
    },
}


def plugin_problem(key: str, option: object) -> str | None:
    """The problem with an option of `hydra/launcher` or `hydra/sweeper` that is unknown or not installed, else None."""
    if key not in PACKAGES:
        return None
    if option not in PACKAGES[key]:
        return f"unknown {key} '{option}'{suggest(str(option), PACKAGES[key])}"
    package = PACKAGES[key][option]
    if package is None or _is_installed(package):
        return None
    return f"{key}={option} needs the package {package}; install it with: pip install {package}"


def _is_installed(package: str) -> bool:
    try:
        return find_spec(f"hydra_plugins.{package.replace('-', '_')}") is not None
    except ModuleNotFoundError:  # no plugin at all is installed
        return False
