"""README's table of command families says what the command table says."""

from redis import Redis

from tests.conformance import families
from tests.conformance.harness.servers import HOST, Server


def test_the_readme_names_what_is_there(valkey: Server) -> None:
    with Redis(HOST, valkey.ports[0]) as client:
        made = families.table(families.valkeys_groups(client))
    readme = families.README.read_text()
    assert families.with_table(readme, made) == readme, "run python -m tests.conformance.families"
