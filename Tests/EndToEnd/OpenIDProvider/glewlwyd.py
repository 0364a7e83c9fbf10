#!/usr/bin/python3
"""Sets glewlwyd up as an OpenID provider.

    glewlwyd.py prepare FOLDER ADDRESS CERTIFICATE KEY      its database and configuration
    glewlwyd.py provision FOLDER ADDRESS CERTIFICATE REDIRECT   carol, the client and the plugin, once it runs
"""

import http.cookiejar
import json
import pathlib
import re
import sqlite3
import ssl
import sys
import urllib.request

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

DATABASE = "/usr/share/dbconfig-common/data/glewlwyd/install/sqlite3"
CONFIGURATION = "/etc/glewlwyd/glewlwyd.conf"


def prepare(folder, address, certificate, key):
    folder = pathlib.Path(folder)
    database = sqlite3.connect(folder / "glewlwyd.db")
    database.executescript(pathlib.Path(DATABASE).read_text())
    database.close()
    text = pathlib.Path(CONFIGURATION).read_text()
    text = re.sub(r"^\s*database\s*=\s*\{[^}]*\};?", "", text, flags=re.M)
    replaced = ("port|bind_address|external_url|log_mode|log_level|log_file|cookie_domain|cookie_secure|static_files_path"
                "|hash_algorithm|use_secure_connection|secure_connection_\\w+|@include")
    text = re.sub(r"^\s*(%s)\b.*$" % replaced, "", text, flags=re.M)
    own = f"""
port=443
bind_address="{address}"
external_url="https://{address}"
log_mode="console"
log_level="INFO"
cookie_secure=1
hash_algorithm="SHA256"
use_secure_connection=true
secure_connection_key_file="{key}"
secure_connection_pem_file="{certificate}"
database = {{ type = "sqlite3"; path = "{folder}/glewlwyd.db"; }};
"""
    (folder / "glewlwyd.conf").write_text(own + text)


class Administrator:
    def __init__(self, address, certificate):
        self.base = f"https://{address}/api"
        context = ssl.create_default_context(cafile=certificate)
        self.opener = urllib.request.build_opener(
            urllib.request.HTTPSHandler(context=context),
            urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))

    def ask(self, method, path, value=None):
        data = None if value is None else json.dumps(value).encode()
        request = urllib.request.Request(self.base + path, data=data, method=method)
        request.add_header("Content-Type", "application/json")
        with self.opener.open(request, timeout=20) as answer:
            text = answer.read().decode()
        return json.loads(text) if text else None


def provision(_, address, certificate, redirect):
    admin = Administrator(address, certificate)
    admin.ask("POST", "/auth/", {"username": "admin", "password": "password"})
    for scope in ("email", "profile"):
        admin.ask("POST", "/scope/", {
            "name": scope, "display_name": scope, "description": scope, "password_required": True, "scheme": {}})
    users = admin.ask("GET", "/mod/user/database")
    for name in ("firstname", "lastname"):
        users["parameters"].setdefault("data-format", {})[name] = {"multiple": False, "read": True, "write": True}
    admin.ask("PUT", "/mod/user/database", users)
    admin.ask("PUT", "/mod/user/database/reset/")
    admin.ask("POST", "/user/", {
        "username": "carol", "name": "Carol Danvers", "email": "carol@corp.example", "password": "carol-pw-1",
        "enabled": True, "scope": ["openid", "email", "profile", "g_profile"], "firstname": "Carol",
        "lastname": "Danvers"})
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()
    claims = [
        {"name": claim, "user-property": field, "type": "string", "mandatory": True, "on-demand": False, "scope": []}
        for claim, field in (("given_name", "firstname"), ("family_name", "lastname"))]
    admin.ask("POST", "/mod/plugin/", {
        "module": "oidc", "name": "oidc", "display_name": "oidc", "enabled": True, "parameters": {
            "iss": f"https://{address}/api/oidc", "jwt-type": "rsa", "jwt-key-size": "256", "key": private, "cert": public,
            "access-token-duration": 3600, "refresh-token-duration": 1209600, "code-duration": 600,
            "refresh-token-rolling": True, "allow-non-oidc": False, "auth-type-code-enabled": True,
            "auth-type-token-enabled": True, "auth-type-refresh-enabled": True, "auth-type-code-revoke-replayed": True,
            "auth-type-implicit-enabled": False, "auth-type-password-enabled": False, "auth-type-client-enabled": False,
            "auth-type-device-enabled": False, "scope": [], "additional-parameters": [], "claims": claims,
            "name-claim": "mandatory", "email-claim": "mandatory", "scope-claim": "on-demand", "jwks-show": True,
            "jwks-x5c": [], "pkce-allowed": True, "pkce-required": True, "pkce-method-plain-allowed": False,
            "subject-type": "public", "address-claim": {"type": "no"}, "oauth-as-iss-id": True}})
    admin.ask("POST", "/client/", {
        "client_id": "gatehouse", "name": "gatehouse", "confidential": True, "password": "gatehouse-secret",
        "client_secret": "gatehouse-secret", "enabled": True, "scope": [], "redirect_uri": [redirect],
        "authorization_type": ["code", "refresh_token"],
        "token_endpoint_auth_method": ["client_secret_basic", "client_secret_post"]})


{"prepare": prepare, "provision": provision}[sys.argv[1]](*sys.argv[2:])
