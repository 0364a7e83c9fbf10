#!/usr/bin/python3
"""OpenID providers as Okta, Entra ID and Google Workspace are on the wire, with their errors and habits, over TLS.

    openid.py --vendor okta --address 203.0.113.81 --certificate op.crt --key op.key \\
        --redirect https://10.1.0.1/user/external --back-channel https://10.1.0.1/user/external/oidc/logout --ca gate.crt

Everybody's password is "secret". POST /control with a JSON object changes how it behaves: {"token": "throttle"},
{"claims": {"aud": "another"}}, {"certificate": PEM}, {"rotate": true}, {"logout": "ada"}; {"reset": true} puts all back. GET /control says what
it was asked. It keeps everything in memory and is for tests and demonstrations alone.
"""

import argparse
import base64
import hashlib
import html
import json
import secrets
import ssl
import threading
import time
import urllib.parse
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

TENANT = "5c4a1b1e-3a52-4d4b-9a3e-2f0d6d2f9a10"
OTHER_TENANT = "0b1c2d3e-4f50-4617-8293-a4b5c6d7e8f9"
DOMAIN = "contoso.example"
CLIENT_ID = "gatehouse-client"
CLIENT_SECRET = "s3cret+/with signs"

PEOPLE = {
    "ada": {"given": "Ada", "family": "Lovelace", "email": "ada@corp.example", "hd": "corp.example", "tid": TENANT},
    "grace": {"given": "Grace", "family": "Hopper", "email": "grace@corp.example", "hd": "corp.example", "tid": TENANT},
    "eve": {"given": "Eve", "family": "Moneypenny", "email": "eve@other.example", "hd": "other.example",
            "tid": OTHER_TENANT},
    "gmail": {"given": "Gina", "family": "Mail", "email": "gina@corp.example", "hd": None, "tid": OTHER_TENANT},
}


def encoded(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decoded(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def number(value):
    return encoded(value.to_bytes((value.bit_length() + 7) // 8, "big"))


class Key:
    def __init__(self):
        self.private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.id = secrets.token_urlsafe(8)

    def jwk(self):
        public = self.private.public_key().public_numbers()
        return {"kty": "RSA", "use": "sig", "kid": self.id, "n": number(public.n), "e": number(public.e)}

    def sign(self, header, claims):
        parts = [encoded(json.dumps(part).encode()) for part in (header, claims)]
        signed = ".".join(parts).encode()
        signature = self.private.sign(signed, padding.PKCS1v15(), hashes.SHA256())
        return signed.decode() + "." + encoded(signature)


class Provider:
    """One vendor's provider: where its endpoints are, what it puts into tokens, and what it remembers."""

    def __init__(self, options):
        self.options = options
        port = "" if options.port == 443 else ":%d" % options.port
        self.origin = "https://" + options.address + port
        self.keys = [Key()]
        self.lock = threading.Lock()
        self.codes = {}
        self.access_tokens = {}
        self.sessions = {}
        self.asked = {}
        self.faults = {}
        self.logouts = []
        self.certificate = None

    # Where things are.

    def issuer(self, tenant=TENANT):
        return {
            "okta": self.origin,
            "okta-custom": self.origin + "/oauth2/default",
            "entra": self.origin + "/" + tenant + "/v2.0",
            "google": self.origin,
        }[self.options.vendor]

    def places(self):
        """The paths of the endpoints: authorize, token, keys, user info."""
        return {
            "okta": ("/oauth2/v1/authorize", "/oauth2/v1/token", "/oauth2/v1/keys", "/oauth2/v1/userinfo"),
            "okta-custom": ("/oauth2/default/v1/authorize", "/oauth2/default/v1/token", "/oauth2/default/v1/keys",
                            "/oauth2/default/v1/userinfo"),
            "entra": ("/common/oauth2/v2.0/authorize", "/common/oauth2/v2.0/token", "/common/discovery/v2.0/keys",
                      "/oidc/userinfo"),
            "google": ("/o/oauth2/v2/auth", "/token", "/oauth2/v3/certs", "/v1/userinfo"),
        }[self.options.vendor]

    def discovery(self, path):
        """The discovery document at a path; None where there is none."""
        tail = "/.well-known/openid-configuration"
        if not path.endswith(tail):
            return None
        issuer = self.origin + path[: -len(tail)]
        if self.options.vendor == "entra":
            name = path[1:].split("/")[0]
            if name in ("common", "organizations"):
                issuer = self.origin + "/{tenantid}/v2.0"
            elif name in (DOMAIN, TENANT):
                issuer = self.issuer()
            else:
                return None
        elif issuer != self.issuer():
            return None
        authorize, token, keys, info = (self.origin + place for place in self.places())
        document = {
            "issuer": issuer, "authorization_endpoint": authorize, "token_endpoint": token, "jwks_uri": keys,
            "userinfo_endpoint": info, "response_types_supported": ["code", "id_token", "code id_token"],
            "subject_types_supported": ["pairwise" if self.options.vendor == "entra" else "public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "scopes_supported": ["openid", "email", "profile", "offline_access"],
            "token_endpoint_auth_methods_supported": {
                "google": ["client_secret_post", "client_secret_basic"],
                "entra": ["client_secret_post", "private_key_jwt", "client_secret_basic"],
            }.get(self.options.vendor, ["client_secret_basic", "client_secret_post", "private_key_jwt", "none"]),
        }
        if self.options.vendor != "entra":
            document["code_challenge_methods_supported"] = ["S256"]
        if self.options.vendor != "google":
            document["end_session_endpoint"] = self.origin + "/logout"
        if self.options.vendor.startswith("okta"):
            document["backchannel_logout_supported"] = True
        return document

    def key_set(self):
        jwks = [key.jwk() for key in self.keys]
        for jwk in jwks:
            if self.options.vendor == "entra":
                jwk["issuer"] = self.origin + "/{tenantid}/v2.0"
            else:
                jwk["alg"] = "RS256"
        return {"keys": jwks}

    # What it says of people.

    def subject(self, name):
        return "00u" + hashlib.sha256((self.options.vendor + name).encode()).hexdigest()[:17]

    def id_token(self, name, nonce, session, access_token):
        person, now = PEOPLE[name], int(time.time())
        issuer = self.issuer(person["tid"])
        claims = {
            "iss": issuer, "aud": CLIENT_ID, "sub": self.subject(name), "iat": now, "exp": now + 3600, "nonce": nonce,
            "at_hash": encoded(hashlib.sha256(access_token.encode()).digest()[:16]), "sid": session,
            "name": person["given"] + " " + person["family"],
        }
        if self.options.vendor == "entra":
            claims.update(
                tid=person["tid"], oid=self.subject("oid" + name), ver="2.0", preferred_username=person["email"])
        elif self.options.vendor == "google":
            claims.update(
                azp=CLIENT_ID, email=person["email"], email_verified=True, given_name=person["given"],
                family_name=person["family"])
            if person["hd"]:
                claims["hd"] = person["hd"]
        else:
            # Okta leaves the rest to the user-info endpoint.
            claims.update(preferred_username=person["email"], ver=1, amr=["pwd"], auth_time=now)
        for claim, value in self.faults.get("claims", {}).items():
            if value is None:
                claims.pop(claim, None)
            else:
                claims[claim] = now + value if claim in ("exp", "iat", "nbf") else value
        key = Key() if self.faults.get("signature") == "forged" else self.keys[-1]
        header = {"alg": "RS256", "typ": "JWT", "kid": self.keys[-1].id}
        if self.faults.get("signature") == "none":
            header["alg"] = "none"
            return key.sign(header, claims).rsplit(".", 1)[0] + "."
        return key.sign(header, claims)

    def user_info(self, name):
        person = PEOPLE[name]
        info = {
            "sub": self.subject(name), "email": person["email"], "given_name": person["given"],
            "family_name": person["family"],
        }
        if self.options.vendor != "entra":
            info["email_verified"] = True
        info.update(self.faults.get("user_info", {}))
        return info

    def send_logout(self, name, session=None):
        """OpenID Connect Back-Channel Logout 1.0 §2.5."""
        now = int(time.time())
        claims = {
            "iss": self.issuer(), "aud": CLIENT_ID, "iat": now, "exp": now + 120, "jti": secrets.token_hex(8),
            "sub": self.subject(name), "events": {"http://schemas.openid.net/event/backchannel-logout": {}},
        }
        if session:
            claims["sid"] = session
        token = self.keys[-1].sign({"alg": "RS256", "typ": "logout+jwt", "kid": self.keys[-1].id}, claims)
        self.logouts.append(token)
        return self.post_logout(token)

    def post_logout(self, token):
        context = ssl.create_default_context(cafile=self.options.ca)
        body = urllib.parse.urlencode({"logout_token": token}).encode()
        request = urllib.request.Request(self.options.back_channel, data=body, method="POST")
        try:
            with urllib.request.urlopen(request, context=context, timeout=10) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    provider = None

    def log_message(self, *arguments):
        print(self.command, self.path.split("?")[0], *arguments[1:], flush=True)

    def reply(self, status, body, kind="application/json", **headers):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(data)

    def refuse(self, status, error):
        self.reply(status, {"error": error, "error_description": "AADSTS000: " + error, "trace_id": secrets.token_hex(8)})

    def faulty(self, place):
        """Misbehaves as it was told to at this place, once for those faults that pass; True when it did."""
        provider = self.provider
        fault = provider.faults.get(place)
        if fault in ("throttle", "unavailable", "cut"):
            provider.faults.pop(place)
        if fault == "throttle":
            self.reply(429, {"errorCode": "E0000047"}, Retry_After="1")
        elif fault in ("unavailable", "down"):
            self.reply(503, b"<html>Service Unavailable</html>", "text/html")
        elif fault == "garbage":
            self.reply(200, b"<html>This is not what you asked for</html>", "text/html")
        elif fault == "redirect":
            self.reply(302, b"", Location="https://203.0.113.99/elsewhere")
        elif fault in ("cut", "cut-always"):
            self.send_response(200)
            self.send_header("Content-Length", "4000")
            self.end_headers()
            self.wfile.write(b'{"id_token": "eyJ')
            self.close_connection = True
        elif fault == "huge":
            self.reply(200, b" " * (4 << 20))
        else:
            return False
        return True

    def do_GET(self):
        provider, url = self.provider, urllib.parse.urlsplit(self.path)
        authorize, token, keys, info = provider.places()
        query = urllib.parse.parse_qs(url.query)
        with provider.lock:
            provider.asked[url.path] = provider.asked.get(url.path, 0) + 1
            document = provider.discovery(url.path)
            if url.path == "/control":
                self.reply(200, {"asked": provider.asked, "sessions": provider.sessions})
            elif document is not None:
                if not self.faulty("discovery"):
                    document.update(provider.faults.get("document", {}))
                    self.reply(200, document, Cache_Control="max-age=86400")
            elif url.path == keys:
                if not self.faulty("keys"):
                    self.reply(200, provider.key_set(), Cache_Control="public, max-age=86400")
            elif url.path == authorize:
                self.log_in_page(query)
            elif url.path == info:
                if not self.faulty("info"):
                    name = provider.access_tokens.get(self.headers.get("Authorization", "").removeprefix("Bearer "))
                    if name is None:
                        self.refuse(401, "invalid_token")
                    else:
                        self.reply(200, provider.user_info(name))
            elif url.path == "/logout":
                self.reply(200, b"<html>You are signed out here</html>", "text/html")
            else:
                self.reply(404, {"errorCode": "E0000007"})

    def log_in_page(self, query):
        fault = self.request_fault(query)
        if fault:
            return self.reply(400, b"<html>" + fault.encode() + b"</html>", "text/html")
        fields = "".join(
            '<input type="hidden" name="%s" value="%s">' % (html.escape(name), html.escape(values[0]))
            for name, values in query.items())
        page = '<html><form method="post">%s<input name="username"><input name="password"></form></html>' % fields
        return self.reply(200, page.encode(), "text/html; charset=utf-8")

    def request_fault(self, query):
        """What is wrong with an authorization request that no redirect must follow, or that these vendors refuse."""
        value = {name: values[0] for name, values in query.items()}
        if any(len(values) > 1 for values in query.values()):
            return "a parameter twice"
        if value.get("client_id") != CLIENT_ID:
            return "no such client"
        if value.get("redirect_uri") != self.provider.options.redirect:
            return "the redirect URI is not registered"
        if value.get("response_type") != "code" or "openid" not in value.get("scope", "").split():
            return "unsupported request"
        if value.get("code_challenge_method") != "S256" or len(value.get("code_challenge", "")) != 43:
            return "PKCE is required"
        return None if value.get("state") and value.get("nonce") else "no state or nonce"

    def do_POST(self):
        provider, path = self.provider, urllib.parse.urlsplit(self.path).path
        body = self.rfile.read(int(self.headers.get("Content-Length", "0"))).decode()
        authorize, token, _, _ = provider.places()
        if path == "/control":
            return self.control(json.loads(body))
        form = {name: values[0] for name, values in urllib.parse.parse_qs(body).items()}
        with provider.lock:
            provider.asked[path] = provider.asked.get(path, 0) + 1
            if path == authorize:
                self.log_in(form)
            elif path == token:
                if not self.faulty("token"):
                    self.give_tokens(form)
            else:
                self.reply(404, {"errorCode": "E0000007"})

    def log_in(self, form):
        provider = self.provider
        if self.request_fault({name: [value] for name, value in form.items()}):
            return self.reply(400, b"<html>bad request</html>", "text/html")
        name = form.get("username")
        answer = {"state": form["state"]}
        if name not in PEOPLE or form.get("password") != "secret":
            answer.update(error="access_denied", error_description="User is not assigned to the client application.")
        else:
            code = secrets.token_urlsafe(40)
            provider.codes[code] = dict(form, time=time.time())
            answer["code"] = code
        if provider.options.vendor == "google":
            answer.update(scope="email profile openid", authuser="0", hd=PEOPLE.get(name, {}).get("hd") or "", prompt="none")
        elif provider.options.vendor == "entra":
            answer["session_state"] = secrets.token_hex(8)
        answer.update(provider.faults.get("answer", {}))
        target = form["redirect_uri"] + "?" + urllib.parse.urlencode(answer)
        return self.reply(302, b"", "text/html", Location=target)

    def is_client(self, form):
        """Whether the client proved itself, by either way that the vendors take a secret."""
        if "client_assertion" in form:
            return self.is_assertion_good(form)
        given = self.headers.get("Authorization", "")
        if given.startswith("Basic "):
            halves = base64.b64decode(given[6:]).decode().split(":", 1)
            pair = tuple(urllib.parse.unquote_plus(half) for half in halves)
        else:
            pair = (form.get("client_id"), form.get("client_secret"))
        return pair == (CLIENT_ID, CLIENT_SECRET)

    def is_assertion_good(self, form):
        """RFC 7523 §3, with the key of the certificate that was registered."""
        provider = self.provider
        if form.get("client_assertion_type") != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer":
            return False
        signed, signature = form["client_assertion"].rsplit(".", 1)
        header, claims = (json.loads(decoded(part)) for part in signed.split("."))
        certificate = x509.load_pem_x509_certificate(provider.certificate.encode())
        try:
            certificate.public_key().verify(decoded(signature), signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature:
            return False
        now, place = time.time(), provider.origin + provider.places()[1]
        return (header["alg"] == "RS256" and claims["iss"] == claims["sub"] == CLIENT_ID and claims["aud"] == place
                and claims["iat"] <= now < claims["exp"] <= now + 3600 and claims["jti"])

    def give_tokens(self, form):
        provider = self.provider
        code = provider.codes.pop(form.get("code"), None)
        if provider.options.vendor == "entra" and code is None:
            return self.refuse(400, "invalid_grant")
        if not self.is_client(form):
            return self.refuse(401, "invalid_client")
        if form.get("grant_type") != "authorization_code":
            return self.refuse(400, "unsupported_grant_type")
        if code is None or time.time() - code["time"] > 60 or code["redirect_uri"] != form.get("redirect_uri"):
            return self.refuse(400, "invalid_grant")
        challenge = encoded(hashlib.sha256(form.get("code_verifier", "").encode()).digest())
        if challenge != code["code_challenge"]:
            return self.refuse(400, "invalid_grant")
        name, access_token, session = code["username"], secrets.token_urlsafe(40), secrets.token_hex(8)
        provider.access_tokens[access_token] = name
        provider.sessions[name] = session
        answer = {
            "access_token": access_token, "token_type": "Bearer", "expires_in": 3600, "scope": "openid email profile",
            "id_token": provider.id_token(name, code["nonce"], session, access_token),
        }
        return self.reply(200, answer, Cache_Control="no-store")

    def control(self, order):
        provider, said = self.provider, {}
        with provider.lock:
            if order.pop("reset", False):
                provider.faults = {}
            provider.certificate = order.pop("certificate", provider.certificate)
            if order.pop("rotate", False):
                provider.keys = [Key()]
            logout, replay = order.pop("logout", None), order.pop("replay", False)
            session = provider.sessions.get(logout) if order.pop("session", False) else None
            provider.faults.update(order)
        # Without the lock: the gateway asks for the keys before it answers.
        if logout:
            said["logout"] = provider.send_logout(logout, session)
        if replay:
            said["replay"] = provider.post_logout(provider.logouts[-1])
        self.reply(200, said)


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, address):
        print("a connection broke", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--vendor", choices=["okta", "okta-custom", "entra", "google"], required=True)
    parser.add_argument("--address", required=True)
    parser.add_argument("--port", type=int, default=443)
    parser.add_argument("--certificate", required=True)
    parser.add_argument("--key", required=True)
    parser.add_argument("--redirect", required=True, help="the one redirect URI that is registered")
    parser.add_argument("--back-channel", help="where log-out tokens go")
    parser.add_argument("--ca", help="the CA of the gateway's pages")
    options = parser.parse_args()
    Handler.provider = Provider(options)
    server = Server((options.address, options.port), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(options.certificate, options.key)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    print("ready", flush=True)
    server.serve_forever()


main()
