"""Where images come from: listed, split, audited, cached, augmented, batched."""
