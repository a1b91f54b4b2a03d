"""What people say of the images of a run: the page, its labels, and where the answer goes."""
