"""Measure Linux from Python."""
