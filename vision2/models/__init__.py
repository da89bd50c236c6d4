"""The catalogue: what is published about each model, how it is built, where its weights come from."""
