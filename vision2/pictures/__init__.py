"""Pictures that need a network or its images: mistakes, Grad-CAM, filters, confusion matrices, contact sheets."""
