"""What a configuration file may say, and how its mistakes are reported."""

from pathlib import Path

import pytest

from server.config.file import Config, check_data_directory, load, peer_port_of
from server.config.reader import ConfigError, lines_of_keys
from server.parameters.settings import Settings

THREE_NODES = """
[nodes.n1]
port = 7001
[nodes.n2]
port = 7002
[nodes.n3]
port = 7003
"""


@pytest.fixture
def load_text(tmp_path):
    """Loads a configuration from its text."""

    def load_text_(text: str) -> Config:
        path = tmp_path / "redraft.toml"
        path.write_text(text)
        return load(path)

    return load_text_


@pytest.fixture
def problems(load_text, tmp_path):
    """The problems of a text, without the directory of the file."""

    def problems_(text: str) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            load_text(text)
        return str(caught.value).replace(f"{tmp_path}/", "").splitlines()

    return problems_


def test_no_file_is_a_standalone_node_on_the_loopback_interface() -> None:
    config = load()
    node = config.node(None)
    assert not config.clustered
    assert (node.host, node.bind, node.port, node.data) == ("127.0.0.1", "127.0.0.1", 6379, "./redraft-data")
    assert (config.groups, config.replicas) == (1, 1)
    assert config.topology(None).me == 1


def test_an_empty_file_says_the_same_as_none(load_text) -> None:
    config = load_text("")
    assert config.nodes == load().nodes
    assert config.raft == load().raft


def test_nodes_get_defaults_that_follow_from_their_name_and_port(load_text) -> None:
    config = load_text(THREE_NODES + 'host = "10.0.0.3"')
    assert [node.peer_port for node in config.nodes.values()] == [17001, 17002, 17003]
    assert config.node("n2").data == "./redraft-data/n2"
    assert config.node("n3").bind == "10.0.0.3"
    assert config.replicas == 3


def test_a_high_port_has_its_peer_port_below() -> None:
    assert peer_port_of(55_535) == 65_535
    assert peer_port_of(55_536) == 45_536


def test_two_nodes_make_two_replicas_when_not_told_otherwise(load_text) -> None:
    assert load_text("[nodes.a]\nport=1\n[nodes.b]\nport=2").replicas == 2


def test_nodes_are_numbered_in_the_order_of_the_file(load_text) -> None:
    topology = load_text("groups = 4\n[nodes.z]\nport=1\n[nodes.a]\nport=2").topology("a")
    assert {number: node.name for number, node in topology.nodes.items()} == {1: "z", 2: "a"}
    assert topology.me == 2
    assert len(topology.data_groups) == 4


def test_every_problem_is_reported_with_its_line(problems) -> None:
    assert problems(
        'grops = 3\nrouting = "sideways"\n\n[raft]\nheartbeat_ms = "fast"\n[clients]\nmaxclients = 0\n'
    ) == [
        "redraft.toml:1: grops: there is no such setting, did you mean groups?",
        'redraft.toml:2: routing: "sideways" is none of "forward", "redirect"',
        'redraft.toml:5: raft.heartbeat_ms: "fast" is not a whole number',
        "redraft.toml:7: clients.maxclients: 0 is too small, it must be 1 to 1000000",
    ]


def test_what_is_no_toml_is_reported_with_its_place(problems) -> None:
    (problem,) = problems("cluster = redraft")
    assert problem.startswith("redraft.toml: this is not TOML: ")
    assert "line 1" in problem


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[rafft]\nx = 1", "redraft.toml:1: rafft: there is no such section, did you mean raft?"),
        (
            "raft = 3",
            "redraft.toml:1: raft: must be a table: write [raft] on a line of its own and the settings below it",
        ),
        (
            "nodes = 3",
            "redraft.toml:1: nodes: every node has a table of its own: write [nodes.NAME] and its settings below",
        ),
        (
            "[nodes]\nport = 3",
            "redraft.toml:1: nodes: every node has a table of its own: write [nodes.NAME] and its settings below",
        ),
        ("[clients]\nmaxclients = true", "redraft.toml:2: clients.maxclients: true is not a whole number"),
        ("groups = 2000", "redraft.toml:1: groups: 2000 is too large, it must be 1 to 1024"),
        ("replicas = 2", "redraft.toml:1: replicas: 2 copies need as many nodes, there are 1: standalone"),
        (
            '[nodes.a]\nhost = "127.0.0.1:7001"',
            'redraft.toml:2: nodes.a.host: "127.0.0.1:7001" will not do,'
            " it must be a host name or an IP address, without port",
        ),
        (
            "port = 6380",
            "redraft.toml:1: port: there is no such setting here, it belongs to [nodes.NAME]",
        ),
        (
            "[raft]\nmaxclients = 5",
            "redraft.toml:2: raft.maxclients: there is no such setting here, it belongs to [clients]",
        ),
        ("[nodes.a]\nprot = 1", "redraft.toml:2: nodes.a.prot: there is no such setting, did you mean port?"),
        (
            "[nodes.a]\nport = 65536",
            "redraft.toml:2: nodes.a.port: 65536 is too large, it must be 1 to 65535",
        ),
        (
            '[nodes."a,b"]\nport = 1',
            "redraft.toml:1: nodes.a,b: a node's name must be 1 to 64 letters, digits, dots, dashes or underscores",
        ),
        (
            "[nodes.a]\nport = 1\n[nodes.b]\nport = 1\npeer_port = 9",
            "redraft.toml:4: nodes.b.port: 127.0.0.1:1 is already nodes.a.port: give each its own port",
        ),
        (
            "[nodes.a]\nport = 10001\n[nodes.b]\nport = 1\npeer_port = 10001",
            "redraft.toml:5: nodes.b.peer_port: 127.0.0.1:10001 is already nodes.a.port: give each its own port",
        ),
        (
            '[nodes.a]\nport = 1\ndata = "x/y"\n[nodes.b]\nport = 2\ndata = "./x/y"',
            "redraft.toml:6: nodes.b.data: ./x/y is already the directory of node a: give each its own",
        ),
        (
            '[nodes.a]\nhost = "0.0.0.0"\nport = 1\n[nodes.b]\nport = 2',
            "redraft.toml:2: nodes.a.host: the other nodes can not reach 0.0.0.0:"
            " put it into bind, and an address here",
        ),
        (
            "[raft]\nelection_timeout_ms = 200\nlease_ms = 50",
            "redraft.toml:2: raft.election_timeout_ms: 200 is less than three times heartbeat_ms (100):"
            " one lost heartbeat would cost a leader its office",
        ),
        (
            "[raft]\nlease_ms = 586",
            "redraft.toml:2: raft.lease_ms: 586 is too long for an election_timeout_ms of 700:"
            " two leaders could answer at once; at most 585",
        ),
        (
            "[raft]\nstale_max_ms = 200",
            "redraft.toml:2: raft.stale_max_ms: 200 must be more than twice heartbeat_ms (100)",
        ),
        (
            '[raft]\nsecret = "a"\nsecret_file = "b"',
            "redraft.toml:3: raft.secret_file: give the secret here or in raft.secret, not both",
        ),
        (
            '[raft]\nsecret_file = "/nowhere/secret"',
            "redraft.toml:2: raft.secret_file: /nowhere/secret can not be read: No such file or directory",
        ),
        (
            "[clients]\noutput_buffer_soft_mb = 3",
            "redraft.toml:2: clients.output_buffer_soft_mb: has no effect without output_buffer_soft_s: set that too",
        ),
        (
            '[redis]\nslowlog-max-ln = "3"',
            "redraft.toml:2: redis.slowlog-max-ln: CONFIG SET knows no such parameter, did you mean slowlog-max-len?",
        ),
        ("[redis]\nport = 6379", "redraft.toml:2: redis.port: is fixed in this server and can not be set"),
        (
            "[redis]\ntimeout = [3]",
            "redraft.toml:2: redis.timeout: must be a string, a whole number, true or false",
        ),
        (
            "[clients]\ntimeout_s = 3\n[redis]\ntimeout = 4",
            "redraft.toml:4: redis.timeout: says the same as clients.timeout_s: give one of the two",
        ),
    ],
)
def test_one_mistake_gives_one_clear_sentence(problems, text: str, problem: str) -> None:
    assert problems(text) == [problem]


@pytest.mark.parametrize("host", ["db-1.example.org", "127.0.0.1", "::1", "fe80::1%eth0", "::ffff:10.0.0.1"])
def test_a_host_is_a_name_or_an_address(load_text, host: str) -> None:
    assert load_text(f'[nodes.a]\nhost = "{host}"').nodes["a"].host == host


def test_a_bad_value_of_a_redis_parameter_gets_redis_own_reason(problems) -> None:
    (problem,) = problems('[redis]\nmaxclients = "many"')
    assert problem.startswith('redraft.toml:2: redis.maxclients: "many" will not do: ')


def test_the_largest_lease_is_accepted(load_text) -> None:
    assert load_text("[raft]\nlease_ms = 585").raft.lease_ms == 585


def test_redis_parameters_reach_the_table_of_config_set(load_text) -> None:
    config = load_text(
        '[clients]\nproto_max_bulk_mb = 1\n[redis]\n"slowlog-log-slower-than" = 5\nlatency-tracking = false'
    )
    settings = Settings(config.redis_parameters())
    assert settings.proto_max_bulk_len == 1 << 20
    assert settings.slowlog_log_slower_than == 5
    assert settings.latency_tracking is False


def test_the_defaults_of_clients_are_those_of_config_set() -> None:
    assert Settings(load().redis_parameters()).get([b"*"]) == Settings().get([b"*"])


def test_a_redis_name_replaces_the_default_of_its_setting(load_text) -> None:
    assert Settings(load_text("[redis]\nmaxclients = 7").redis_parameters()).maxclients == 7


def test_the_secret_may_stand_in_a_file_of_its_own(load_text, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("  open sesame\n")
    assert load_text(f'[raft]\nsecret_file = "{tmp_path}/secret"').raft.secret == "open sesame"


def test_an_empty_secret_file_is_refused(problems, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("\n")
    assert problems(f'[raft]\nsecret_file = "{tmp_path}/secret"') == [
        "redraft.toml:2: raft.secret_file: secret is empty, it must hold the secret"
    ]


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda path: None, "No such file or directory"),
        (lambda path: path.mkdir(), "Is a directory"),
        (lambda path: path.write_bytes(b"a = '\xff'"), "this is not TOML: byte 5 is no UTF-8"),
    ],
)
def test_a_file_that_can_not_be_read_says_why(tmp_path: Path, make, problem: str) -> None:
    make(tmp_path / "x.toml")
    with pytest.raises(ConfigError, match=problem):
        load(tmp_path / "x.toml")


def test_a_node_that_is_not_in_the_file_is_told_those_that_are(load_text) -> None:
    config = load_text(THREE_NODES)
    with pytest.raises(ConfigError, match=r"redraft.toml has no node n9; it has n1, n2, n3"):
        config.node("n9")
    with pytest.raises(ConfigError, match=r"has the nodes n1, n2, n3: say with --node which one to run"):
        config.node(None)


def test_port_and_data_can_be_overridden_for_a_standalone_node() -> None:
    node = load().with_overrides(None, port=7000, data="/var/lib/x").node(None)
    assert (node.port, node.peer_port, node.data) == (7000, 17000, "/var/lib/x")


def test_the_port_of_a_clusters_node_can_not_be_overridden(load_text) -> None:
    config = load_text(THREE_NODES)
    assert config.with_overrides("n1", data="/x").node("n1").data == "/x"
    with pytest.raises(
        ConfigError, match=r"--port is for a standalone node: set nodes.n1.port in .* for all nodes"
    ):
        config.with_overrides("n1", port=9)


def test_a_data_directory_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    check_data_directory(load().with_overrides(None, data=str(tmp_path / "new" / "data")), "standalone")
    with pytest.raises(ConfigError, match=r"nodes.standalone.data: .*/file is not a directory"):
        check_data_directory(load().with_overrides(None, data=str(tmp_path / "file" / "data")), "standalone")


def test_times_become_ticks_of_half_a_heartbeat(load_text) -> None:
    raft = load_text("[raft]\nheartbeat_ms = 40\nelection_timeout_ms = 130\nlease_ms = 50").raft
    assert (raft.tick_s, raft.heartbeat_ticks, raft.election_ticks) == (0.02, 2, 7)


def test_lines_are_found_for_quoted_dotted_and_indented_keys() -> None:
    text = 'a.b = 1\n[x."y z"]\n  c = 2\n[n] # note\n"d-e".f = { g = 3 }\n'
    assert lines_of_keys(text) == {
        ("a",): 1,
        ("a", "b"): 1,
        ("x", "y z"): 2,
        ("x", "y z", "c"): 3,
        ("n",): 4,
        ("n", "d-e"): 5,
        ("n", "d-e", "f"): 5,
    }


def test_a_mark_in_front_of_the_file_is_nothing(tmp_path: Path) -> None:
    path = tmp_path / "redraft.toml"
    path.write_bytes(b'\xef\xbb\xbfcluster = "marked"')
    assert load(path).cluster == "marked"
