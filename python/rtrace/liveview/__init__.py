"""Measurements that are looked at while they run: one place on the screen, brought up to date until somebody stops it.

``loop`` asks the ``feeds`` for what has come, and hands their ``frames`` to the ``screens``: an output of a notebook, a
terminal, or a pipe.
"""
