"""The unit ring: needs no root, no network and no kernel features."""
