"""What encoders learn with: the training loop, patches, edges, transforms, saved states."""
