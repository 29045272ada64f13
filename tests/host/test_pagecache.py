"""The page cache of this computer behaves as the model's, where it can be seen."""

from __future__ import annotations

import sys

import pytest

from xiplab.host import pagecache
from xiplab.host.pagecache import PAGES, CachedFile

pytestmark = pytest.mark.skipif(bool(pagecache.unavailable()), reason=pagecache.unavailable())


def test_store_is_read_at_once_and_dirty_until_synced() -> None:
    """A file in memory (tmpfs) has no device, and stays dirty: both are right."""
    with CachedFile() as file:
        file.text[0] = ord("J")

        assert file.read(1) == b"J"
        assert 1 <= file.dirty() <= PAGES
        file.sync()
        assert file.dirty() in (0, PAGES, 1)


def test_touched_page_is_cached_and_dropped_pages_lose_nothing() -> None:
    with CachedFile() as file:
        file.text[0] = ord("J")
        file.sync()
        file.drop()
        assert file.text[0] == ord("J")

        assert file.cached()[0] == 1


def test_elsewhere_one_sentence_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")

    assert "darwin" in pagecache.unavailable()
