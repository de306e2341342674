"""Every option that the server reads has a test that gives it two values and sees two outcomes: one with its name in a mark `shows`."""
from pymomentum.options import pending, vendor
from tests.harness import shown

# To be shown yet; never longer.  lease: a lease is the same from outside whether it comes by a message or not.
UNSHOWN = frozenset("""
lease
""".split())

CLAIMED = {option for _, option in shown.claims()}
KNOWN = set(pending.names()) - vendor.NAMES


def test_every_option_is_shown():
    assert sorted(KNOWN - pending.PENDING - CLAIMED - UNSHOWN) == []


def test_what_is_shown_is_not_on_the_list_of_the_others():
    assert sorted(UNSHOWN & CLAIMED) == [] and UNSHOWN <= KNOWN - pending.PENDING


def test_only_options_that_are_read_are_claimed():
    assert sorted((test, option) for test, option in shown.claims() if option not in KNOWN or option in pending.PENDING) == []
