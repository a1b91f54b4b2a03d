"""A fitted model that answers over HTTP: an image in, what is said of it out."""
