"""Tests of names and addresses."""
