"""Pictures of networks and of their images: mistakes, Grad-CAM, filters, confusion matrices, contact sheets."""
