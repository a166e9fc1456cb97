"""Every operation of the official Python service client, judged by what connected clients notice."""

import base64
import io
import os

import jwt
import pytest
import websocket
from azure.core.credentials import AzureKeyCredential
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError, ResourceNotFoundError
from azure.messaging.webpubsubservice import WebPubSubServiceClient

from conftest import Client, Closed, service_for

TEXT = {"content_type": "text/plain"}
BINARY = {"content_type": "application/octet-stream"}
SENTENCE = "Application server closed the connection."


class TestSendToAll:
    def test_every_kind_of_body_reaches_a_simple_client_in_order(self, service, connect):
        client = connect(subprotocol=None)
        service.send_to_all("Hello", **TEXT)
        service.send_to_all({"hello": "wörld"})
        service.send_to_all("quoted")
        service.send_to_all(b"\x00\x01\xff", **BINARY)
        service.send_to_all(io.BytesIO(b"streamed"), **BINARY, headers={"Content-Length": "8"})
        assert client.next() == "Hello"
        assert client.next_json() == {"hello": "wörld"}
        assert client.next() == '"quoted"'
        assert client.next() == b"\x00\x01\xff"
        assert client.next() == b"streamed"

    def test_json_clients_get_server_messages(self, service, connect):
        client = connect()
        service.send_to_all("Hello", **TEXT)
        service.send_to_all([1, {"a": None}])
        service.send_to_all(b"\x01\x02\x03", **BINARY)
        assert client.next() == '{"type":"message","from":"server","dataType":"text","data":"Hello"}'
        assert client.next_json() == {"type": "message", "from": "server", "dataType": "json", "data": [1, {"a": None}]}
        assert client.next_json() == {"type": "message", "from": "server", "dataType": "binary", "data": "AQID"}

    def test_excluded_and_filter(self, service, connect):
        ana, bob = connect(user_id="ana"), connect(user_id="bob")
        service.send_to_all("not ana", excluded=[ana.id, "nobody"], **TEXT)
        service.send_to_all("only ana", filter="userId eq 'ana'", **TEXT)
        service.send_to_all("end", params={"messageTtlSeconds": 60}, **TEXT)
        assert ana.data(2) == ["only ana", "end"]
        assert bob.data(2) == ["not ana", "end"]


class TestSendToOthers:
    def test_user_and_connection(self, service, connect):
        first, second, other = connect(user_id="zoë 1"), connect(user_id="zoë 1"), connect(user_id="zoë")
        service.send_to_user("zoë 1", {"n": 1})
        service.send_to_user("zoë 1", "filtered", filter=f"connectionId eq '{second.id}'", **TEXT)
        service.send_to_connection(first.id, b"\x07", **BINARY)
        service.send_to_all("end", **TEXT)
        assert first.data(3) == [{"n": 1}, "Bw==", "end"]
        assert second.data(3) == [{"n": 1}, "filtered", "end"]
        assert other.data(1) == ["end"]

    def test_group(self, service, connect):
        ana, bob = connect(user_id="ana", groups=["room 1?ü"]), connect(user_id="bob", groups=["room 1?ü"])
        service.send_to_group("room 1?ü", "both", **TEXT)
        service.send_to_group("room 1?ü", {"for": "bob"}, excluded=[ana.id])
        service.send_to_group("room 1?ü", b"ana's", filter="userId eq 'ana'", **BINARY)
        service.send_to_group("elsewhere", "nobody's", **TEXT)
        service.send_to_all("end", **TEXT)
        message = ana.next_json()
        assert message == {
            "type": "message", "from": "group", "fromUserId": None, "group": "room 1?ü", "dataType": "text", "data": "both",
        }
        assert ana.data(2) == [base64.b64encode(b"ana's").decode(), "end"]
        assert bob.data(3) == ["both", {"for": "bob"}, "end"]

    def test_absent_targets_are_accepted(self, service):
        service.send_to_all("x", **TEXT)
        service.send_to_user("nobody", "x", **TEXT)
        service.send_to_connection("nobody", "x", **TEXT)
        service.send_to_group("nothing", "x", **TEXT)


class TestExistence:
    def test_of_connection_user_and_group(self, service, connect):
        assert not service.connection_exists("nobody")
        assert not service.user_exists("ana")
        assert not service.group_exists("room")
        ana = connect(user_id="ana", groups=["room"])
        assert service.connection_exists(ana.id)
        assert service.user_exists("ana") and not service.user_exists("Ana")
        assert service.group_exists("room") and not service.group_exists("Room")
        service.close_connection(ana.id)
        assert not service.connection_exists(ana.id)
        assert not service.user_exists("ana")
        assert not service.group_exists("room")


class TestClosing:
    def test_connection_with_reason(self, service, connect):
        client = connect()
        service.close_connection(client.id, reason="it's over")
        assert client.next_json() == {"type": "system", "event": "disconnected", "message": f"{SENTENCE} Reason: it's over"}
        assert client.next() == Closed(1000, "")

    def test_all_user_and_group_with_exclusions(self, service, connect):
        kept = connect(user_id="ana", groups=["room"])
        for close in (
            lambda: service.close_all_connections(excluded=[kept.id]),
            lambda: service.close_user_connections("ana", excluded=[kept.id], reason=""),
            lambda: service.close_group_connections("room", excluded=[kept.id]),
        ):
            gone = connect(user_id="ana", groups=["room"])
            close()
            assert gone.next_json()["message"] == SENTENCE
            assert gone.next() == Closed(1000, "")
        service.send_to_all("end", **TEXT)
        assert kept.data(1) == ["end"]

    def test_absent_targets_are_no_error(self, service):
        service.close_connection("nobody", reason="x")
        service.close_user_connections("nobody")
        service.close_group_connections("nothing")
        service.close_all_connections()


class TestGroups:
    def test_connections_and_users_come_and_go(self, service, connect):
        ana, bob = connect(user_id="ana"), connect(user_id="bob")
        service.add_connection_to_group("room", ana.id)
        service.add_user_to_group("room", "bob")
        service.send_to_group("room", "1", **TEXT)
        service.remove_connection_from_group("room", ana.id)
        service.send_to_group("room", "2", **TEXT)
        service.remove_user_from_group("room", "bob")
        service.send_to_group("room", "3", **TEXT)
        service.send_to_all("end", **TEXT)
        assert ana.data(2) == ["1", "end"]
        assert bob.data(3) == ["1", "2", "end"]

    def test_leaving_all(self, service, connect):
        ana, bob = connect(user_id="ana", groups=["a", "b"]), connect(user_id="bob", groups=["a", "b"])
        service.remove_connection_from_all_groups(ana.id)
        service.remove_user_from_all_groups("bob")
        assert not service.group_exists("a") and not service.group_exists("b")
        service.send_to_all("end", **TEXT)
        assert ana.data(1) == bob.data(1) == ["end"]

    def test_absent_targets(self, service):
        service.remove_connection_from_group("room", "nobody")
        service.remove_user_from_group("room", "nobody")
        service.remove_connection_from_all_groups("nobody")
        service.remove_user_from_all_groups("nobody")
        with pytest.raises(ResourceNotFoundError) as absent:
            service.add_connection_to_group("room", "nobody")
        assert "Connection `nobody` is not found." in absent.value.response.text()
        assert absent.value.response.headers["x-ms-error-code"] == "Error.Connection.NotExisted"
        with pytest.raises(ResourceNotFoundError):
            service.add_user_to_group("room", "nobody")


class TestListConnections:
    def test_members_and_total(self, service, connect):
        clients = [connect(groups=["room a?b"], **({"user_id": f"user {i}"} if i else {})) for i in range(6)]
        members = list(service.list_connections(group="room a?b"))
        assert [member.connection_id for member in members] == sorted(client.id for client in clients)
        assert {member.user_id for member in members} == {None, *(f"user {i}" for i in range(1, 6))}
        assert len(list(service.list_connections(group="room a?b", top=3))) == 3

    @pytest.mark.parametrize(("options", "sizes"), [({}, [2, 2, 2]), ({"top": 5}, [2, 2, 1]), ({"top": 2}, [2])])
    def test_pages(self, service, connect, options, sizes):
        for _ in range(6):
            connect(groups=["room"])
        pages = service.list_connections(group="room", maxpagesize=2, **options).by_page()
        assert [len(list(page)) for page in pages] == sizes

    def test_unknown_group_and_bad_numbers(self, service):
        assert list(service.list_connections(group="nothing")) == []
        for options in ({"maxpagesize": 201}, {"top": 0}, {"continuation_token_parameter": "made up"}):
            with pytest.raises((HttpResponseError, ValueError)) as refused:
                list(service.list_connections(group="nothing", **options))
            assert getattr(refused.value, "status_code", 400) == 400


class TestPermissions:
    def test_are_granted_used_and_revoked(self, service, connect):
        client = connect()
        join = {"type": "joinGroup", "group": "room 1"}
        assert client.request(**join, ackId=1)["error"]["name"] == "Forbidden"
        assert not service.has_permission("joinLeaveGroup", client.id, target_name="room 1")
        service.grant_permission("joinLeaveGroup", client.id, target_name="room 1")
        assert service.has_permission("joinLeaveGroup", client.id, target_name="room 1")
        assert not service.has_permission("sendToGroup", client.id, target_name="room 1")
        assert client.request(**join, ackId=2)["success"] is True
        service.revoke_permission("joinLeaveGroup", client.id, target_name="room 1")
        assert not service.has_permission("joinLeaveGroup", client.id, target_name="room 1")
        assert client.request(**join, ackId=3)["error"]["name"] == "Forbidden"

    def test_absent_connection_and_missing_target(self, service):
        assert not service.has_permission("sendToGroup", "nobody", target_name="room")
        service.revoke_permission("sendToGroup", "nobody", target_name="room")
        with pytest.raises(ResourceNotFoundError) as absent:
            service.grant_permission("sendToGroup", "nobody", target_name="room")
        assert absent.value.response.headers["x-ms-error-code"] == "Info.Connection.NotExisted"
        with pytest.raises(HttpResponseError) as missing:
            service.grant_permission("sendToGroup", "nobody")
        assert missing.value.status_code == 400


class TestClientAccessToken:
    def test_claims_and_urls(self, service):
        token = service.get_client_access_token(user_id="ana", roles=["webpubsub.joinLeaveGroup"], groups=["g"], minutes_to_expire=5)
        assert token["url"] == f"{token['baseUrl']}?access_token={token['token']}"
        claims = jwt.decode(token["token"], options={"verify_signature": False})
        assert claims["sub"] == "ana" and claims["role"] == ["webpubsub.joinLeaveGroup"] and claims["webpubsub.group"] == ["g"]
        assert claims["exp"] - claims["iat"] == 300

    def test_in_the_authorization_header(self, service):
        token = service.get_client_access_token(user_id="ana", jwt_headers={"kid": "1"})
        client = Client(token["baseUrl"], "json.webpubsub.azure.v1", header=[f"Authorization: Bearer {token['token']}"])
        assert client.connected["userId"] == "ana"
        client.close()

    def test_roles_work(self, service, connect):
        client = connect(roles=["webpubsub.joinLeaveGroup.room", "webpubsub.sendToGroup"])
        assert client.request(type="joinGroup", group="room", ackId=1)["success"] is True
        assert client.request(type="joinGroup", group="other", ackId=2)["success"] is False

    def test_of_another_hub_or_none_is_refused(self, service):
        token = service.get_client_access_token()
        other = service_for(f"other_{os.getpid()}").get_client_access_token()
        for url in (f"{other['baseUrl']}?access_token={token['token']}", token["baseUrl"], token["url"] + "x"):
            with pytest.raises(websocket.WebSocketBadStatusException) as refused:
                Client(url)
            assert refused.value.status_code == 401


class TestErrors:
    def test_filter(self, service):
        with pytest.raises(HttpResponseError) as refused:
            service.send_to_all("x", filter="invalid filter", **TEXT)
        assert refused.value.status_code == 400
        assert refused.value.response.headers["Content-Type"] == "application/problem+json; charset=utf-8"
        assert "Syntax error at position 14 in 'invalid filter'" in refused.value.response.text()

    def test_bad_names(self, service):
        for call in (
            lambda: service.send_to_group(" ", "x", **TEXT),
            lambda: service_for("1hub").send_to_all("x", **TEXT),
            lambda: service_for("hub", api_version="2000-01-01").send_to_all("x", **TEXT),
        ):
            with pytest.raises(HttpResponseError) as refused:
                call()
            assert refused.value.status_code == 400
            assert refused.value.response.headers["x-ms-error-code"] == "Error.BadRequest"

    def test_wrong_key(self, service):
        endpoint = service._config.endpoint
        stranger = WebPubSubServiceClient(endpoint, "hub", AzureKeyCredential("x" * 44))
        with pytest.raises(ClientAuthenticationError):
            stranger.send_to_all("x", **TEXT)
        with pytest.raises(ClientAuthenticationError):
            stranger.close_all_connections()

    @pytest.mark.parametrize("version", ["2021-10-01", "2022-11-01", "2023-07-01", "2024-01-01", "2024-12-01"])
    def test_every_version_is_served(self, connect, service, version):
        client = connect()
        service_for(service._config.hub, api_version=version).send_to_all(version, **TEXT)
        assert client.data(1) == [version]
