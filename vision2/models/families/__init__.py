"""Builders of networks: our own, torchvision's, timm's."""
