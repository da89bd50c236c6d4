"""Image files as users have them: listing, layouts, archives, downloads, decoding."""
