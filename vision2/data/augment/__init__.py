"""From stored pixels to network input: crops, colours, mixing."""
