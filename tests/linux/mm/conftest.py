"""Fixtures of the tests of mm/."""

import pytest
from fixture_h import XipFixture, make_fixture


@pytest.fixture
def xip() -> XipFixture:
    """A guest with file H open on a xip mount."""
    return make_fixture()
