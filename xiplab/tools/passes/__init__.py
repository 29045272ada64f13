"""The passes of e2fsck, one module each; see e2fsck.py."""
