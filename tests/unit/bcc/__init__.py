"""Tests of the command line, without privilege."""
