"""The kernel ring: every tool on this kernel, as root, on known workloads of our own."""
