"""How do messages get from one host to another, and what can a peer do to us at most?

A `Listener` binds an address and hears many peers (a ROUTER socket); a `Connection` goes to one listener and comes
back by itself after every break (a DEALER). Both belong to one thread and take no lock. Neither ever waits for a peer:
`send` takes a message or says that it can't, and only `receive` waits, for as long as it is told.

    layer above       Connection          |  network  |        Listener           layer above
    send(m) ------->  queue  --> libzmq ==== CURVE ====> libzmq --> queue ------> receive() -> [(peer, m)]
              False if full or not connected           refuses strangers, damaged messages, other versions

One session, one peer. Every TCP connection gets a new PeerId from the listener, and a break throws away what was under
way in both directions (IMMEDIATE on this side, MANDATORY on that). So nothing is ever said to the wrong session: what
follows a break is a new peer, which has to introduce itself. `Connection.sessions` counts the connections that stood;
who sees it rise says HELLO again, and passes over everything until the WELCOME that names his session.

What is bounded: a message by `max_message_bytes` (libzmq closes a connection that announces more, before it has the
bytes); the queues to and from each peer by `queue_messages`; a handshake by HANDSHAKE_SECONDS; what one `receive`
returns by BATCH_MESSAGES; connections to a listener by half of the files that may be open; the log by one line a peer,
and for strangers by one a minute. Peers are heard only after both sides proved to hold the cluster's key (see
`admission`), so a stranger reaches no line of this package.
"""

from __future__ import annotations

import logging
from collections import OrderedDict

import zmq

from mapreduce.errors import ResourceError, WireError
from mapreduce.settings import MiB
from mapreduce.wire.admission import Context, open_client, open_server
from mapreduce.wire.gate import FAILURES, Gate, open_monitor, read_events
from mapreduce.wire.keys import ClusterKey, parse_address, resolve
from mapreduce.wire.messages import Kind, Message, Refused, decode_message, encode_message
from mapreduce.wire.port import SILENCE_SECONDS, Port

_log = logging.getLogger(__name__)

PeerId = bytes
"""A connection, as the listener names it. Never used again while the listener lives."""

MAX_MESSAGE_BYTES = 64 * MiB
QUEUE_MESSAGES = 1000

RECONNECT_SECONDS = 0.1
RECONNECT_MAX_SECONDS = 2.0
"""From the first attempt to come back to the rhythm of later ones: soon enough for a restarted tracker, and a thousand
agents are no flood."""

LINGER_SECONDS = 0.5
"""At the end, for a BYE that is still in the queue."""

BATCH_MESSAGES = 256
"""Of one `receive`: the loop above has other things to do."""

DROPPED_PEERS = 4096
"""So many are remembered. One that is forgotten and speaks again is refused again."""

_CLIENT_EVENTS = sum(FAILURES) | zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED

_TROUBLES: dict[int, str] = {
    zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL: "it hung up before any proof: it holds another key, or is no tracker",
    zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL: "it did not prove to hold our key",
    zmq.EVENT_HANDSHAKE_FAILED_AUTH: "it refused our key",
}


class Listener(Port):
    """Hears all members of the cluster that connect. Port 0 or `*`: any that is free; `address` then has it.

    Raises ResourceError if the address can't be bound. A second `close` is harmless.
    """

    def __init__(
        self,
        address: str,
        key: ClusterKey,
        *,
        max_message_bytes: int = MAX_MESSAGE_BYTES,
        queue_messages: int = QUEUE_MESSAGES,
        max_connections: int | None = None,
    ) -> None:
        wanted = parse_address(address)
        host = wanted.host if wanted.host == "*" else resolve(wanted.host)[0]
        context: Context = zmq.Context()
        super().__init__(context, open_server(context, zmq.ROUTER, key), max_message_bytes, queue_messages)
        self.socket.router_mandatory = 1  # a peer that is gone is told of, not passed over in silence
        # ROUTER_HANDOVER stays off: nobody takes the name of another
        self.socket.ipv6 = int(":" in host)
        self._gate = Gate(context, self.socket, key, max_connections)
        self._watch(self.socket, *self._gate.sockets)
        self.address = wanted.endpoint
        self._dropped: OrderedDict[PeerId, None] = OrderedDict()
        try:
            self.socket.bind(wanted.endpoint if host == "*" else type(wanted)(host, wanted.port).endpoint)
        except zmq.ZMQError as error:
            self.close()
            raise ResourceError(f"can't listen at {address}: {error.strerror}") from error
        self.address = bytes(self.socket.get(zmq.LAST_ENDPOINT)).rstrip(b"\0").decode()

    @property
    def port(self) -> int:
        return parse_address(self.address).port

    @property
    def connections(self) -> int:
        """Open now, of members and of those who have not proved anything yet."""
        return self._gate.connections

    @property
    def strangers(self) -> int:
        """Connections so far that were not let in."""
        return self._gate.strangers

    def receive(self, timeout_seconds: float) -> list[tuple[PeerId, Message]]:
        """What peers said, in the order of each; waits for the first message, but not longer than that."""
        found: list[tuple[PeerId, Message]] = []
        self._await(lambda: self._look(found), timeout_seconds)
        self._ring_if_more()
        return found

    def send(self, peer: PeerId, message: Message) -> bool:
        """Give a message for a peer to libzmq, if it is connected and its queue not full: whether that was so. Never
        waits. Raises WireError if the message is longer than may be sent."""
        return self._send_frames([peer, *encode_message(message)])

    def drop(self, peer: PeerId) -> None:
        """Hear no more of this peer. Say why first: libzmq can't close one connection of many."""
        self._dropped[peer] = None
        if len(self._dropped) > DROPPED_PEERS:
            self._dropped.popitem(last=False)

    def close(self) -> None:
        """What is queued has half a second to leave."""
        if not self.closed:
            self._gate.close()
            self._close(LINGER_SECONDS)
            self._context.term()

    def _look(self, found: list[tuple[PeerId, Message]]) -> bool:
        """Take what is there; whether that was anything for the layer above."""
        self._gate.serve(self.address)
        for _ in range(BATCH_MESSAGES):
            frames = self._receive_frames()
            if frames is None:
                break
            peer, *rest = frames
            if peer in self._dropped:
                continue
            try:
                if peer[0]:
                    raise WireError("it gave itself a name, and names are given here")
                found.append((peer, decode_message(rest)))
            except WireError as error:
                self._refuse(peer, error)
        else:
            return True
        return bool(found)

    def _refuse(self, peer: PeerId, error: WireError) -> None:
        _log.warning("a peer of %s was refused: %s", self.address, error)
        self.send(peer, Message(Kind.REFUSED, body=Refused(str(error)).encode()))
        self.drop(peer)


class Connection(Port):
    """Goes to one listener, and comes back by itself. Nothing is sent, nor queued, while it is not there.

    `sessions` counts how often it stood, `connected` is whether it does, and `trouble` why not, in words for a person.
    `context`: connections may share one, which the caller ends; each has its own otherwise. A second `close` is
    harmless.
    """

    def __init__(
        self,
        address: str,
        key: ClusterKey,
        *,
        max_message_bytes: int = MAX_MESSAGE_BYTES,
        queue_messages: int = QUEUE_MESSAGES,
        context: Context | None = None,
    ) -> None:
        wanted = parse_address(address)
        self.address = wanted.endpoint
        self._owns_context = context is None
        used: Context = zmq.Context() if context is None else context
        super().__init__(used, open_client(used, zmq.DEALER, key), max_message_bytes, queue_messages)
        self.sessions = 0
        self.connected = False
        self.trouble = "nobody answers there"
        self.refusals = 0  # handshakes in a row that did not come to their end
        self._damage: WireError | None = None
        self.socket.immediate = 1  # what was queued for a connection ends with it
        self.socket.reconnect_ivl = round(RECONNECT_SECONDS * 1000)
        self.socket.reconnect_ivl_max = round(RECONNECT_MAX_SECONDS * 1000)
        self.socket.connect_timeout = round(SILENCE_SECONDS * 1000)
        self.socket.ipv6 = int(":" in resolve(wanted.host)[0])
        self._monitor = open_monitor(used, self.socket, _CLIENT_EVENTS)
        self._watch(self.socket, self._monitor)
        self.socket.connect(self.address)

    def receive(self, timeout_seconds: float) -> list[Message]:
        """What the listener said; waits for a message, or for the connection to come or go, but not longer than that.

        Look at `sessions` after it: if it has risen, this is another session. Raises WireError if the other side speaks
        another version, or sends what is no message.
        """
        found: list[Message] = []
        self._await(lambda: self._look(found), timeout_seconds)
        self._ring_if_more()
        return found

    def send(self, message: Message) -> bool:
        """Give a message to libzmq, if it is connected and its queue not full: whether that was so. Never waits. Raises
        WireError if the message is longer than may be sent."""
        if not self.connected:
            return False
        return self._send_frames(encode_message(message))

    def close(self) -> None:
        """What is queued has half a second to leave, if it is connected."""
        if not self.closed:
            self.socket.disable_monitor()
            self._monitor.close(linger=0)
            self._close(LINGER_SECONDS if self.connected else 0)
            if self._owns_context:
                self._context.term()

    def _look(self, found: list[Message]) -> bool:
        changed = False
        for event in read_events(self._monitor):
            changed = True
            if event.kind == zmq.EVENT_HANDSHAKE_SUCCEEDED:
                self.sessions += 1
                self.connected, self.trouble, self.refusals = True, "", 0
            elif event.kind == zmq.EVENT_DISCONNECTED:
                self.connected, self.trouble = False, self.trouble or "the connection broke"
            else:
                self.trouble = _TROUBLES[event.kind]
                self.refusals += 1
        if self._damage is not None:
            raise self._damage
        for _ in range(BATCH_MESSAGES):
            frames = self._receive_frames()
            if frames is None:
                break
            try:
                found.append(decode_message(frames))
            except WireError as error:
                if not found:
                    raise
                self._damage = error  # for the next time: what came before it is good
                break
        return changed or bool(found)
