"""The wheel ring: what users install, in an environment that has nothing else."""
