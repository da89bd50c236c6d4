"""Network builders: our own, torchvision's and timm's."""
