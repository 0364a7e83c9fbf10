#!/usr/bin/python3
"""Directories as Microsoft Graph, Okta and Google's Directory API are on the wire, with their paging, limits, errors and habits,
over TLS; tokens come from the same host.

    directory.py --vendor entra --address 203.0.113.82 --certificate dir.crt --key dir.key [--people 5000 --groups 40]

With --service-key the proofs of Google's service account, and with Okta those of a service app, are checked with it. Without
--people it has a small company: ada, ben, cam, dan, eve, fay, gus and hal, and the groups "VPN Users", "Engineering" (which is
within "Staff"), "Staff" and one whose name is too long for a tag. POST /control with a JSON object changes things:

    {"set": {"ada": {"active": false}}}     {"delete": ["ben"]}     {"restore": ["ben"]}     {"add": [{"id": "ivy"}]}
    {"join": ["ivy", "vpn"]}                {"leave": ["cam", "vpn"]}         {"rename_group": ["vpn", "Remote"]}
    {"fault": {"kind": "throttle", "path": "groups", "after": 1, "count": 2, "seconds": "1.5"}}
    {"page": 2}     {"revoke": true}     {"token_life": 5}     {"gone": true}     {"reset": true}
    {"secret_days": 20}     the client secret ends so many days from now (Entra)

Kinds of faults: throttle, error (503), html (502), garbage, cut (half a body), reset, slow, forbidden, empty, short, redirect, quota.
GET /control says what was asked. Everything is in memory: for tests and demonstrations alone.
"""

import argparse
import base64
import json
import secrets
import socket
import ssl
import struct
import threading
import time
import urllib.parse
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CLIENT_ID = "22222222-2222-2222-2222-222222222222"
CLIENT_SECRET = "abc~s3cret+/with signs"
API_TOKEN = "00simulated-token"
TENANT = "contoso.example"
CUSTOMER = "C01234567"
SERVICE_ACCOUNT = "gatehouse@acme-gatehouse.iam.gserviceaccount.com"

SMALL = {
    "people": ["ada Lovelace", "ben Bitdiddle", "cam Cole", "dan Dare", "eve Moneypenny", "fay Wray", "gus Gray", "hal Nine"],
    "groups": {
        "vpn": ("VPN Users", ["ada", "ben", "cam", "dan", "eve", "fay"]),
        "eng": ("Engineering", ["ada", "ben"]),
        "staff": ("Staff", ["eng", "gus"]),
        "long": ("A department with quite a long name", ["hal"]),
    },
}


def stamp(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + ".%03dZ" % (int(seconds * 1000) % 1000)


class Company:
    """Who there is. Each change has a number, so that what changed since can be told."""

    def __init__(self, options):
        self.options = options
        self.lock = threading.RLock()
        self.reset()

    def reset(self):
        with self.lock:
            self.version = 1
            self.people, self.groups, self.tokens = {}, {}, {}
            self.faults, self.asked, self.log = [], {}, []
            self.page, self.token_life, self.oldest, self.requests = None, 3600, 0, 0
            self.minute = [0, 0]
            self.secret_end = time.time() + 400 * 86400
            if self.options.people:
                self.generate(self.options.people, self.options.groups)
            else:
                for person in SMALL["people"]:
                    name, last = person.split(" ")
                    self.add({"id": name, "last": last})
                for key, (name, members) in SMALL["groups"].items():
                    self.groups[key] = {"id": key, "name": name, "members": {}, "gone": {}, "at": time.time(), "seen": 1}
                    for member in members:
                        self.groups[key]["members"][member] = self.version

    def generate(self, people, groups):
        """So many people, each in five groups in turn, who came over the last years, a few a day."""
        now = time.time()
        for index in range(people):
            self.add({"id": "u%06d" % index, "first": "First%d" % index, "last": "Last%d" % index, "at": now - 86400 - index * 900})
        for number in range(groups):
            self.groups["g%04d" % number] = {
                "id": "g%04d" % number, "name": "Group %04d" % number, "gone": {}, "at": now - 86400 - number * 3600, "seen": 1,
                "members": {"u%06d" % index: 1 for place in range(5)
                            for index in range((number + place * 7) % groups, people, groups)}}

    def key(self, name):
        """A person's key as the vendor writes it."""
        number = len(self.people) + 1
        if self.options.vendor == "entra":
            return "%08x-0000-4000-8000-%012x" % (number * 2654435761 % 2 ** 32, number)
        return "00u" + name if self.options.vendor == "okta" else "1%020d" % number

    def add(self, person):
        name = person["id"]
        self.version += 1
        full = {"first": name.capitalize(), "last": "", "active": True, "mail": name + "@corp.example", "deleted": False,
                "state": "ACTIVE", "at": time.time(), "login": None}
        full.update(person)
        full["seen"] = self.version
        full["key"] = self.key(name)
        self.people[name] = full

    def touch(self, name, **changes):
        self.version += 1
        self.people[name].update(changes)
        self.people[name]["seen"] = self.version
        self.people[name]["at"] = time.time()

    def join(self, member, group):
        self.version += 1
        group = self.groups[group]
        group["members"][member] = self.version
        group["gone"].pop(member, None)
        group["seen"], group["at"] = self.version, time.time()

    def leave(self, member, group):
        self.version += 1
        group = self.groups[group]
        group["members"].pop(member, None)
        group["gone"][member] = self.version
        group["seen"], group["at"] = self.version, time.time()

    def control(self, order):
        with self.lock:
            if order.get("reset"):
                self.reset()
            for name, changes in order.get("set", {}).items():
                self.touch(name, **changes)
            for person in order.get("add", []):
                self.add(person)
            for name in order.get("delete", []):
                self.touch(name, deleted=True)
            for name in order.get("restore", []):
                self.touch(name, deleted=False)
            if "join" in order:
                self.join(*order["join"])
            if "leave" in order:
                self.leave(*order["leave"])
            if "rename_group" in order:
                self.version += 1
                self.groups[order["rename_group"][0]].update(name=order["rename_group"][1], seen=self.version, at=time.time())
            if "fault" in order:
                fault = {"path": "", "count": 1, "after": 0, "seconds": "1"}
                fault.update(order["fault"])
                self.faults.append(fault)
            if order.get("revoke"):
                self.tokens = {}
            if order.get("gone"):
                self.version += 1
                self.oldest = self.version
            self.page = order.get("page", self.page)
            self.token_life = order.get("token_life", self.token_life)
            if "secret_days" in order:
                self.secret_end = time.time() + order["secret_days"] * 86400

    def spend(self, limit):
        """Counts one request of this minute; what is left of the limit, and when the next minute begins."""
        with self.lock:
            now = int(time.time())
            if now >= self.minute[0] + 60:
                self.minute = [now, 0]
            self.minute[1] += 1
            return limit - self.minute[1], self.minute[0] + 60

    def fault(self, path):
        """What goes wrong with this request."""
        with self.lock:
            for fault in self.faults:
                if fault["path"] in path:
                    if fault["after"] > 0:
                        fault["after"] -= 1
                        return None
                    fault["count"] -= 1
                    if fault["count"] <= 0:
                        self.faults.remove(fault)
                    return fault
        return None


def verifies(company, signed, signature):
    if not company.options.service_key:
        return True
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import padding
    with open(company.options.service_key, "rb") as file:
        public = serialization.load_pem_private_key(file.read(), None).public_key()
    try:
        public.verify(base64.urlsafe_b64decode(signature + "=" * (-len(signature) % 4)), signed.encode(),
                      padding.PKCS1v15(), hashes.SHA256())
        return True
    except Exception:  # noqa: BLE001: whatever is wrong with it
        return False


def assertion(company, text):
    """Header and claims of a signed proof (RFC 7523); None where it is none, or the signature is another key's."""
    try:
        head, claims, signature = text.split(".")
        header, said = (json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))) for part in (head, claims))
    except ValueError:
        return None
    good = header.get("alg") == "RS256" and verifies(company, head + "." + claims, signature)
    return (header, said) if good else None


class Answer(Exception):
    """What is sent instead of the usual."""

    def __init__(self, status, body, headers=()):
        self.status, self.body, self.headers = status, body, headers


class Entra:
    def token(self, company, path, form, handler):
        if path != "/%s/oauth2/v2.0/token" % TENANT:
            return 400, {"error": "invalid_request", "error_description": "AADSTS90002: Tenant not found.",
                         "error_codes": [90002]}
        if form.get("client_id") != CLIENT_ID:
            return 400, {"error": "unauthorized_client", "error_description": "AADSTS700016: Application was not found.",
                         "error_codes": [700016]}
        if form.get("client_secret") != CLIENT_SECRET:
            return 401, {"error": "invalid_client", "error_codes": [7000215],
                         "error_description": "AADSTS7000215: Invalid client secret provided. Trace ID: 0 Correlation ID: 1"}
        if company.secret_end < time.time():
            return 401, {"error": "invalid_client", "error_codes": [7000222],
                         "error_description": "AADSTS7000222: The provided client secret keys are expired. Trace ID: 0"}
        if not form.get("scope", "").endswith("/.default") or form.get("grant_type") != "client_credentials":
            return 400, {"error": "invalid_scope", "error_codes": [1002012]}
        return None

    def refusal(self, status):
        code = {401: "InvalidAuthenticationToken", 403: "Authorization_RequestDenied", 410: "syncStateNotFound",
                404: "Request_ResourceNotFound", 400: "BadRequest", 429: "TooManyRequests"}.get(status, "UnknownError")
        return {"error": {"code": code, "message": "Insufficient privileges to complete the operation.",
                          "innerError": {"request-id": secrets.token_hex(8)}}}

    def user(self, person, partial):
        if person["deleted"]:
            return {"id": person["key"], "@removed": {"reason": "changed"}}
        body = {"id": person["key"], "accountEnabled": person["active"], "displayName": (person["first"] + " " + person["last"]).strip()}
        if not partial:
            body.update(givenName=person["first"] or None, surname=person["last"] or None, mail=person["mail"],
                        userPrincipalName=person["login"] or person["id"] + "@contoso.example", userType="Member")
        elif person["mail"]:
            body["mail"] = person["mail"]
        return body

    def answer(self, company, origin, path, query, handler):
        if path == "/v1.0/groups":
            if not 1 <= int(query.get("$top", "100")) <= 999:
                raise Answer(400, self.refusal(400))
            groups = list(company.groups.values())
            start, size = int(query.get("$skiptoken", "0")), company.page or int(query.get("$top", "100"))
            body = {"value": [{"id": group["id"], "displayName": group["name"]} for group in groups[start:start + size]]}
            if start + size < len(groups):
                body["@odata.nextLink"] = "%s%s?$top=%d&$skiptoken=%d" % (origin, path, size, start + size)
            return body
        if path.startswith("/v1.0/applications(appId="):
            end = stamp(company.secret_end)
            return {"appId": CLIENT_ID, "passwordCredentials": [
                {"hint": "zzz", "endDateTime": stamp(time.time() + 9e7)},
                {"hint": CLIENT_SECRET[:3], "endDateTime": end, "keyId": "k", "secretText": None}]}
        if path not in ("/v1.0/users/delta", "/v1.0/groups/delta"):
            raise Answer(404, self.refusal(404))
        if "$top" in query:
            raise Answer(400, self.refusal(400))
        since = int(query.get("$deltatoken", query.get("since", "0")) or 0)
        if since and since < company.oldest:
            raise Answer(410, self.refusal(410), [("Location", origin + path + "?$deltatoken=")])
        now = int(query.get("now", company.version))
        size = company.page or (999 if "users" in path else 100)
        start = int(query.get("$skiptoken", "0"))
        if "users" in path:
            items = self.users(company, since)
            value = [self.user(person, since > 0) for person in items[start:start + size]]
        else:
            items = self.groups(company, since)
            value = items[start:start + size]
        # The same object may come twice, and a page with nothing on it is not the end.
        if since and start == 0 and value:
            value = value[:1] + value
        more = start + size < len(items)
        body = {"@odata.context": "$metadata", "value": value}
        if company.page and start == 0 and not query.get("empty") and "users" in path:
            body["value"] = []
            body["@odata.nextLink"] = "%s%s?$skiptoken=0&empty=1&since=%d&now=%d" % (origin, path, since, now)
        elif more:
            body["@odata.nextLink"] = "%s%s?$skiptoken=%d&empty=1&since=%d&now=%d" % (origin, path, start + size, since, now)
        else:
            body["@odata.deltaLink"] = "%s%s?$deltatoken=%d" % (origin, path, now)
        return body

    def users(self, company, since):
        return [person for person in company.people.values() if person["seen"] > since and (since or not person["deleted"])]

    def groups(self, company, since):
        items = []
        for group in company.groups.values():
            if group["seen"] <= since:
                continue
            members = [self.member(company, name) for name, at in group["members"].items() if at > since or not since]
            members += [dict(self.member(company, name), **{"@removed": {"reason": "deleted"}})
                        for name, at in group["gone"].items() if since and at > since]
            if not since and group["id"] == "vpn":
                members.append({"@odata.type": "#microsoft.graph.device", "id": "d0d0d0d0-0000-0000-0000-000000000001"})
            # A large group comes in several parts.
            for start in range(0, max(1, len(members)), 500):
                items.append({"id": group["id"], "displayName": group["name"], "members@delta": members[start:start + 500]})
        return items

    def member(self, company, name):
        if name in company.groups:
            return {"@odata.type": "#microsoft.graph.group", "id": name}
        return {"@odata.type": "#microsoft.graph.user", "id": company.people[name]["key"]}


class Okta:
    LIMIT = 600

    def token(self, company, path, form, handler):
        proof = assertion(company, form.get("client_assertion", "")) if company.options.service_key else None
        place = handler.origin() + path
        if path != "/oauth2/v1/token" or not proof or not proof[0].get("kid") or proof[1].get("aud") != place \
                or not proof[1].get("iss") == proof[1].get("sub") == form.get("client_id", CLIENT_ID):
            return 401, {"error": "invalid_client", "error_description": "The client_assertion signature is invalid."}
        if form.get("scope") != "okta.users.read okta.groups.read":
            return 400, {"error": "invalid_scope", "error_description": "One or more scopes are not configured."}
        return None

    def refusal(self, status):
        code = {401: "E0000011", 403: "E0000006", 404: "E0000007", 429: "E0000047", 400: "E0000031"}.get(status, "E0000009")
        return {"errorCode": code, "errorSummary": "You do not have permission to perform the requested action",
                "errorLink": code, "errorId": "oae" + secrets.token_hex(6), "errorCauses": []}

    def user(self, person):
        state = "DEPROVISIONED" if person["deleted"] else person["state"] if person["active"] else "SUSPENDED"
        return {"id": person["key"], "status": state, "created": stamp(0), "lastUpdated": stamp(person["at"]), "lastLogin": None,
                "profile": {"firstName": person["first"], "lastName": person["last"], "email": person["mail"],
                            "login": person["login"] or person["mail"], "mobilePhone": None}}

    def group(self, group):
        return {"id": group["id"], "type": "OKTA_GROUP", "lastUpdated": stamp(0), "lastMembershipUpdated": stamp(group["at"]),
                "profile": {"name": group["name"], "description": None}}

    def answer(self, company, origin, path, query, handler):
        left, reset = company.spend(self.LIMIT)
        handler.extra = [("x-rate-limit-limit", str(self.LIMIT)), ("x-rate-limit-remaining", str(max(0, left))),
                         ("x-rate-limit-reset", str(reset)), ("x-okta-request-id", secrets.token_hex(8))]
        if left < 0:
            raise Answer(429, self.refusal(429), handler.extra)
        since = None
        if "filter" in query:
            try:
                since = query["filter"].split('gt "')[1].split('"')[0]
            except IndexError:
                raise Answer(400, self.refusal(400))
        if path == "/api/v1/groups":
            items = [group for group in company.groups.values() if since is None or stamp(group["at"]) > since]
            write, most = self.group, 10000
        elif path == "/api/v1/users":
            items = [person for person in company.people.values()
                     if (since is None and not person["deleted"]) or (since and stamp(person["at"]) > since)]
            write, most = self.user, 200
        elif path.startswith("/api/v1/groups/") and path.endswith("/users"):
            group = company.groups.get(urllib.parse.unquote(path.split("/")[4]))
            if group is None:
                raise Answer(404, self.refusal(404))
            names = [name for name in group["members"] if name in company.people]
            # There are no groups within groups here.
            items = [company.people[name] for name in names if not company.people[name]["deleted"]]
            write, most = self.user, 1000
        else:
            raise Answer(404, self.refusal(404))
        size = company.page or min(int(query.get("limit", str(most))), most)
        start = int(query.get("after", "0"))
        handler.extra.append(("link", '<%s%s>; rel="self"' % (origin, handler.path)))
        if start + size < len(items):
            more = dict(query, after=str(start + size))
            handler.extra.append(("link", '<%s%s?%s>; rel="next"' % (origin, path, urllib.parse.urlencode(more))))
        # A page at a time: a hundred thousand people are not written anew for each of five hundred pages.
        return [write(item) for item in items[start:start + size]]


class Google:
    LIMIT = 2400

    def token(self, company, path, form, handler):
        if form.get("grant_type") != "urn:ietf:params:oauth:grant-type:jwt-bearer":
            return 400, {"error": "unsupported_grant_type"}
        proof = assertion(company, form.get("assertion", ""))
        if not proof:
            return 400, {"error": "invalid_grant", "error_description": "Invalid JWT Signature."}
        header, said = proof
        now = time.time()
        if not said.get("iat", 0) - 60 <= now <= said.get("exp", 0) <= said.get("iat", 0) + 3600:
            return 400, {"error": "invalid_grant", "error_description":
                         "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe."}
        if said.get("iss") != SERVICE_ACCOUNT or "sub" in said:
            return 401, {"error": "unauthorized_client", "error_description": "Client is unauthorized."}
        return None

    def refusal(self, status):
        reason = {401: "authError", 403: "forbidden", 404: "notFound", 400: "badRequest", 429: "rateLimitExceeded"}.get(
            status, "backendError")
        message = "Not Authorized to access this resource/api"
        return {"error": {"code": status, "message": message,
                          "errors": [{"message": message, "domain": "global", "reason": reason}]}}

    def user(self, person):
        return {"id": person["key"], "primaryEmail": person["mail"], "suspended": not person["active"], "archived": False,
                "name": {"givenName": person["first"], "familyName": person["last"]}}

    def group(self, group):
        return {"id": group["id"], "email": group["id"] + "@corp.example", "name": group["name"],
                "directMembersCount": str(len(group["members"]))}

    def answer(self, company, origin, path, query, handler):
        if company.spend(self.LIMIT)[0] < 0:
            body = self.refusal(403)
            body["error"]["errors"][0]["reason"] = "quotaExceeded"
            raise Answer(403, body)
        base = "/admin/directory/v1/"
        if not path.startswith(base):
            raise Answer(404, self.refusal(404))
        rest = path[len(base):]
        if rest in ("users", "groups") and query.get("customer") != CUSTOMER:
            raise Answer(400 if "customer" not in query else 403, self.refusal(400 if "customer" not in query else 403))
        if rest == "users":
            name, most, write = "users", 500, self.user
            items = [person for person in company.people.values() if not person["deleted"]]
        elif rest == "groups":
            name, most, write = "groups", 200, self.group
            items = list(company.groups.values())
        elif rest.startswith("groups/") and rest.endswith("/members"):
            name, most = "members", 200
            group = company.groups.get(urllib.parse.unquote(rest.split("/")[1]))
            if group is None:
                raise Answer(404, self.refusal(404))
            items = list(group["members"])

            def write(member):
                return {"id": member, "type": "GROUP"} if member in company.groups else {
                    "id": company.people[member]["key"], "type": "USER", "role": "MEMBER"}
        else:
            raise Answer(404, self.refusal(404))
        size = company.page or min(int(query.get("maxResults", "100")), most)
        start = int(query.get("pageToken", "0"))
        body = {"kind": "admin#directory#" + name}
        if items[start:start + size]:
            body[name] = [write(item) for item in items[start:start + size]]
        if start + size < len(items):
            body["nextPageToken"] = str(start + size)
        return body


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    company = None
    vendor = None
    extra = ()

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.extra = []
        parts = urllib.parse.urlsplit(self.path)
        company = self.company
        if parts.path == "/control":
            return self.say(200, {"asked": company.asked, "requests": company.requests, "log": company.log[-200:]})
        query = dict(urllib.parse.parse_qsl(parts.query, keep_blank_values=True))
        with company.lock:
            company.asked[parts.path] = company.asked.get(parts.path, 0) + 1
            company.requests += 1
            company.log.append(self.path)
            del company.log[:-1000]
        fault = company.fault(self.path)
        if fault and self.carry_out(fault):
            return None
        try:
            if not self.is_known():
                raise Answer(401, self.vendor.refusal(401))
            with company.lock:
                body = self.vendor.answer(company, self.origin(), parts.path, query, self)
        except Answer as answer:
            return self.say(answer.status, answer.body, answer.headers)
        if fault and fault["kind"] in ("empty", "short"):
            body = self.shortened(body, fault["kind"])
        return self.say(200, body, self.extra, cut=bool(fault) and fault["kind"] == "cut")

    @staticmethod
    def shortened(body, kind):
        """A directory that has lost its people, or most of them, and says so without shame."""
        def some(items):
            return [] if kind == "empty" else items[:1]
        if isinstance(body, list):
            return some(body)
        return {name: some(value) if isinstance(value, list) else value for name, value in body.items()}

    def carry_out(self, fault):
        kind = fault["kind"]
        if kind == "throttle":
            reset = [("x-rate-limit-limit", "600"), ("x-rate-limit-remaining", "0"),
                     ("x-rate-limit-reset", str(int(time.time() + float(fault["seconds"]))))]
            wait = reset if isinstance(self.vendor, Okta) else [("Retry-After", fault["seconds"])]
            self.say(429, self.vendor.refusal(429), wait)
        elif kind == "quota":
            body = self.vendor.refusal(403)
            body["error"]["errors"][0]["reason"] = "quotaExceeded"
            self.say(403, body)
        elif kind == "error":
            self.say(503, self.vendor.refusal(503))
        elif kind == "forbidden":
            self.say(403, self.vendor.refusal(403))
        elif kind == "html":
            self.say(502, "<html><body>Bad gateway</body></html>", type="text/html")
        elif kind == "garbage":
            self.say(200, "{\"value\": [{\"id\": ")
        elif kind == "redirect":
            self.say(302, "", [("Location", "https://127.0.0.1/stolen")])
        elif kind == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
        elif kind == "slow":
            time.sleep(float(fault["seconds"]))
            return False
        else:
            return False
        return True

    def is_known(self):
        said = self.headers.get("Authorization", "")
        if isinstance(self.vendor, Okta) and said == "SSWS " + API_TOKEN:
            return True
        with self.company.lock:
            return said.startswith("Bearer ") and self.company.tokens.get(said[7:], 0) > time.time()

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", "0"))).decode()
        path = urllib.parse.urlsplit(self.path).path
        if path == "/control":
            try:
                self.company.control(json.loads(body))
            except (KeyError, ValueError, TypeError) as error:
                return self.say(400, {"error": "%s: %s" % (type(error).__name__, error)})
            return self.say(200, {"done": True})
        with self.company.lock:
            self.company.asked[path] = self.company.asked.get(path, 0) + 1
            self.company.requests += 1
        fault = self.company.fault(path)
        if fault and self.carry_out(fault):
            return None
        refusal = self.vendor.token(self.company, path, dict(urllib.parse.parse_qsl(body, keep_blank_values=True)), self)
        if refusal:
            return self.say(*refusal)
        token = secrets.token_urlsafe(32)
        with self.company.lock:
            self.company.tokens[token] = time.time() + self.company.token_life
        return self.say(200, {"token_type": "Bearer", "expires_in": self.company.token_life, "access_token": token})

    def origin(self):
        options = self.company.options
        return "https://" + options.address + ("" if options.port == 443 else ":%d" % options.port)

    def say(self, status, body, headers=(), cut=False, type="application/json; charset=utf-8"):
        data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        self.send_response_only(status)
        self.send_header("Date", formatdate(usegmt=True))
        self.send_header("Content-Type", type)
        self.send_header("Content-Length", str(len(data)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        if cut:
            data = data[:len(data) // 2]
            self.close_connection = True
        self.wfile.write(data)
        if cut:
            self.wfile.flush()
            self.connection.close()
        return None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vendor", choices=["entra", "okta", "google"], required=True)
    parser.add_argument("--address", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=443)
    parser.add_argument("--certificate", required=True)
    parser.add_argument("--key", required=True)
    parser.add_argument("--people", type=int, default=0)
    parser.add_argument("--groups", type=int, default=10)
    parser.add_argument("--service-key", help="the private key in PEM of the service account (Google) or the service app (Okta), "
                                              "to check signatures with")
    options = parser.parse_args()
    Handler.company = Company(options)
    Handler.vendor = {"entra": Entra, "okta": Okta, "google": Google}[options.vendor]()
    server = ThreadingHTTPServer((options.address, options.port), Handler, bind_and_activate=False)
    server.daemon_threads = True
    server.request_queue_size = 64
    server.server_bind()
    server.server_activate()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(options.certificate, options.key)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    print("ready", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
