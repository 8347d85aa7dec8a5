"""An OpenID provider with the device grant (RFC 8628) for the test of `sekisho login`, on Authlib and Flask.

usage: provider.py PORT CERTIFICATE KEY

The protocol is the library's. Here are the few people, what a device asked for, and two doors that a provider does not
have: /confirm stands for the person at the browser, and /sign gives any claims that the test wants signed, as a provider
would that was set up wrongly or is in a thief's hands.
"""
import json
import os
import sys
import time

os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"  # it is TLS; the library looks at a header of proxies

from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.jose import JsonWebKey, jwt
from authlib.oauth2.rfc6749 import ClientMixin
from authlib.oauth2.rfc6750 import BearerTokenGenerator
from authlib.oauth2.rfc8628 import (
    DEVICE_CODE_GRANT_TYPE,
    DeviceAuthorizationEndpoint,
    DeviceCodeGrant,
    DeviceCredentialMixin,
)
from flask import Flask, jsonify, request

PORT, CERTIFICATE, KEY = sys.argv[1:4]
ISSUER = f"https://127.0.0.1:{PORT}"
PEOPLE = {
    "alice": ["gpu", "all"],
    "mallory": ["all"],
    "admin": ["gpu"],
}
SIGNING = JsonWebKey.generate_key("RSA", 2048, {"kid": "one", "use": "sig", "alg": "RS256"}, is_private=True)

asked = {}  # by device code
confirmed = {}  # by user code


class Client(ClientMixin):
    def get_client_id(self):
        return "sekisho"

    def get_default_redirect_uri(self):
        return None

    def get_allowed_scope(self, scope):
        return scope

    def check_redirect_uri(self, redirect_uri):
        return False

    def check_client_secret(self, client_secret):
        return False

    def check_endpoint_auth_method(self, method, endpoint):
        return method == "none"

    def check_response_type(self, response_type):
        return False

    def check_grant_type(self, grant_type):
        return grant_type == DEVICE_CODE_GRANT_TYPE


class Asked(dict, DeviceCredentialMixin):
    def get_client_id(self):
        return self["client_id"]

    def get_scope(self):
        return self["scope"]

    def get_user_code(self):
        return self["user_code"]

    def get_nonce(self):
        return self["nonce"]

    def is_expired(self):
        return time.time() > self["until"]


class Begin(DeviceAuthorizationEndpoint):
    INTERVAL = 1
    EXPIRES_IN = 60

    def get_verification_uri(self):
        return f"{ISSUER}/device"

    def save_device_credential(self, client_id, scope, data):
        until = time.time() + data["expires_in"]
        nonce = request.form.get("nonce")
        asked[data["device_code"]] = Asked(
            data, client_id=client_id, scope=scope, nonce=nonce, until=until, last=0.0
        )


def id_token(user, nonce, **other):
    now = int(time.time())
    claims = {"iss": ISSUER, "aud": "sekisho", "sub": user, "iat": now, "exp": now + 120}
    claims |= {"nonce": nonce, "preferred_username": user, "groups": PEOPLE.get(user, [])}
    claims |= other
    return jwt.encode({"alg": "RS256", "kid": "one"}, claims, SIGNING).decode()


class Grant(DeviceCodeGrant):
    def query_device_credential(self, device_code):
        return asked.get(device_code)

    def query_user_grant(self, user_code):
        return confirmed.get(user_code)

    def should_slow_down(self, credential):
        last, credential["last"] = credential["last"], time.time()
        return credential["last"] - last < 0.9

    def create_token_response(self):
        status, token, headers = super().create_token_response()
        credential = self.request.credential
        token["id_token"] = id_token(self.request.user, credential["nonce"])
        del asked[credential["device_code"]]
        return status, token, headers


app = Flask(__name__)
server = AuthorizationServer(
    app,
    query_client=lambda client_id: Client() if client_id == "sekisho" else None,
    save_token=lambda token, request: None,
)
server.register_token_generator("default", BearerTokenGenerator(lambda **_: os.urandom(16).hex()))
server.register_endpoint(Begin)
server.register_grant(Grant)


@app.get("/.well-known/openid-configuration")
def metadata():
    return jsonify(
        issuer=ISSUER,
        device_authorization_endpoint=f"{ISSUER}/begin",
        token_endpoint=f"{ISSUER}/token",
        jwks_uri=f"{ISSUER}/keys",
        id_token_signing_alg_values_supported=["RS256"],
    )


@app.get("/keys")
def keys():
    return jsonify(keys=[SIGNING.as_dict(is_private=False)])


@app.post("/begin")
def begin():
    return server.create_endpoint_response(Begin.ENDPOINT_NAME)


@app.post("/token")
def token():
    return server.create_token_response()


@app.post("/confirm")
def confirm():
    confirmed[request.form["user_code"]] = (request.form["user"], request.form["allow"] == "yes")
    return ""


@app.post("/sign")
def sign():
    claims = json.loads(request.form["claims"])
    return jsonify(id_token=id_token(claims.pop("user"), claims.pop("nonce"), **claims))


app.run("127.0.0.1", int(PORT), ssl_context=(CERTIFICATE, KEY), threaded=True)
