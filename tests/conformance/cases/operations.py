"""What monitoring and frameworks send about the server: COMMANDLOG, CLIENT IMPORT-SOURCE, INFO, LATENCY, refusals."""

from tests.conformance.cases import Case

CASES = [
    Case(
        "COMMANDLOG",
        [
            ["CONFIG", "SET", "commandlog-execution-slower-than", "-1"],
            ["COMMANDLOG", "HELP"],
            ["COMMANDLOG", "RESET", "slow"],
            ["COMMANDLOG", "RESET", "large-request"],
            ["COMMANDLOG", "RESET", "Large-Reply"],
            ["COMMANDLOG", "RESET", "nosuch"],
            ["COMMANDLOG", "LEN", "SLOW"],
            ["COMMANDLOG", "LEN", "nosuch"],
            ["COMMANDLOG", "GET", "-1", "slow"],
            ["COMMANDLOG", "GET", "10", "large-request"],
            ["COMMANDLOG", "GET", "x", "slow"],
            ["COMMANDLOG", "GET", "-2", "slow"],
            ["COMMANDLOG", "GET", "1", "nosuch"],
            ["COMMANDLOG", "GET", "1"],
            ["COMMANDLOG", "NOSUCH"],
            ["COMMANDLOG"],
            ["CONFIG", "SET", "commandlog-execution-slower-than", "10000"],
        ],
    ),
    Case(
        "CLIENT IMPORT-SOURCE and CAPA",
        [
            ["CLIENT", "IMPORT-SOURCE", "on"],
            ["CLIENT", "IMPORT-SOURCE", "maybe"],
            ["CLIENT", "IMPORT-SOURCE", "OFF"],
            ["CONFIG", "SET", "import-mode", "yes"],
            ["CLIENT", "IMPORT-SOURCE", "ON"],
            ["CLIENT", "IMPORT-SOURCE", "maybe"],
            ["CLIENT", "IMPORT-SOURCE", "off"],
            ["CONFIG", "SET", "import-mode", "no"],
            ["CLIENT", "CAPA", "redirect"],
            ["CLIENT", "CAPA", "nosuch", "redirect"],
            ["CLIENT", "CAPA"],
        ],
    ),
    Case(
        "keys of slots, without a cluster",
        [
            ["CLUSTERSCAN", "0"],
            ["CLUSTERSCAN"],
            ["CLUSTER", "SLOT-STATS", "SLOTSRANGE", "0", "1"],
            ["CLUSTER", "FLUSHSLOT", "1"],
            ["CLUSTER", "GETSLOTMIGRATIONS"],
            ["CLUSTER", "CANCELSLOTMIGRATIONS"],
            ["CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", "1", "2", "NODE", "x"],
            ["CLUSTER", "SYNCSLOTS", "x"],
            ["CLUSTER", "MYSHARDID"],
            ["CLUSTER", "COUNT-FAILURE-REPORTS", "x"],
        ],
    ),
    Case(
        "what replicates by hand is refused",
        [
            ["REPLCONF", "listening-port", "1"],
            ["LATENCY", "HISTORY", "nosuch"],
            ["LATENCY", "GRAPH", "nosuch"],
            ["INFO", "nosuch", "alsonot"],
            ["MODULE", "NOSUCH"],
        ],
    ),
]
