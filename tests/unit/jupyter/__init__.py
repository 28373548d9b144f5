"""Tests of what rtrace brings into notebooks."""
