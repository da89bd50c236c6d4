"""The text of `python -m vision2.train --help`.

Hydra's own help lists the groups of configurations twice, its own groups included, which takes longer than all the rest.
"""

from __future__ import annotations

from string import Template

from omegaconf import DictConfig, OmegaConf

from vision2.config.location import GROUPS, options


def help_text(node: DictConfig, *, resolve: bool = False) -> str:
    """The template in conf/hydra/help, filled with the options of each group and the composed configuration."""
    groups = "\n".join(f"{group}: {', '.join(options(group))}" for group in sorted(GROUPS))
    own = OmegaConf.masked_copy(node, [key for key in node if key != "hydra"])
    return Template(node.hydra.help.template).substitute(
        APP_CONFIG_GROUPS=groups + "\n", CONFIG=OmegaConf.to_yaml(own, resolve=resolve)
    )
