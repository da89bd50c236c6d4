"""Zero-shot learning: recognise classes without a training image, from attributes, their names, or text."""
