"""Configuration: typed schema, parsing, cross-field checks and error texts. Only this package and the commands use Hydra."""
