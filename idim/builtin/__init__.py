"""What ships: a language of its own, pretrained weights, small nets."""
