"""Few-shot learning by episodes: how an episode is classified, how a network learns from episodes and is measured."""
