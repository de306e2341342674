"""Generations: publication, lifetime, slots, sharing, threads and size."""
import threading
import time

import pytest

from pymomentum import config
from pymomentum.core.config.builder import Builder
from pymomentum.core.config.generation import live_generations
from pymomentum.core.config.view import Generation


def test_the_first_binding_is_default(conf):
    generation = conf.publish("Binding z {} Binding a {}")
    assert generation.bindings()["default"] == ("default", 0)
    assert {"z", "a"} <= set(generation.bindings())


def test_binding_keeps_its_slot_over_generations(conf):
    first = conf.publish("Binding keep1 {} Binding_Group g { Binding keep2 {} }").bindings()
    second = conf.publish("Binding other {} Binding keep2 {} Binding_Group h { Binding keep1 {} }").bindings()
    third = conf.publish("Binding keep1 {}").bindings()
    assert first["keep1"] == ("default", first["keep1"][1]) and first["keep2"][0] == "g"
    assert second["keep1"] == ("h", first["keep1"][1]) == ("h", third["keep1"][1])
    assert second["keep2"] == ("default", first["keep2"][1])
    assert "keep2" not in third


def test_default_binding_may_stand_in_a_group(conf):
    generation = conf.publish("Binding_Group g { retry_interval = 5 Binding default { idle_timeout = 6 } }")
    values = generation.lookup_delivery("default", "x.org")
    assert generation.bindings()["default"] == ("g", 0)
    assert (values["retry_interval"], values["idle_timeout"]) == (5, 6)


def test_old_generation_lives_as_long_as_its_last_reference(conf):
    alive = live_generations()
    old = conf.publish("retry_interval = 1")
    new = conf.publish("retry_interval = 2")
    assert new.number == old.number + 1
    values = old.lookup_delivery("default", "x.org")
    assert values["retry_interval"] == 1
    del old
    assert values["retry_interval"] == 1       # the values hold it
    before = live_generations()
    del values
    assert live_generations() == before - 1 <= alive + 1


def test_builder_given_up_is_freed():
    before = live_generations()
    builder = Builder()
    builder.add_scope("domain", Builder.GLOBAL, "/x/")
    with pytest.raises(ValueError):
        builder.add_scope("domain", Builder.GLOBAL, "/(/")
    with pytest.raises(TypeError):
        builder.set_text(Builder.GLOBAL, config.IDS["retry_interval"], "x")
    del builder
    assert live_generations() == before


def test_names_without_a_stanza_share_one_chain(conf):
    generation = conf.publish("Domain a.com { retry_interval = 1 } Domain b.com { } Binding b { idle_timeout = 1 }")
    bare = generation.lookup_delivery("b", "d.example.com")
    assert all(generation.lookup_delivery("b", f"d{i}.example.com").same(bare) for i in range(1000))
    assert generation.lookup_delivery("b", "b.com").same(bare)
    assert not generation.lookup_delivery("b", "a.com").same(bare)
    assert generation.lookup_delivery("default", "c.com").same(generation.globals)
    assert generation.chains == 2


def test_many_domains_and_bindings_publish_fast_and_answer_cheaply(conf):
    text = "".join(f'Domain "d{i}.example.com" {{ retry_interval = {i + 1} }}\n' for i in range(10_000))
    text += 'Binding_Group "g" {\n' + "".join(
        f'Binding "many{i}" {{ bind_address = 10.0.{i // 250}.{i % 250} }}\n' for i in range(500)) + "}\n"
    loaded = conf.load(text)
    start = time.monotonic()
    config.publish(loaded)
    assert time.monotonic() - start < 3
    generation = Generation()
    assert generation.memory < 16 * 1024 * 1024
    start = time.monotonic()
    for i in range(200_000):
        generation.lookup_delivery("many7", f"n{i}.example.org")
    assert time.monotonic() - start < 5
    assert generation.chains == 1
    for i in range(0, 10_000, 100):
        values = generation.lookup_delivery("many7", f"d{i}.example.com")
        assert (values["retry_interval"], values["bind_address"]) == (i + 1, "10.0.0.7")
    assert generation.look_up_all(f"d{i}.example.com" for i in range(10_000)) >= 501 * 10_000
    assert generation.chains == 10_500          # one for each stanza, none for the pairs
    assert generation.memory < 50 * 1024 * 1024


@pytest.mark.shows("match_cache_size")
@pytest.mark.parametrize("size, kept", [(1, 2), (100, 100), (16384, 300)])
def test_match_cache_keeps_match_cache_size_names(conf, size, kept):
    generation = conf.publish(f'match_cache_size = {size}  Domain "/^d/" {{ retry_interval = 7 }}')
    for again in range(2):
        for i in range(150):
            assert generation.lookup_delivery("default", f"d{i}.org")["retry_interval"] == 7
            assert generation.lookup_delivery("default", f"e{i}.org")["retry_interval"] == 1200
    assert kept // 2 <= generation.matches <= kept


@pytest.mark.shows("match_cache_life")
def test_match_cache_is_forgotten_after_match_cache_life(conf):
    for life, left in (1, 1), (0, 2):
        generation = conf.publish(f'match_cache_life = {life}  Domain "/^d/" {{ }}')
        generation.lookup_delivery("default", "d1.org")
        if life:
            time.sleep(1.1)
        generation.lookup_delivery("default", "d2.org")
        assert generation.matches == left


def test_match_cache_tells_containers_apart(conf):
    generation = conf.publish('Domain "/^x/" { retry_interval = 1 }  Host "/^x/" { max_outbound_connections = 2 }'
                              'Binding b { Domain "/^x/" { retry_interval = 3 } }')
    for again in range(2):
        assert generation.lookup_delivery("default", "x.org")["retry_interval"] == 1
        assert generation.lookup_delivery("b", "x.org")["retry_interval"] == 3
        assert generation.lookup_host("b", "x.org")["max_outbound_connections"] == 2
        assert generation.lookup_host("b", "y.org")["max_outbound_connections"] == -1


def test_threads_look_up_while_generations_change(conf):
    text = 'Binding tb { Domain "/^d/" { idle_timeout = 7 } }\n' + "".join(
        f'Domain "d{i}.org" {{ retry_interval = {i + 1} }}\n' for i in range(50))
    loaded = conf.load(text)
    config.publish(loaded)
    wrong, stop = [], threading.Event()

    def look():
        while not stop.is_set():
            generation = Generation()
            for i in range(50):
                values = generation.lookup_delivery("tb", f"d{i}.org")
                if (values["retry_interval"], values["idle_timeout"]) != (i + 1, 7):
                    wrong.append(i)

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(50):
        config.publish(loaded)
    stop.set()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_module_options_and_sections(conf):
    loaded = conf.load("""
        ec_logger { mainlog = a.log }  EC_Logger { heartbeat = 5 }
        Security { user = nobody }
        EventLoop pool1 { concurrency = 3 }
        ThreadPool IO { stack_size = 7 }  ThreadPool mine { concurrency = 2 }
        scriptlet "s" { script "x" { source = "y" } }
        pcre_cache_size = 5
    """)
    assert loaded.module("ec_logger")["mainlog"] == "a.log"
    assert loaded.module("ec_logger")["heartbeat"] == 5
    assert loaded.module("ec_logger")["mainlog_mode"] == 0o644
    assert loaded.module("bounce_logger") is None
    assert loaded.section("security")["user"] == "nobody"
    assert loaded.section("security")["group"] == "ecuser"
    assert loaded.section("debug_flags")["error"] == ["ALL"]
    assert loaded.eventloops == {"pool1": 3}
    assert loaded.threadpools["IO"] == {"concurrency": 50, "backlog": 0, "stack_size": 7}
    assert loaded.threadpools["mine"]["concurrency"] == 2
    assert loaded.notices == ["ecelerity.conf:6: module scriptlet is not built yet", "ecelerity.conf:7: pcre_cache_size is not read yet"]


def test_listens_know_their_address(conf):
    loaded = conf.load("""
        ESMTP_Listener { Listen ":25" {} Listen "[*]:26" {} Listen "127.0.0.1:27" {} Listen var/run/x {} }
        HTTP_Listener { Listen "*:80" {} }
    """)
    assert [(a.kind, a.host, a.port, a.path) for a in loaded.listens] == [
        ("esmtp_listener", "0.0.0.0", 25, None), ("esmtp_listener", "::", 26, None),
        ("esmtp_listener", "127.0.0.1", 27, None), ("esmtp_listener", None, 0, "var/run/x")]
    assert loaded.notices == ["ecelerity.conf:3: stanza HTTP_Listener is not built yet"]
