"""vision2: a config-driven experiment runner for image classification."""
