"""Configuration: typed schema, parsing, cross-field checks and error texts. Only this room and the commands know Hydra."""
