#!/usr/bin/python3
"""Endpoint protection platforms as SentinelOne, GravityZone, Defender and Heimdal are on the wire, with their errors, limits and
habits, over TLS; and Acorn Shield, which does not exist.

    epp.py --vendor sentinelone --address 203.0.113.82 --certificate epp.crt --key epp.key [--state devices.json]

The devices stand in one JSON file, {"devices": [{"id": "1", "name": "laptop", "macs": ["02:00:00:00:00:0a"], …}]}. POST
/control with a JSON object changes them and how it behaves: {"device": {"id": "1", "infected": true}}, {"remove": ["1"]},
{"generate": 1000}, {"faults": {"agents": "half"}}, {"token": "expired"}, {"forbidden": ["alerts"]}, {"clock": 3600},
{"shuffle": true}, {"keyEnds": "2026-12-29T00:00:00Z"}, {"limits": false}; {"reset": true} puts the behaviour back. GET /control says
what it was asked. Answers have the shape of the samples in Tests/VendorsTests/Samples. For tests and demonstrations alone.
"""

import argparse
import base64
import copy
import datetime
import email.utils
import json
import os
import secrets
import ssl
import sys
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KEY = "k3y-of-the-lab"
CLIENT_ID = "22222222-2222-2222-2222-222222222222"
TENANT = "11111111-1111-1111-1111-111111111111"
CUSTOMER = "12345"
SAMPLES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "Tests", "VendorsTests", "Samples")

# Calls in so many seconds, by what they are about, as the vendors count.
LIMITS = {
    "sentinelone": {"agents": (25, 1)},
    "gravityzone": {"": (10, 1)},
    "defender": {"machines": (100, 60), "deviceavinfo": (30, 60), "alerts": (100, 60), "configurations": (30, 60)},
    "heimdal": {"clients": (5, 60), "device": (5, 60), "risk": (5, 60), "detections": (5, 60)},
    "acorn": {},
}


def sample(name):
    with open(os.path.join(SAMPLES, name + ".json")) as file:
        return json.load(file)["response"]


class Platform:
    """One vendor's platform: its devices, and how it behaves."""

    def __init__(self, options):
        self.options = options
        self.lock = threading.RLock()
        self.devices = {}
        self.alerts = []
        self.asked = {}
        self.times = {}
        self.log = []
        self.tokens = {}
        self.reset()
        if options.state and os.path.exists(options.state):
            with open(options.state) as file:
                self.put(json.load(file))

    def reset(self):
        self.faults = {}
        self.token = "good"
        self.forbidden = set()
        self.clock = 0
        self.shuffle = False
        self.limits = True
        self.key_ends = None
        self.token_life = 3599
        self.rename = {}
        self.detailless = False
        self.page_size = None

    def put(self, order):
        for device in order.pop("devices", []):
            self.devices[str(device["id"])] = dict(device, id=str(device["id"]))
        if "device" in order:
            change = order.pop("device")
            self.devices.setdefault(str(change["id"]), {"id": str(change["id"])}).update(change)
            self.devices[str(change["id"])]["updated"] = time.time()
        for name in order.pop("remove", []):
            self.devices.pop(str(name), None)
        for number in range(order.pop("generate", 0)):
            name = str(100000 + number)
            self.devices[name] = {
                "id": name, "name": "host-%05d" % number, "macs": ["02:00:%02x:%02x:%02x:%02x" % (
                    number >> 24 & 255, number >> 16 & 255, number >> 8 & 255, number & 255)],
                "addresses": ["10.%d.%d.%d" % (64 + (number >> 16), number >> 8 & 255, number & 255)]}
        if "forbidden" in order:
            self.forbidden = set(order.pop("forbidden"))
        names = {"keyEnds": "key_ends", "tokenLife": "token_life", "pageSize": "page_size"}
        for name, value in order.items():
            setattr(self, names.get(name, name), value)
        if self.options.state:
            with open(self.options.state + ".new", "w") as file:
                json.dump({"devices": list(self.devices.values())}, file)
            os.rename(self.options.state + ".new", self.options.state)

    # Times.

    def now(self):
        return time.time() + self.clock

    def stamp(self, ago=0, form="%Y-%m-%dT%H:%M:%S.%f", tail="Z"):
        moment = datetime.datetime.fromtimestamp(self.now() - ago, datetime.timezone.utc)
        return moment.strftime(form) + tail

    def is_limited(self, call):
        """Seconds to wait; zero where the call may be made."""
        limits = LIMITS[self.options.vendor]
        key = call if call in limits else "" if "" in limits else None
        if key is None or not self.limits:
            return 0
        count, seconds = limits[key]
        times = self.times.setdefault(key, [])
        now = time.time()
        times[:] = [moment for moment in times if moment > now - seconds]
        if len(times) >= count:
            return max(1, int(times[0] + seconds - now) + 1)
        times.append(now)
        return 0

    def listed(self, page):
        """The devices in order. Between pages one may vanish and another appear."""
        devices = sorted(self.devices.values(), key=lambda device: device["id"])
        if self.shuffle and page > 1:
            devices = devices[1:]
        return devices

    # Rows, in the shape of the samples.

    def agent(self, device):
        row = copy.copy(self.agent_sample)
        seen = device.get("seen", 30)
        os_type = device.get("os", "windows")
        row.update(
            id=device["id"], uuid=device.get("uuid", device["id"] * 2), computerName=device.get("name", "host"),
            infected=device.get("infected", False), activeThreats=1 if device.get("infected") else 0,
            encryptedApplications=device.get("encrypted", True), isUpToDate=device.get("upToDate", True),
            isActive=device.get("active", True), isDecommissioned=device.get("decommissioned", False),
            osType=os_type, osName=device.get("osName", {"windows": "Windows 11 Pro", "macos": "macOS"}.get(os_type, "Ubuntu")),
            lastLoggedInUserName=device.get("user", ""),
            lastActiveDate=self.stamp(seen) if len(device["id"]) % 2 else self.stamp(seen, "%Y-%m-%dT%H:%M:%S"),
            networkQuarantineEnabled=device.get("quarantined", False))
        # Some with colons, some with dashes.
        macs = [mac if number % 2 == 0 else mac.replace(":", "-") for number, mac in enumerate(device.get("macs", []))]
        addresses = device.get("addresses", [])
        row["networkInterfaces"] = [
            {"physical": mac, "inet": addresses[number:number + 1], "inet6": [], "name": "eth%d" % number}
            for number, mac in enumerate(macs)] or [{"physical": "", "inet": addresses, "inet6": [], "name": "eth0"}]
        row.update(device.get("raw", {}))
        return row

    def gz_item(self, device):
        row = {
            "id": device["id"], "name": device.get("name", "host").upper(), "label": "",
            "fqdn": device.get("name", "host") + ".corp.example", "groupId": "5a5f4d36b1a43d5f097b23bb",
            "isManaged": device.get("managed", True), "machineType": 1,
            "operatingSystemVersion": device.get("osName", "Windows 11 Pro"),
            "ip": (device.get("addresses") or [""])[0], "macs": [mac.replace(":", "") for mac in device.get("macs", [])],
            "ssid": "",
        }
        return row

    def gz_details(self, device):
        row = copy.deepcopy(self.details_sample)
        row.update(
            id=device["id"], name=device.get("name", "host").upper(), operatingSystem=device.get("osName", "Windows 11 Pro"),
            ip=(device.get("addresses") or [""])[0], lastSeen=self.stamp(device.get("seen", 30), "%Y-%m-%dT%H:%M:%S", ""))
        row["agent"].update(
            productOutdated=not device.get("upToDate", True), signatureOutdated=device.get("signatureOld", False),
            signatureUpdateDisabled=False, productUpdateDisabled=False, licensed=device.get("licensed", 1))
        row["malwareStatus"].update(infected=device.get("infected", False), detection=device.get("infected", False))
        row["modules"]["encryption"] = device.get("encrypted", True)
        row["riskScore"]["value"] = "%d%%" % device.get("risk", 12)
        row.update(device.get("raw", {}))
        return row

    def machine(self, device):
        row = copy.deepcopy(self.machine_sample)
        mac = (device.get("macs") or [None])
        row.update(
            id=device["id"], computerDnsName=device.get("name", "host") + ".corp.example",
            lastSeen=self.stamp(device.get("seen", 3600)).replace("Z", "5Z"),
            osPlatform={"windows": "Windows11", "macos": "macOS", "linux": "Ubuntu"}.get(device.get("os", "windows")),
            version="22H2", healthStatus="Active" if device.get("active", True) else "Inactive",
            onboardingStatus=device.get("onboarding", "onboarded"), riskScore=device.get("riskWord", "None"),
            lastIpAddress=(device.get("addresses") or [""])[0],
            ipAddresses=[
                {"ipAddress": address, "macAddress": card.replace(":", "").upper(), "type": "Ethernet",
                 "operationalStatus": "Up"}
                for address, card in zip(device.get("addresses", [""]) + [""] * 9, device.get("macs", []))]
            + [{"ipAddress": "127.0.0.1", "macAddress": None, "type": "SoftwareLoopback", "operationalStatus": "Up"}])
        row.update(device.get("raw", {}))
        return row

    def av_row(self, device):
        row = copy.copy(self.av_sample)
        truth = {True: "True", False: "False"}
        row.update(
            id=secrets.token_hex(8), machineId=device["id"], computerDnsName=device.get("name", "host"),
            avIsPlatformUpToDate=truth[device.get("upToDate", True)], avIsEngineUpToDate="True",
            avIsSignatureUpToDate=truth[not device.get("signatureOld", False)],
            dataRefreshTimestamp=self.stamp(1800, "%Y-%m-%dT%H:%M:%S"), lastSeenTime=self.stamp(1800, "%Y-%m-%dT%H:%M:%S"))
        return row

    def alert(self, device):
        row = copy.deepcopy(self.alert_sample)
        row.update(
            id="da" + device["id"], machineId=device["id"], status="New" if device.get("infected") else "Resolved",
            lastEventTime=self.stamp(60).replace("Z", "1Z"), lastUpdateTime=self.stamp(60).replace("Z", "1Z"), evidence=[])
        return row

    def configuration_rows(self, device):
        rows = copy.deepcopy(self.configuration_samples)
        for row in rows:
            row.update(deviceId=device["id"], timestamp=self.stamp(3600, "%Y-%m-%d %H:%M:%S.%f", "")[:-3])
            if row["configurationId"] == "scid-2090":
                row["isCompliant"] = device.get("encrypted", True)
        return rows

    def client(self, device):
        row = copy.copy(self.client_sample)
        row.update(
            clientInfoId=int(device["id"]), hostname=device.get("name", "host"),
            ipAddress=(device.get("addresses") or [""])[0], agentVersion=device.get("version", "4.6.2"),
            operatingSystem=device.get("osName", "Windows 11 Pro"), lastSeen=self.stamp(device.get("seen", 30), "%Y-%m-%dT%H:%M:%S", ""),
            status="Active" if device.get("active", True) else "Inactive", userName=device.get("user", ""))
        return {self.rename.get(name, name): value for name, value in row.items()}

    def load(self):
        vendor = self.options.vendor
        if vendor == "sentinelone":
            self.agent_sample = sample("sentinelone/agents-page1")["body"]["data"][1]
        elif vendor == "gravityzone":
            self.details_sample = sample("gravityzone/getManagedEndpointDetails-full-failing")["body"]["result"]
        elif vendor == "defender":
            self.machine_sample = sample("defender/machines")["body"]["value"][0]
            self.av_sample = sample("defender/deviceavinfo")["body"]["value"][0]
            self.alert_sample = sample("defender/alerts")["body"]["value"][0]
            self.configuration_samples = sample("defender/secure-configurations")["body"]["value"][:3]
        elif vendor == "heimdal":
            self.client_sample = sample("heimdal/activeclients-2.0")["body"]["items"][0]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    platform = None

    def log_message(self, *arguments):
        pass

    def date_time_string(self, timestamp=None):
        return email.utils.formatdate(self.platform.now(), usegmt=True)

    def reply(self, status, body, kind="application/json", **headers):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(data)

    def reply_sample(self, name, **headers):
        """A refusal as the vendor words it."""
        answer = sample(name)
        kept = {key.replace("-", "_"): value for key, value in answer["headers"].items() if key != "Content-Type"}
        kept.update(headers)
        body = answer["body"].encode() if isinstance(answer["body"], str) else answer["body"]
        self.reply(answer["status"], body, answer["headers"].get("Content-Type", "application/json"), **kept)

    def do_GET(self):
        self.handle_call(None)

    def do_POST(self):
        length = int(self.headers.get("Content-Length", "0"))
        body = self.rfile.read(length)
        if urllib.parse.urlsplit(self.path).path == "/control":
            order = json.loads(body)
            with self.platform.lock:
                if order.pop("reset", False):
                    self.platform.reset()
                self.platform.put(order)
            return self.reply(200, {"done": True})
        return self.handle_call(body)

    def handle_call(self, body):
        platform = self.platform
        url = urllib.parse.urlsplit(self.path)
        if url.path == "/control":
            with platform.lock:
                return self.reply(200, {"asked": platform.asked, "log": platform.log[-200:]})
        query = {name: values[0] for name, values in urllib.parse.parse_qs(url.query).items()}
        call = getattr(self, "name_" + platform.options.vendor)(url.path, query, body)
        with platform.lock:
            platform.asked[call] = platform.asked.get(call, 0) + 1
            platform.log.append("%s %s %s" % (self.command, url.path, call))
            fault = platform.faults.get(call) or platform.faults.get("all")
            if fault in ("throttle", "throttle-bare", "unavailable", "cut", "reset"):
                # These pass.
                platform.faults.pop(call, None)
            if call != "token" and not self.is_authorized():
                return self.refuse_key(call)
            if fault and self.misbehave(fault):
                return None
            if call in platform.forbidden:
                return self.refuse_permission(call)
            left = platform.is_limited(call)
            if left:
                return self.refuse_pace(left)
        # Rendering many rows must not hold up others.
        return getattr(self, "answer_" + platform.options.vendor)(call, url.path, query, body)

    def misbehave(self, fault):
        if fault in ("throttle", "throttle-bare"):
            self.reply(429, b"", **({"Retry_After": "1"} if fault == "throttle" else {}))
        elif fault in ("unavailable", "down"):
            self.reply(502, b"<html><body>Bad Gateway</body></html>", "text/html")
        elif fault == "html":
            self.reply(200, b"<!DOCTYPE html><html>Sign in</html>", "text/html")
        elif fault == "login":
            self.reply(302, b"", "text/html", Location="https://203.0.113.99/login")
        elif fault == "json":
            self.reply(200, {"unexpected": True})
        elif fault == "half":
            data = b'{"data": [{"id": "1", "computerName": "LAP'
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)
        elif fault == "cut":
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", "100000")
            self.end_headers()
            self.wfile.write(b'{"data": [')
            self.close_connection = True
        elif fault == "reset":
            self.close_connection = True
            self.connection.close()
        elif fault == "slow":
            time.sleep(8)
            return False
        else:
            return False
        return True

    def is_authorized(self):
        platform, given = self.platform, self.headers.get("Authorization", "")
        if platform.token != "good":
            return False
        if platform.options.vendor == "sentinelone":
            return given == "ApiToken " + KEY
        if platform.options.vendor == "gravityzone":
            return given == "Basic " + base64.b64encode((KEY + ":").encode()).decode()
        if platform.options.vendor == "heimdal":
            return given == "Bearer " + KEY
        if platform.options.vendor == "acorn":
            return given == "Key " + KEY
        return platform.tokens.get(given.removeprefix("Bearer "), 0) > time.time()

    def refuse_key(self, call):
        name = {"sentinelone": "error-token", "gravityzone": "error-bad-key", "defender": "error-unauthorized",
                "heimdal": "error-unauthorized"}.get(self.platform.options.vendor)
        if name is None:
            return self.reply(401, {"problem": {"type": "key", "title": "no such key"}})
        return self.reply_sample(self.platform.options.vendor + "/" + name)

    def refuse_permission(self, call):
        vendor = self.platform.options.vendor
        name = {"sentinelone": "error-permission", "gravityzone": "error-area-not-enabled",
                "defender": "error-forbidden"}.get(vendor)
        if name is None:
            return self.reply(403, {"message": "Forbidden"})
        return self.reply_sample(vendor + "/" + name)

    def refuse_pace(self, seconds):
        vendor = self.platform.options.vendor
        name = {"sentinelone": "error-rate", "gravityzone": "error-rate-limit", "defender": "error-throttled",
                "heimdal": "error-rate"}[vendor]
        return self.reply_sample(vendor + "/" + name, Retry_After=str(seconds))

    # SentinelOne.

    def name_sentinelone(self, path, query, body):
        return {"/web/api/v2.1/agents": "agents", "/web/api/v2.1/system/info": "info",
                "/web/api/v2.1/users/api-token-details": "key-end"}.get(path, "unknown")

    def answer_sentinelone(self, call, path, query, body):
        platform = self.platform
        if call == "info":
            return self.reply_sample("sentinelone/system-info")
        if call == "key-end":
            if json.loads(body)["data"]["apiToken"] != KEY or platform.detailless or platform.key_ends is None:
                return self.reply_sample("sentinelone/error-permission")
            return self.reply(200, {"data": {"createdAt": platform.stamp(86400), "expiresAt": platform.key_ends}})
        if call != "agents":
            return self.reply(404, {"errors": [{"code": 4040010, "title": "Not found", "detail": None}]})
        limit = int(query.get("limit", "10"))
        if not 1 <= limit <= 1000:
            return self.reply_sample("sentinelone/error-input")
        if platform.page_size:
            limit = min(limit, platform.page_size)
        start = 0
        if "cursor" in query:
            try:
                start = int(base64.b64decode(query["cursor"], validate=True).decode().split(":")[1])
            except (ValueError, IndexError):
                return self.reply_sample("sentinelone/error-input")
        with platform.lock:
            devices = platform.listed(1 + start // limit)
            shown = set(query.get("isDecommissioned", "false").split(","))
            devices = [one for one in devices if json.dumps(one.get("decommissioned", False)) in shown]
            if "updatedAt__gte" in query:
                since = datetime.datetime.fromisoformat(query["updatedAt__gte"].replace("Z", "+00:00")).timestamp()
                devices = [one for one in devices if one.get("updated", 0) + platform.clock >= since]
            if "ids" in query:
                devices = [one for one in devices if one["id"] in query["ids"].split(",")]
            if "computerName" in query:
                devices = [one for one in devices if one.get("name", "").lower() == query["computerName"].lower()]
            if "networkInterfacePhysical__contains" in query:
                words = [word.replace("-", ":").lower() for word in query["networkInterfacePhysical__contains"].split(",")]
                devices = [one for one in devices if any(word in mac for word in words for mac in one.get("macs", []))]
            if "networkInterfaceInet__contains" in query:
                devices = [one for one in devices
                           if any(query["networkInterfaceInet__contains"] in item for item in one.get("addresses", []))]
            rows = [platform.agent(one) for one in devices[start:start + limit]]
            end = start + limit
            cursor = base64.b64encode(("agent_id:%d" % end).encode()).decode() if end < len(devices) else None
        return self.reply(200, {"data": rows, "pagination": {"nextCursor": cursor, "totalItems": len(devices)}})

    # GravityZone.

    def name_gravityzone(self, path, query, body):
        order = json.loads(body or b"{}")
        return {"getEndpointsList": "endpoints", "getManagedEndpointDetails": "details",
                "getApiKeyDetails": "general"}.get(order.get("method"), "unknown")

    def answer_gravityzone(self, call, path, query, body):
        platform = self.platform
        if body is None:
            return self.reply(405, b"", "text/html")
        order = json.loads(body)
        params = order.get("params", {})
        number = "wrong" if platform.faults.get(call) == "wrong-id" else order.get("id")

        def result(value):
            return self.reply(200, {"id": number, "jsonrpc": "2.0", "result": value})

        def error(name):
            answer = sample("gravityzone/" + name)["body"]
            return self.reply(200, dict(answer, id=number))

        if platform.faults.get(call) == "server-error":
            return error("error-server")
        if call == "general":
            return result({"enabledApis": ["network"], "createdAt": "2019-04-11T12:00:54"})
        if call == "endpoints":
            size, page = params.get("perPage", 30), params.get("page", 1)
            if not isinstance(page, int) or not 1 <= size <= 100:
                return error("error-invalid-params")
            if platform.page_size:
                size = min(size, platform.page_size)
            with platform.lock:
                devices = platform.listed(page)
                if params.get("isManaged"):
                    devices = [one for one in devices if one.get("managed", True)]
                details = params.get("filters", {}).get("details", {})
                if "macs" in details:
                    devices = [one for one in devices
                               if set(details["macs"]) & {mac.replace(":", "") for mac in one.get("macs", [])}]
                if "name" in details:
                    devices = [one for one in devices
                               if one.get("name", "").lower().startswith(details["name"].lower())]
                items = [platform.gz_item(one) for one in devices[(page - 1) * size:page * size]]
            return result({"page": page, "pagesCount": max(1, -(-len(devices) // size)), "perPage": size,
                           "total": len(devices), "items": items})
        if call == "details":
            with platform.lock:
                device = platform.devices.get(params.get("endpointId"))
                if device is None or not device.get("managed", True):
                    return error("error-invalid-params")
                return result(platform.gz_details(device))
        return error("error-method-not-found")

    # Defender.

    def name_defender(self, path, query, body):
        if path.endswith("/oauth2/v2.0/token"):
            return "token"
        return {"/api/machines": "machines", "/api/deviceavinfo": "deviceavinfo", "/api/alerts": "alerts",
                "/api/machines/SecureConfigurationsAssessmentByMachine": "configurations"}.get(
                    path, "machine" if path.startswith("/api/machines/") else "unknown")

    def answer_defender(self, call, path, query, body):
        platform = self.platform
        if call == "token":
            form = {name: values[0] for name, values in urllib.parse.parse_qs(body.decode()).items()}
            if (form.get("client_id"), form.get("client_secret")) != (CLIENT_ID, KEY) or platform.token == "expired":
                return self.reply(401, {
                    "error": "invalid_client", "error_description": "AADSTS7000222: The provided client secret keys are expired."})
            token = secrets.token_urlsafe(60)
            platform.tokens[token] = time.time() + platform.token_life
            return self.reply(200, {"token_type": "Bearer", "expires_in": platform.token_life, "access_token": token})
        with platform.lock:
            if call == "machine":
                device = platform.devices.get(path.rsplit("/", 1)[1])
                if device is None:
                    return self.reply_sample("defender/error-not-found")
                return self.reply(200, platform.machine(device))
            devices = platform.listed(1 + int(query.get("$skip", "0")))
            if call == "machines":
                wanted = query.get("$filter", "")
                if wanted.startswith("startswith(computerDnsName,'"):
                    name = wanted.split("'")[1].lower()
                    devices = [one for one in devices if one.get("name", "").lower().startswith(name)]
                elif wanted.startswith("lastIpAddress eq '"):
                    devices = [one for one in devices if wanted.split("'")[1] in one.get("addresses", [])[:1]]
                rows, usual = [platform.machine(one) for one in devices], 10000
            elif call == "deviceavinfo":
                rows = [platform.av_row(one) for one in devices]
                # Of a machine that nobody knows.
                rows, usual = rows + [platform.av_row({"id": "f" * 40})], 20
            elif call == "alerts":
                rows, usual = [platform.alert(one) for one in devices if "infected" in one], 10000
            elif call == "configurations":
                rows, usual = [row for one in devices for row in platform.configuration_rows(one)], 50000
            else:
                return self.reply_sample("defender/error-not-found")
            if not rows:
                return self.reply_sample("defender/error-not-found")
            size = int(query.get("$top", query.get("pageSize", str(usual))))
            if size > (200000 if call == "configurations" else 10000):
                return self.reply_sample("defender/error-odata")
            if platform.page_size:
                size = min(size, platform.page_size)
            start = int(query.get("$skip", "0"))
            body = {"@odata.context": "https://api.security.microsoft.com/api/$metadata", "value": rows[start:start + size]}
            if start + size < len(rows):
                rest = dict(query, **{"$skip": str(start + size)})
                host = self.headers.get("Host")
                body["@odata.nextLink"] = "https://%s%s?%s" % (host, path, urllib.parse.urlencode(rest))
            return self.reply(200, body)

    # Heimdal.

    def name_heimdal(self, path, query, body):
        tail = path.removeprefix("/api/heimdalapi/").removeprefix("2.0/")
        return {"activeclients": "clients", "activeclients/getDeviceInfo": "device",
                "activeclients/getRiskScores": "risk", "vigilancedetections": "detections"}.get(tail, "unknown")

    def answer_heimdal(self, call, path, query, body):
        platform = self.platform
        query = {name.lower(): value for name, value in query.items()}
        if query.get("customerid") != CUSTOMER:
            return self.reply(200, {"message": "The customer is not yours."})
        with platform.lock:
            if call == "clients":
                size = int(query.get("pagesize", "1000"))
                page = int(query.get("pagenumber", "1"))
                if platform.page_size:
                    size = min(size, platform.page_size)
                if platform.faults.get("clients") == "deaf":
                    page = 1
                devices = platform.listed(page)
                rows = [platform.client(one) for one in devices[(page - 1) * size:page * size]]
                if platform.faults.get("clients") == "bare":
                    return self.reply(200, [platform.client(one) for one in devices])
                return self.reply(200, {"items": rows, "totalCount": len(devices)})
            device = platform.devices.get(query.get("clientinfoid", ""))
            if call in ("device", "risk"):
                if device is None:
                    return self.reply(404, {"message": "There is no such client."})
                if call == "risk":
                    return self.reply(200, {"clientInfoId": int(device["id"]), "riskScore": device.get("risk", 12)})
                return self.reply(200, {
                    "clientInfoId": int(device["id"]), "lastSeen": platform.stamp(30, "%Y-%m-%dT%H:%M:%S", ""),
                    "vdfDate": platform.stamp(86400 * (9 if device.get("signatureOld") else 1), "%Y-%m-%dT00:00:00", ""),
                    "bitLockerEnabled": device.get("encrypted", True)})
            if call == "detections":
                rows = [
                    {"clientInfoId": int(one["id"]), "hostname": one.get("name", ""), "threatName": "Zusy",
                     "detectionDate": platform.stamp(60, "%Y-%m-%dT%H:%M:%S", ""),
                     "status": "Detected" if one["infected"] else "Quarantined"}
                    for one in platform.listed(1) if "infected" in one]
                return self.reply(200, {"items": rows, "totalCount": len(rows)})
        return self.reply(404, {"message": "No such call."})

    # Acorn Shield.

    def name_acorn(self, path, query, body):
        return {"machines": "machines", "findings": "findings"}.get(path.rsplit("/", 1)[1], "organisation")

    def answer_acorn(self, call, path, query, body):
        platform = self.platform
        if not path.startswith("/rest/v3/organisations/oak"):
            return self.reply(404, {"problem": {"type": "path", "title": "no such organisation"}})
        with platform.lock:
            devices = platform.listed(1)
            if "card" in query:
                devices = [one for one in devices if query["card"] in {mac.replace(":", "") for mac in one.get("macs", [])}]
            if call == "machines":
                start, count = int(query.get("offset", "0")), int(query.get("count", "50"))
                rows = [
                    {"serial": int(one["id"]), "names": {"short": one.get("name", "host")},
                     "heartbeat": platform.stamp(one.get("seen", 30)), "cards": one.get("macs", []),
                     "ip4": (one.get("addresses") or [None])[0], "retired": one.get("decommissioned", False),
                     "agent": {"state": "running", "version": one.get("version", "2.10"), "rules": platform.stamp(3600, "%Y-%m-%dT00:00:00")},
                     "disk": {"clear": str(not one.get("encrypted", True))}, "system": one.get("osName", "Ubuntu 24.04"),
                     "danger": "%d%%" % one.get("risk", 7)}
                    for one in devices[start:start + count]]
                return self.reply(200, {"total": len(devices), "machines": rows})
            if call == "findings":
                return self.reply(200, {"findings": [
                    {"machine": {"serial": int(one["id"])}, "closed": not one["infected"], "kind": "worm", "title": "Oak worm"}
                    for one in devices if "infected" in one]})
        return self.reply(200, {"name": "oak"})


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--vendor", required=True, choices=sorted(LIMITS))
    parser.add_argument("--address", required=True)
    parser.add_argument("--port", type=int, default=443)
    parser.add_argument("--certificate", required=True)
    parser.add_argument("--key", required=True)
    parser.add_argument("--state")
    parser.add_argument("--until-input-ends", action="store_true", help="end when standard input does, as with a test")
    options = parser.parse_args()
    platform = Platform(options)
    platform.load()
    Handler.platform = platform
    server = ThreadingHTTPServer((options.address, options.port), Handler)
    server.daemon_threads = True
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(options.certificate, options.key)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    if options.until_input_ends:
        threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
    print("ready", server.server_address[1], flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        sys.exit(0)


if __name__ == "__main__":
    main()
