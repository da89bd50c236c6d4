"""The catalogue: name -> builder and published facts, our own families, heads, stems, weights, counting."""
