"""These tests need packages that learners do not: nbgrader (`pip install "xiplab[instructor]"`) or
distributed (`pip install "xiplab[dask]"`) in their own environment, then `pytest tests/instructor`.
Without a package its tests are not collected."""

from importlib.util import find_spec

NEEDED = {"test_nbgrader.py": "nbgrader", "test_dask.py": "distributed"}

collect_ignore_glob = [name for name, package in NEEDED.items() if not find_spec(package)]
