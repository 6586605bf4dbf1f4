"""A client in one line, as CLIENT LIST and ACL LOG have it."""

from time import time

from server.commands.client_filter import client_flags
from server.session import Session


def describe_client(session: Session) -> bytes:
    """One line of CLIENT LIST, without its line end."""
    now_s = time()
    output_bytes = session.outlet.output_bytes
    subscribed = [len(names) for names in session.subscriptions or ((), (), ())]
    fields = (
        f"id={session.id} addr={session.address} laddr={session.local_address} fd=-1 "
        f"name={session.name.decode('latin-1')} age={int(now_s - session.connected_at_s)} "
        f"idle={int(now_s - session.last_active_s)} flags={client_flags(session)} "
        f"capa={session.capabilities} db={session.db} "
        f"sub={subscribed[0]} psub={subscribed[1]} ssub={subscribed[2]} "
        f"multi={-1 if session.queue is None else len(session.queue)} "
        f"watch={len(session.watched or ())} qbuf={session.outlet.query_bytes} qbuf-free=0 "
        f"argv-mem=0 multi-mem={session.queued_bytes} rbs=0 rbp=0 obl={output_bytes} oll=0 omem={output_bytes} "
        f"tot-mem={session.memory_bytes} events=r cmd={session.last_command} "
        f"user={session.user.decode('latin-1')} "
        f"redir={-1 if session.tracking is None else session.tracking.redirect} resp={session.protocol} "
        f"lib-name={session.library_name.decode('latin-1')} lib-ver={session.library_version.decode('latin-1')} "
        f"tot-net-in={session.net_input_bytes} tot-net-out={session.net_output_bytes} "
        f"tot-cmds={session.total_commands}"
    )
    return fields.encode("latin-1")
