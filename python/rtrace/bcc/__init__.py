"""The way of bcc: programs in its dialect of C, with their maps as tables."""
