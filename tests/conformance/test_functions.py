"""FUNCTION DUMP, from a real Valkey to Redraft and back: what one has dumped the other restores, the same libraries."""

from tests.conformance.cases.functions import COMMENTED, F, function, library
from tests.conformance.harness.servers import HOST, Server
from tests.conformance.harness.wire import Connection, Reply

TEXTS = {
    "short": library(F.replace("'f'", "'short'"), "short"),
    "l": COMMENTED,
    "flags": function("return 1", "'no-writes'").replace("name=l", "name=flags").replace("'f'", "'g'"),
    "long": library("-- " + "".join(map(str, range(9000))) + "\n" + F.replace("'f'", "'long'"), "long"),
}


def libraries(client: Connection) -> set[str]:
    return {str(client.ask("FUNCTION", "LIST", "LIBRARYNAME", name, "WITHCODE")) for name in TEXTS}


def test_each_restores_what_the_other_has_dumped(valkey: Server, redraft: Server) -> None:
    with Connection(HOST, valkey.port, 2) as theirs, Connection(HOST, redraft.port, 2) as ours:
        for giver, taker in ((theirs, ours), (ours, theirs)):
            for client in (giver, taker):
                assert client.ask("FUNCTION", "FLUSH") == Reply("+", b"OK")
            for text in TEXTS.values():
                giver.ask("FUNCTION", "LOAD", text)
            payload = giver.ask("FUNCTION", "DUMP").value
            assert taker.ask("FUNCTION", "RESTORE", payload) == Reply("+", b"OK")
            assert libraries(giver) == libraries(taker)
            assert taker.ask("FCALL", "long", "1", "k") == giver.ask("FCALL", "long", "1", "k")
            assert taker.ask("FUNCTION", "FLUSH") == Reply("+", b"OK")
            assert giver.ask("FUNCTION", "FLUSH") == Reply("+", b"OK")
