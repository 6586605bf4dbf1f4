"""The one error that means: the cluster under simulation did something that Raft forbids."""


class InvariantViolation(AssertionError):
    """`rule` is the short name of the broken rule, the message says who broke it and how."""

    def __init__(self, rule: str, detail: str) -> None:
        super().__init__(f"{rule}: {detail}")
        self.rule = rule
        self.detail = detail

    def __reduce__(self) -> tuple[type["InvariantViolation"], tuple[str, str]]:
        # Runs happen in worker processes: the error must survive pickling.
        return InvariantViolation, (self.rule, self.detail)
