"""The model catalogue: published numbers, how each model is built, and where its weights come from."""
