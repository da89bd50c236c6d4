"""Find, download, read and load pretrained weights."""
