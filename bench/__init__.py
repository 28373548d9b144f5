"""The benchmark: rtrace's read-latency program side by side with bcc, bpftrace and plain C.

``python -m bench [NAMES...]`` runs the benches named (all of them without a name) and writes the numbers to
``build/bench/NAME.json`` and the tables, the ratios and the goals to ``bench/RESULTS.md``. Needs root, and the packages
of ``apt-packages.txt``.
"""
