"""From pixels to what the network sees: crops, colours, mixing."""
