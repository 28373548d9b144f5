"""Tests of rtrace, in three rings: unit, kernel and vm."""
