"""`spec/rest.yaml` against the emulator: whatever is sent, the answer is one that the description knows.

schemathesis makes requests from the description, valid ones and others, always the same.
"""

import os
import re
import time
from pathlib import Path

import jwt
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

SPEC = Path(__file__).parents[3] / "spec" / "rest.yaml"
# Of each kind for each operation: all of it takes less than a minute.
EXAMPLES = int(os.environ.get("SCHEMA_EXAMPLES", "20"))
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


def connection_string():
    text = os.environ["WebPubSubConnectionString"]
    return dict(re.findall("([A-Za-z]+)=([^;]+)", text))


RESOURCE = connection_string()


class Signed(requests.auth.AuthBase):
    """Signs a request for its own URL, as the SDKs do."""

    def __call__(self, request):
        claims = {"aud": request.url, "exp": int(time.time()) + 600}
        token = jwt.encode(claims, RESOURCE["AccessKey"], algorithm="HS256")
        request.headers["Authorization"] = f"Bearer {token}"
        return request


@schemathesis.hook
def before_load_schema(context, raw_schema):
    """Drops what stands for any other answer: then every status is one that the description names."""
    for operations in raw_schema["paths"].values():
        for operation in operations.values():
            operation["responses"].pop("default", None)


schema = schemathesis.openapi.from_path(SPEC)
schema.config.update(base_url=RESOURCE["Endpoint"])


@schema.parametrize()
@settings(
    max_examples=EXAMPLES,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
def test_answers_are_described(case):
    response = case.call(auth=Signed(), allow_redirects=False, timeout=10)
    case.validate_response(response, checks=CHECKS)


def test_each_operation_is_tested():
    """The description has 25 operations; a schema that cannot be read would have none."""
    assert len(list(schema.get_all_operations())) == 25


@pytest.mark.parametrize("token", [None, "Bearer x", "Bearer a.b.c"])
def test_without_a_token_nothing_is_done(token):
    endpoint = RESOURCE["Endpoint"]
    headers = {"Authorization": token} if token else {}
    response = requests.post(f"{endpoint}/api/hubs/chat/:closeConnections", headers=headers, timeout=10)
    assert response.status_code == 401
