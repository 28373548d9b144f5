"""Tests of rtrace inside Jupyter kernels, and of the notebooks."""
