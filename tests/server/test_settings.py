"""Runtime parameters: what CONFIG accepts, remembers, refuses, and tells those who act on it."""

import resource
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from server.errors import CommandError
from server.parameters.oom import OomScore
from server.parameters.settings import PARAMETER, Settings, clients_with_room, make_room_for_clients
from server.parameters.table import PARAMETERS


def refusal(settings: Settings, *pairs: tuple[bytes, bytes]) -> bytes:
    with pytest.raises(CommandError) as caught:
        settings.set(pairs)
    return caught.value.text


def test_every_default_is_a_value_that_can_be_shown_and_read_again() -> None:
    settings = Settings()
    for parameter in PARAMETERS:
        shown = settings.shown(parameter.name)
        assert parameter.kind.parse(shown, settings.value(parameter.name)) == settings.value(parameter.name)


def test_names_are_unique_aliases_included() -> None:
    names = [name for parameter in PARAMETERS for name in (parameter.name, *parameter.aliases)]
    assert sorted(names) == sorted(PARAMETER)


def test_what_acts_is_an_attribute() -> None:
    settings = Settings()
    settings.set([(b"timeout", b"7"), (b"tcp-keepalive", b"8"), (b"requirepass", b"secret")])
    assert (settings.timeout_s, settings.tcp_keepalive_s, settings.requirepass) == (7, 8, b"secret")
    for parameter in PARAMETERS:
        if parameter.attribute:
            assert getattr(settings, parameter.attribute) == settings.value(parameter.name)


def test_a_change_that_does_not_go_is_none() -> None:
    settings = Settings()
    seen: list[int] = []

    def trial(values: Mapping[str, Any]) -> None:
        seen.append(values["timeout"])
        if values["timeout"] > 5:
            raise ValueError("too long")

    settings.before_change(["timeout", "hz"], trial)
    settings.set([(b"timeout", b"5"), (b"hz", b"20")])
    assert b"related to argument 'timeout') - too long" in refusal(
        settings, (b"timeout", b"6"), (b"maxclients", b"100")
    )
    assert seen == [5, 6]
    assert (settings.timeout_s, settings.maxclients) == (5, 10000)


def test_the_system_is_told_how_readily_it_may_end_this_process(tmp_path: Path) -> None:
    path = tmp_path / "score"
    path.write_text("22\n")
    settings, score = Settings(), OomScore(path)
    settings.before_change(["oom-score-adj", "oom-score-adj-values"], score.follow)
    found = []
    for pairs in (
        [(b"oom-score-adj-values", b"9 8 7")],
        [(b"oom-score-adj", b"yes")],
        [(b"oom-score-adj-values", b"1999 8 7")],
        [(b"oom-score-adj", b"absolute"), (b"oom-score-adj-values", b"5 8 7")],
        [(b"oom-score-adj", b"no")],
    ):
        settings.set(pairs)
        found.append(int(path.read_text()))
    assert found == [22, 31, 1000, 5, 22]


def test_what_the_system_does_not_allow_stays_as_it_was(tmp_path: Path) -> None:
    settings, score = Settings(), OomScore(tmp_path / "nothing here")
    settings.before_change(["oom-score-adj"], score.follow)
    assert b"Failed to set current oom_score_adj" in refusal(settings, (b"oom-score-adj", b"yes"))
    assert settings.shown("oom-score-adj") == b"no"


def test_what_does_not_act_is_remembered() -> None:
    settings = Settings()
    settings.set([(b"maxmemory-policy", b"ALLKEYS-LRU")])
    assert settings.get([b"maxmemory-policy"]) == {b"maxmemory-policy": b"allkeys-lru"}


def test_a_refused_pair_leaves_the_others_as_they_were() -> None:
    settings = Settings()
    text = refusal(settings, (b"timeout", b"7"), (b"hz", b"x"))
    assert text == (
        b"ERR CONFIG SET failed (possibly related to argument 'hz') - argument couldn't be parsed into an integer"
    )
    assert settings.timeout_s == 0


def test_an_alias_is_the_same_parameter() -> None:
    settings = Settings()
    settings.set([(b"slave-priority", b"7")])
    assert settings.get([b"*-priority"]) == {b"replica-priority": b"7", b"slave-priority": b"7"}


def test_hidden_ones_show_only_when_they_are_named() -> None:
    settings = Settings()
    assert b"watchdog-period" not in settings.get([b"*"])
    assert settings.get([b"watchdog-period"]) == {b"watchdog-period": b"0"}


def test_a_name_comes_back_as_it_was_spelled() -> None:
    assert Settings().get([b"TimeOut", b"hZ", b"nosuch"]) == {b"TimeOut": b"0", b"hZ": b"10"}


def test_whoever_acts_hears_of_new_values_only() -> None:
    settings = Settings()
    heard: list[frozenset[str]] = []
    settings.on_change(heard.append)
    settings.set([(b"timeout", b"0")])
    settings.set([(b"timeout", b"5"), (b"lua-time-limit", b"1"), (b"hz", b"10")])
    refusal(settings, (b"timeout", b"6"), (b"timeout", b"7"))
    assert heard == [frozenset({"timeout", "busy-reply-threshold"})]


def test_output_limits_keep_the_classes_that_are_not_named() -> None:
    settings = Settings()
    settings.set([(b"client-output-buffer-limit", b"pubsub 1kb 2kb 3")])
    assert settings.output_limits == {
        "normal": (0, 0, 0),
        "replica": (268435456, 67108864, 60),
        "pubsub": (1024, 2048, 3),
    }


def test_the_operators_values_come_first_and_must_make_sense() -> None:
    assert Settings({"port": "7001", "hz": "20"}).shown("port") == b"7001"
    with pytest.raises(ValueError, match="there is no parameter 'nosuch'"):
        Settings({"nosuch": "1"})
    with pytest.raises(ValueError, match="hz: argument couldn't be parsed"):
        Settings({"hz": "fast"})


def test_what_is_fixed_at_start_can_not_be_set() -> None:
    assert b"can't set immutable config" in refusal(Settings(), (b"port", b"1"))


def test_more_clients_than_the_system_has_files_for_are_refused() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 4_000_000_000
    assert hard < wanted, "a system without a limit of open files"
    with pytest.raises(ValueError, match="not able to handle the specified number of clients, try with"):
        make_room_for_clients(wanted)
    assert b"try with" in refusal(Settings(), (b"maxclients", b"%d" % wanted))


def test_a_node_takes_the_clients_that_it_has_files_for(monkeypatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 4096))
    assert clients_with_room(10_000) == 2996


def test_a_node_that_has_files_for_hardly_a_client_says_what_it_needs(monkeypatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (64, 64))
    with pytest.raises(ValueError, match=r"\(ulimit -n\) is 64: raise it to 11100, or at least to 1132"):
        clients_with_room(10_000)


def test_room_for_a_few_clients_is_there_already() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    make_room_for_clients(1)
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[1] == before[1]
