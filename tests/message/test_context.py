"""Context dictionaries: order, copy on write, limits, their form in the spool."""
import random

import pytest

from pymomentum.core.message.context import Context, decode


def test_pairs_keep_their_order_and_the_last_value():
    c = Context()
    c["a"], c["b"], c["a"] = "1", "2", "3"
    assert decode(c.encode()) == {"b": "2", "a": "3"}
    assert list(decode(c.encode())) == ["b", "a"]
    assert len(c) == 2


def test_a_copy_is_shared_until_one_side_changes():
    one = Context()
    one["k"] = "v"
    two = one.copy()
    two["k"] = "w"
    del two.copy()["k"]
    assert one["k"] == "v" and two["k"] == "w"


def test_missing_keys_and_limits_are_told():
    c = Context()
    with pytest.raises(KeyError):
        c["none"]
    with pytest.raises(KeyError):
        del c["none"]
    with pytest.raises(ValueError):
        c["x" * 256] = "v"
    with pytest.raises(ValueError):
        c["x"] = "v" * (1 << 20) + "v"
    assert len(c) == 0 and c.encode() == b""


def test_any_cut_of_the_encoded_form_is_read_up_to_the_damage():
    c = Context()
    for i in range(5):
        c[f"key{i}"] = "v" * i
    whole = c.encode()
    for n in range(len(whole)):
        got = decode(whole[:n])
        assert list(got.items()) == list(decode(whole).items())[:len(got)]


def test_against_a_dict():
    rng, c, model = random.Random(7), Context(), {}
    for _ in range(5000):
        key = f"k{rng.randrange(12)}"
        if rng.random() < 0.3 and key in model:
            del c[key]
            del model[key]
        else:
            c[key] = model[key] = "x" * rng.randrange(40)
        assert decode(c.encode()) == model
