"""`redraft status`: putting together what nodes say, and saying what they do not."""

import socket
import threading
from collections.abc import Iterator
from io import StringIO

import pytest
from rich.console import Console

from server.operator.status import ClusterStatus, StatusError, ask, cluster_status, show
from tests.server.info_node import info_raft, serve

patience_s = 120.0


class Fakes:
    """Fake nodes in threads; a node that is not `started` refuses connections."""

    def __init__(self, names: str) -> None:
        self.listeners = {name: socket.create_server(("127.0.0.1", 0)) for name in names.split()}
        self.ports = {name: listener.getsockname()[1] for name, listener in self.listeners.items()}

    def start(self, name: str, info: str | None = None) -> None:
        """Answer for the node `name`; `info`: something else than a healthy node says."""

        def answer() -> None:
            try:
                serve(self.listeners[name], info or info_raft(name, self.ports))
            except OSError:
                return  # closed: the test is over

        threading.Thread(target=answer, daemon=True).start()

    def stop(self, name: str) -> None:
        """Refuse connections."""
        self.listeners[name].shutdown(socket.SHUT_RDWR)
        self.listeners[name].close()

    def status(self, name: str) -> ClusterStatus:
        """What one node leads to."""
        return cluster_status("127.0.0.1", self.ports[name], timeout_s=patience_s)

    def ask(self, name: str, password: str = "") -> dict[str, str]:
        """What one node says."""
        return ask("127.0.0.1", self.ports[name], password, patience_s)


@pytest.fixture
def fakes() -> Iterator[Fakes]:
    nodes = Fakes("n1 n2 n3")
    yield nodes
    for listener in nodes.listeners.values():
        if listener.fileno() != -1:
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()


def test_any_node_leads_to_all_of_them(fakes: Fakes) -> None:
    for name in fakes.ports:
        fakes.start(name)
    status = fakes.status("n2")
    assert not any(node.error for node in status.nodes)
    assert all(group.led for group in status.groups)
    assert [(node.name, node.port) for node in status.nodes] == list(fakes.ports.items())
    assert [(group.group, group.slots, group.leader, group.term) for group in status.groups] == [
        (0, "", "n1", 3),
        (1, "0-16383", "n1", 4),
    ]
    assert {replica.node: replica.lag for replica in status.groups[1].replicas} == {"n1": 0, "n2": 1, "n3": 1}


def test_a_node_that_is_down_is_reported_and_the_rest_still_shown(fakes: Fakes) -> None:
    fakes.start("n1")
    fakes.start("n2")
    fakes.stop("n3")
    status = fakes.status("n1")
    assert "can not be reached: Connection refused" in status.nodes[2].error
    assert status.groups[0].missing == ["n3"]
    assert [replica.node for replica in status.groups[0].replicas] == ["n1", "n2"]


def test_without_the_leader_the_followers_word_is_taken_and_the_lag_is_unknown(fakes: Fakes) -> None:
    fakes.start("n2")
    fakes.stop("n1")
    fakes.stop("n3")
    status = fakes.status("n2")
    assert (status.groups[0].leader, status.groups[0].led) == ("n1", False)
    assert status.groups[0].replicas[0].lag is None


def test_a_leader_of_an_older_term_is_not_believed(fakes: Fakes) -> None:
    # n1 was paused and still thinks that it leads; n2 has been elected since.
    fakes.start("n1")
    fakes.start(
        "n2",
        info_raft("n2", fakes.ports).replace(
            "role=follower,leader=n1,term=4", "role=leader,leader=n2,term=5"
        ),
    )
    fakes.stop("n3")
    group = fakes.status("n1").groups[1]
    assert (group.leader, group.term) == ("n2", 5)


def test_the_tables_name_nodes_groups_leaders_and_progress(fakes: Fakes) -> None:
    fakes.start("n1")
    fakes.start("n2")
    fakes.stop("n3")
    console = Console(width=40, file=StringIO(), record=True)  # cuts what it has no room for
    show(fakes.status("n1"), console)
    text = console.export_text()
    for word in (
        "cluster test",
        "routing forward",
        "0-16383",
        "follower",
        "1-10",
        "no answer",
        "Connection refused",
    ):
        assert word in text


def test_a_password_is_given_when_there_is_one(fakes: Fakes) -> None:
    fakes.start("n1")
    assert fakes.ask("n1", "right")["raft_node"] == "n1"
    with pytest.raises(StatusError, match="refuses: WRONGPASS"):
        fakes.ask("n1", "wrong")


def test_a_redis_that_is_not_redraft_is_recognised(fakes: Fakes) -> None:
    fakes.start("n1", "# Server\r\nredis_version:7.2.4\r\n")
    with pytest.raises(StatusError, match="is not a Redraft node"):
        fakes.ask("n1")


def test_an_info_of_another_format_is_an_error_and_no_traceback(fakes: Fakes) -> None:
    fakes.start("n1", info_raft("n1", fakes.ports).replace("term=4", "term=four"))
    for name in ("n2", "n3"):
        fakes.stop(name)
    with pytest.raises(StatusError, match="in a way that this version does not know"):
        fakes.status("n1")


def test_whoever_does_not_speak_the_protocol_is_an_error(fakes: Fakes) -> None:
    def greet() -> None:
        connection, _ = fakes.listeners["n1"].accept()
        with connection:
            connection.recv(100)
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    threading.Thread(target=greet, daemon=True).start()
    with pytest.raises(StatusError, match="does not speak the Redis protocol"):
        fakes.ask("n1")


def test_a_node_that_hangs_is_given_up(fakes: Fakes) -> None:
    with pytest.raises(StatusError, match=r"does not answer within 0\.05 seconds"):
        ask("127.0.0.1", fakes.ports["n1"], timeout_s=0.05)


def test_replicas_that_are_being_rebuilt_are_told_apart(fakes: Fakes) -> None:
    # The leader says who is a member. n2 gets the data again; n3 was taken out, and calls itself a follower still.
    for name in fakes.ports:
        fakes.start(name, info_raft(name, fakes.ports).replace("new=1", "voters=n1,learners=n2"))
    status = fakes.status("n1")
    group = status.groups[1]
    assert (group.learners, group.outsiders) == (["n2"], ["n3"])
    assert [group.role_of(replica) for replica in group.replicas] == ["leader", "learner", "no member"]
    console = Console(file=StringIO(), record=True)
    show(status, console)
    assert "no member" in console.export_text()
