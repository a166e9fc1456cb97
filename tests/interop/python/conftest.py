"""What the tests share: a service client for a hub of its own, and WebSocket clients of it.

Nothing sleeps. That a frame does not arrive is shown by a later one arriving first.
"""

import itertools
import json
import os
from dataclasses import dataclass

import pytest
import websocket
from azure.messaging.webpubsubservice import WebPubSubServiceClient

JSON_SUBPROTOCOL = "json.webpubsub.azure.v1"
WAIT_SECONDS = 10

_hubs = itertools.count(1)


@dataclass
class Closed:
    """The close frame that ended a connection."""

    code: int
    reason: str


class Client:
    """A WebSocket client: simple without a subprotocol, JSON with it."""

    def __init__(self, url, subprotocol=None, header=None):
        self._socket = websocket.create_connection(
            url,
            timeout=WAIT_SECONDS,
            subprotocols=[subprotocol] if subprotocol else None,
            header=header or [],
        )
        self.id = None
        if subprotocol == JSON_SUBPROTOCOL:
            self.connected = self.next_json()
            assert self.connected["event"] == "connected"
            self.id = self.connected["connectionId"]

    def next(self):
        """The next frame: str for text, bytes for binary, `Closed` for the end."""
        code, data = self._socket.recv_data()
        if code == websocket.ABNF.OPCODE_CLOSE:
            return Closed(int.from_bytes(data[:2], "big"), data[2:].decode())
        return data.decode() if code == websocket.ABNF.OPCODE_TEXT else data

    def next_json(self):
        return json.loads(self.next())

    def data(self, count):
        """The payloads of the next `count` message frames."""
        return [self.next_json()["data"] for _ in range(count)]

    def request(self, **frame):
        """Sends a frame with an ack id and returns its ack, which must come next."""
        self._socket.send(json.dumps(frame))
        ack = self.next_json()
        assert (ack["type"], ack["ackId"]) == ("ack", frame["ackId"])
        return ack

    def close(self):
        self._socket.shutdown()


def service_for(hub, *, emulator="WebPubSubConnectionString", **options):
    return WebPubSubServiceClient.from_connection_string(os.environ[emulator], hub=hub, **options)


def new_hub():
    """The name of a hub that no other test uses, also on a resource that others use too."""
    return f"{os.environ.get('InteropHubs', 'interop')}_py_{os.getpid()}_{next(_hubs)}"


@pytest.fixture
def service():
    with service_for(new_hub()) as client:
        yield client
        if "InteropHubs" in os.environ:
            client.close_all_connections()


@pytest.fixture
def handled_service():
    """As `service`, where the event handlers of `tests/interop/handler` answer."""
    if "HandlerEmulatorConnectionString" not in os.environ:
        pytest.skip("only an emulator reaches the event handlers of the tests")
    with service_for(new_hub(), emulator="HandlerEmulatorConnectionString") as client:
        yield client


@pytest.fixture
def connect(service):
    """Connects clients to the hub of `service` and hangs up after the test."""
    clients = []

    def connect(subprotocol=JSON_SUBPROTOCOL, **token):
        client = Client(service.get_client_access_token(**token)["url"], subprotocol)
        clients.append(client)
        return client

    yield connect
    for client in clients:
        client.close()
