"""What the core raises. Refusals change nothing: the caller may try again, here or elsewhere."""


class RaftError(Exception):
    """Any refusal of the core."""


class NotLeader(RaftError):
    """Only a leader does this. `leader` is the one we know of, 0 for none."""

    def __init__(self, leader: int) -> None:
        super().__init__(f"not the leader; the leader is {leader or 'unknown'}")
        self.leader = leader


class ProposalDropped(RaftError):
    """Not appended, and never will be: a leadership transfer goes on, or too much is uncommitted already."""


class EntryTooLarge(ProposalDropped):
    """It would be dropped however often it is tried."""


class ConfChangePending(RaftError):
    """A membership change is still under way (or may be, right after an election): ask again later."""


class ConfChangeInvalid(RaftError):
    """The membership change makes no sense for the present members."""


class Corrupted(Exception):
    """The log contradicts what was acknowledged or elected: data was lost, or two nodes share an id.

    Not to be caught and gone on from: stop the replica and rebuild it from its peers.
    """
