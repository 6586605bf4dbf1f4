"""MIGRATE, as far as it needs no other server; test_migrate.py has one."""

from tests.conformance.cases import Case

CASES = (
    Case(
        "what MIGRATE is called with",
        [
            ["SET", "k", "v"],
            ["MIGRATE", "127.0.0.1", "1", "nokey", "0", "100"],
            ["MIGRATE", "127.0.0.1", "1", "", "0", "100"],
            ["MIGRATE", "127.0.0.1", "1", "", "0", "100", "KEYS"],
            [
                "MIGRATE",
                "127.0.0.1",
                "1",
                "",
                "0",
                "100",
                "COPY",
                "replace",
                "AUTH2",
                "u",
                "p",
                "KEYS",
                "a",
                "b",
            ],
            ["MIGRATE", "127.0.0.1", "1", "k", "0", "100", "KEYS", "a"],
            ["MIGRATE", "127.0.0.1", "1", "k", "x", "100"],
            ["MIGRATE", "127.0.0.1", "1", "k", "0", "x"],
            ["MIGRATE", "127.0.0.1", "1", "k", "0", "100", "AUTH"],
            ["MIGRATE", "127.0.0.1", "1", "k", "0", "100", "AUTH2", "u"],
            ["MIGRATE", "127.0.0.1", "1", "k", "0", "100", "COPY", "nosuch"],
            ["MIGRATE", "127.0.0.1", "1", "k", "0"],
            ["COMMAND", "GETKEYS", "MIGRATE", "h", "1", "a", "0", "5"],
            ["COMMAND", "GETKEYS", "MIGRATE", "h", "1", "", "0", "5", "AUTH", "keys", "KEYS", "a", "b"],
        ],
    ),
)
