"""The official Python real-time client: both editions, on both JSON subprotocols.

The package has no invocations, streams, group state and keep-alive pings.
"""

import os
import re
from urllib.parse import urlsplit

import pytest
from azure.messaging.webpubsubclient.models import CallbackType, OpenClientError, SendMessageError, WebPubSubDataType

from conftest import service_for
from realtime import EDITIONS, PROTOCOLS, Line

TEXT = {"content_type": "text/plain"}
ROLES = ["webpubsub.joinLeaveGroup", "webpubsub.sendToGroup"]
ONCE = {"message_retry_total": 0}
SENTENCE = "Application server closed the connection."
BYTES = b"\x00\x01\xfe\xff"
ANY = bytes([10, 1, 84, 18, 2, 8, 1])
EACH_TYPE = [
    (WebPubSubDataType.TEXT, "hi ü😀"),
    (WebPubSubDataType.TEXT, ""),
    (WebPubSubDataType.JSON, {"n": 1, "list": [True, None]}),
    (WebPubSubDataType.JSON, "text"),
    (WebPubSubDataType.BINARY, BYTES),
    (WebPubSubDataType.PROTOBUF, ANY),
]


def content(data):
    """As the package takes it: bytes as a view."""
    return memoryview(data) if isinstance(data, bytes) else data


@pytest.fixture(params=EDITIONS)
def edition(request):
    return EDITIONS[request.param]


@pytest.fixture(params=PROTOCOLS)
def protocol(request):
    return PROTOCOLS[request.param]


@pytest.fixture
def start(edition, protocol):
    """Starts clients of a service and stops them after the test."""
    clients = []

    def start(service, token=None, **options):
        # Read at each connect, so that a test can change it in between.
        token = {"roles": ROLES} if token is None else token
        client = edition(
            lambda: service.get_client_access_token(**token)["url"],
            protocol_type=options.pop("protocol_type", protocol),
            **options,
        )
        clients.append(client)
        client.open()
        connected = client.inboxes.next(CallbackType.CONNECTED)
        client.connection_id, client.user_id = connected.connection_id, connected.user_id
        return client

    yield start
    for client in clients:
        client.dispose()


class TestConnection:
    def test_connected_names_connection_and_user(self, service, start):
        client = start(service, {"user_id": "ana"})
        assert client.user_id == "ana"
        assert service.connection_exists(client.connection_id)

    def test_close_ends_it(self, service, start):
        client = start(service, reconnect_retry_total=0)
        client.close()
        assert client.inboxes.next(CallbackType.DISCONNECTED).connection_id == client.connection_id
        client.inboxes.next(CallbackType.STOPPED)

    def test_a_refused_token_fails_open(self, service, edition, protocol):
        url = service.get_client_access_token()["url"] + "x"
        client = edition(lambda: url, protocol_type=protocol)
        with pytest.raises(OpenClientError, match="401"):
            client.open()
        client.dispose()

    def test_a_client_closed_by_the_service_says_why_and_joins_its_groups_again(self, service, start):
        client = start(service)
        client.join_group("room")
        service.close_connection(client.connection_id, reason="bye")
        disconnected = client.inboxes.next(CallbackType.DISCONNECTED)
        assert disconnected.connection_id == client.connection_id
        assert disconnected.message == f"{SENTENCE} Reason: bye"
        again = client.inboxes.next(CallbackType.CONNECTED).connection_id
        assert again != client.connection_id
        # The package joins in the background and says nothing of it; the ack of a join after that is one of its kind.
        client.join_group("room")
        service.send_to_group("room", "welcome back", **TEXT)
        assert client.inboxes.next_data() == ("text", "welcome back")

    def test_a_group_that_may_not_be_joined_again_is_reported(self, service, start):
        token = {"roles": ROLES}
        client = start(service, token, **ONCE)
        client.join_group("room")
        token["roles"] = []
        service.close_connection(client.connection_id)
        failed = client.inboxes.next(CallbackType.REJOIN_GROUP_FAILED)
        assert failed.group == "room"
        assert failed.error.error_detail.name == "Forbidden"

    def test_without_reconnect_it_stops(self, service, start):
        client = start(service, reconnect_retry_total=0)
        service.close_all_connections()
        assert client.inboxes.next(CallbackType.DISCONNECTED).connection_id == client.connection_id
        client.inboxes.next(CallbackType.STOPPED)


class TestGroups:
    def test_join_send_and_leave(self, service, start):
        ana, bob = start(service, {"user_id": "ana", "roles": ROLES}), start(service)
        ana.join_group("room")
        bob.join_group("room")
        ana.send_to_group("room", "hi", WebPubSubDataType.TEXT)
        for client in (ana, bob):
            message = client.inboxes.next(CallbackType.GROUP_MESSAGE)
            assert (message.group, message.from_user_id, message.data) == ("room", "ana", "hi")
        bob.leave_group("room")
        ana.send_to_group("room", "bob is gone", WebPubSubDataType.TEXT)
        bob.join_group("room")
        ana.send_to_group("room", "bob is back", WebPubSubDataType.TEXT)
        assert bob.inboxes.next_data() == ("text", "bob is back")

    def test_every_data_type_arrives_as_it_was_sent(self, service, start):
        client = start(service)
        client.join_group("room")
        for data_type, data in EACH_TYPE:
            client.send_to_group("room", content(data), data_type)
            assert client.inboxes.next_data() == (data_type.value, data)

    def test_no_echo_spares_the_sender_and_ack_can_be_declined(self, service, start):
        ana, bob = start(service), start(service)
        ana.join_group("room")
        bob.join_group("room")
        ana.send_to_group("room", "1", WebPubSubDataType.TEXT, no_echo=True)
        assert bob.inboxes.next_data() == ("text", "1")
        ana.send_to_group("room", "2", WebPubSubDataType.TEXT, no_echo=True, ack=False)
        assert bob.inboxes.next_data() == ("text", "2")
        ana.send_to_group("room", "3", WebPubSubDataType.TEXT, ack=False)
        assert bob.inboxes.next_data() == ana.inboxes.next_data() == ("text", "3")
        assert ana.inboxes.is_empty(CallbackType.GROUP_MESSAGE)

    def test_what_is_not_permitted_fails_with_forbidden_and_the_connection_stays(self, service, start):
        client = start(service, {"roles": ["webpubsub.joinLeaveGroup.mine"]}, **ONCE)
        refusals = [
            (lambda: client.join_group("other"), "The client does not have permission to join group 'other'."),
            (lambda: client.leave_group("other"), "The client does not have permission to leave group 'other'."),
            (
                lambda: client.send_to_group("mine", "x", WebPubSubDataType.TEXT),
                "The client does not have permission to send to group 'mine'.",
            ),
        ]
        for call, message in refusals:
            with pytest.raises(SendMessageError) as failure:
                call()
            detail = failure.value.error_detail
            assert (detail.name, detail.message) == ("Forbidden", message)
        client.join_group("mine")
        service.send_to_group("mine", "still here", **TEXT)
        assert client.inboxes.next_data() == ("text", "still here")

    def test_a_repeated_ack_id_is_a_success_and_nothing_more(self, service, start):
        # req: S-6-3
        client = start(service)
        client.join_group("room")
        client.send_to_group("room", "once", WebPubSubDataType.TEXT, ack_id=77)
        assert client.inboxes.next_data() == ("text", "once")
        client.send_to_group("room", "twice", WebPubSubDataType.TEXT, ack_id=77)
        client.send_to_group("room", "end", WebPubSubDataType.TEXT)
        assert client.inboxes.next_data() == ("text", "end")
        assert client.inboxes.is_empty(CallbackType.GROUP_MESSAGE)

    def test_a_failed_frame_does_not_use_up_its_ack_id(self, service, start):
        # req: S-6-6
        client = start(service, {"roles": []}, **ONCE)
        with pytest.raises(SendMessageError):
            client.join_group("room", ack_id=5)
        service.grant_permission("joinLeaveGroup", client.connection_id, target_name="room")
        client.join_group("room", ack_id=5)
        service.send_to_group("room", "joined", **TEXT)
        assert client.inboxes.next_data() == ("text", "joined")


class TestServer:
    def test_messages_of_every_kind(self, service, start):
        client = start(service, {"user_id": "ana"})
        sends = [
            (lambda: service.send_to_user("ana", {"n": 1}), ("json", {"n": 1})),
            (
                lambda: service.send_to_connection(client.connection_id, BYTES, content_type="application/octet-stream"),
                ("binary", BYTES),
            ),
            (lambda: service.send_to_all("bye", **TEXT), ("text", "bye")),
        ]
        for send, expected in sends:
            send()
            assert client.inboxes.next_data(CallbackType.SERVER_MESSAGE) == expected

    def test_an_answer_of_every_data_type(self, handled_service, start):
        # req: S-6-9
        client = start(handled_service)
        for data_type, data in EACH_TYPE:
            client.send_event("echo", content(data), data_type)
            assert client.inboxes.next_data(CallbackType.SERVER_MESSAGE) == (data_type.value, data)
        client.send_event("silent", "x", WebPubSubDataType.TEXT)
        client.send_event("echo", "declined", WebPubSubDataType.TEXT, ack=False)
        assert client.inboxes.next_data(CallbackType.SERVER_MESSAGE) == ("text", "declined")

    def test_the_handler_knows_who_sent_the_event(self, handled_service, start):
        client = start(handled_service, {"user_id": "ana"})
        client.send_event("context", {}, WebPubSubDataType.JSON)
        assert client.inboxes.next_data(CallbackType.SERVER_MESSAGE)[1] == {
            "hub": handled_service._config.hub,
            "connectionId": client.connection_id,
            "userId": "ana",
            "eventName": "context",
            "eventId": 2,  # `connected` was the first
        }

    @pytest.mark.parametrize("handled", [True, False])
    def test_a_failure_and_a_missing_handler_are_internal_errors(self, handled, service, handled_service, start):
        # req: S-6-8
        client = start(handled_service if handled else service, **ONCE)
        with pytest.raises(SendMessageError) as failure:
            client.send_event("fail", "x", WebPubSubDataType.TEXT)
        detail = failure.value.error_detail
        assert (detail.name, detail.message) == ("InternalServerError", "Internal server error")
        client.send_event("fail", "x", WebPubSubDataType.TEXT, ack=False)
        (handled_service if handled else service).send_to_all("still here", **TEXT)
        assert client.inboxes.next_data(CallbackType.SERVER_MESSAGE) == ("text", "still here")


class TestRecovery:
    @pytest.fixture
    def protocol(self):
        return PROTOCOLS["reliable json"]

    @pytest.fixture
    def line(self):
        endpoint = urlsplit(re.search("Endpoint=([^;]+)", os.environ["WebPubSubConnectionString"]).group(1))
        if endpoint.scheme == "https":
            pytest.skip("the line to a resource with TLS cannot be cut: its certificate is for another name")
        line = Line(endpoint.hostname, endpoint.port)
        yield line
        line.close()

    @pytest.fixture
    def near(self, line, monkeypatch, service):
        """The hub of `service`, reached through the line."""
        connection_string = os.environ["WebPubSubConnectionString"]
        through = re.sub("Endpoint=[^;]+", f"Endpoint=http://127.0.0.1:{line.port}", connection_string)
        monkeypatch.setenv("ConnectionStringOfTheLine", through)
        with service_for(service._config.hub, emulator="ConnectionStringOfTheLine") as client:
            yield client

    def test_messages_sent_while_the_socket_was_lost_arrive_once_and_in_order(self, service, near, line, start):
        # req: S-7.2-1, S-7.2-5
        client = start(near, {"user_id": "ana", "roles": ROLES})
        client.join_group("room")
        line.cut()
        for n in range(500):
            service.send_to_group("room", {"n": n})
        line.mend()
        messages = [client.inboxes.next(CallbackType.GROUP_MESSAGE) for _ in range(500)]
        messages.sort(key=lambda message: message.sequence_id)
        assert [message.data["n"] for message in messages] == list(range(500))
        first = messages[0].sequence_id
        assert [message.sequence_id for message in messages] == list(range(first, first + 500))
        assert service.connection_exists(client.connection_id)
        client.send_to_group("room", "still here", WebPubSubDataType.TEXT)
        assert client.inboxes.next_data() == ("text", "still here")
        assert client.inboxes.is_empty(CallbackType.CONNECTED)

    def test_a_session_that_ended_meanwhile_is_replaced_by_a_new_one(self, service, near, line, start):
        client = start(near)
        client.join_group("room")
        line.cut()
        service.close_connection(client.connection_id)
        line.mend()
        assert client.inboxes.next(CallbackType.CONNECTED).connection_id != client.connection_id
        client.join_group("room")
        service.send_to_group("room", "welcome back", **TEXT)
        assert client.inboxes.next_data() == ("text", "welcome back")
