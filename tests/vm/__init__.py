"""The VM ring: run a command, usually the kernel ring, under each kernel that rtrace supports.

``python -m tests.vm`` reads `kernels.toml`, fetches Debian's kernels through apt (`archive.py`, `kernels.py`), boots
each one with virtme-ng on top of this machine's own file system (`guest.py`) and carries the exit status out.
"""
