"""How results are shown: text, notebooks, plots. Nothing here knows the kernel, everything works on a saved file."""
