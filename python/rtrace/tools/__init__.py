"""The tools: the tutorial's programs, each a few lines on top of a shape."""
