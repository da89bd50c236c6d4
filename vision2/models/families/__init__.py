"""Where networks come from: our own, torchvision's, timm's."""
