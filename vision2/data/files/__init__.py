"""Files as people have them: listing, layouts, archives, downloads, decoding."""
