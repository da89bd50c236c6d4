"""A trained network in use: loaded from a checkpoint, evaluated, asked for predictions, exported."""
