"""A small IKEv2 initiator that shares no code with Gatehouse: messages by hand, so that they may be as wrong as a case
wants. Written from RFC 7296, RFC 5282 (AES-GCM), RFC 8031 (Curve25519) and RFC 7383 (fragments); ciphers and X25519 come
from the `cryptography` package.
"""
import hashlib
import hmac
import os
import socket
import struct
import time

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

IKE_SA_INIT, IKE_AUTH, CREATE_CHILD_SA, INFORMATIONAL = 34, 35, 36, 37
SA, KE, IDI, IDR, CERT, CERTREQ, AUTH, NONCE, NOTIFY, DELETE, VENDOR, TSI, TSR, SK, CP, EAP, SKF = (
    33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 53)
INITIATOR, RESPONSE = 0x08, 0x20
UNSUPPORTED_CRITICAL_PAYLOAD, INVALID_IKE_SPI, INVALID_MAJOR_VERSION, INVALID_SYNTAX = 1, 4, 5, 7
NO_PROPOSAL_CHOSEN, INVALID_KE_PAYLOAD, AUTHENTICATION_FAILED, NO_ADDITIONAL_SAS, TS_UNACCEPTABLE = 14, 17, 24, 35, 38
CHILD_SA_NOT_FOUND = 44
REKEY_SA, UPDATE_SA_ADDRESSES, COOKIE2 = 16393, 16400, 16401
QUICK_CRASH_DETECTION, FRAGMENTATION_SUPPORTED = 16419, 16430


def prf(key, data):
    return hmac.new(key, data, hashlib.sha256).digest()


def prf_plus(key, seed, length):
    out, block, number = b"", b"", 1
    while len(out) < length:
        block = prf(key, block + seed + bytes([number]))
        out += block
        number += 1
    return out[:length]


def chain(payloads):
    """(type of the first, bytes) of payloads given as (type, body) or (type, body, flags)."""
    out = b""
    for index, payload in enumerate(payloads):
        following = payloads[index + 1][0] if index + 1 < len(payloads) else 0
        flags = payload[2] if len(payload) > 2 else 0
        out += struct.pack(">BBH", following, flags, len(payload[1]) + 4) + payload[1]
    return (payloads[0][0] if payloads else 0), out


def header(spi_i, spi_r, first, exchange, flags, message_id, body, version=0x20, length=None):
    size = 28 + len(body) if length is None else length
    return spi_i + spi_r + struct.pack(">BBBBII", first, version, exchange, flags, message_id, size) + body


def notify(kind, data=b"", protocol=0, spi=b""):
    return NOTIFY, struct.pack(">BBH", protocol, len(spi), kind) + spi + data


def transform(kind, number, key_bits=None, last=False):
    attribute = struct.pack(">HH", 0x800E, key_bits) if key_bits else b""
    return struct.pack(">BBHBBH", 0 if last else 3, 0, 8 + len(attribute), kind, 0, number) + attribute


def proposal(protocol, spi, transforms, number=1, last=True):
    body = b"".join(transforms)
    return struct.pack(">BBHBBBB", 0 if last else 2, 0, 8 + len(spi) + len(body), number, protocol, len(spi),
                       len(transforms)) + spi + body


IKE_TRANSFORMS = [transform(1, 20, 128), transform(2, 5), transform(4, 31, last=True)]
ESP_TRANSFORMS = [transform(1, 20, 128), transform(5, 0, last=True)]
# In CREATE_CHILD_SA the gateway wants a key exchange of its own.
PFS_TRANSFORMS = [transform(1, 20, 128), transform(4, 31), transform(5, 0, last=True)]
EVERYTHING = struct.pack(">BBHBBHHH4s4s", 1, 0, 0, 7, 0, 16, 0, 65535, bytes(4), b"\xff" * 4)


def payloads_of(first, data):
    """Reads a well-formed chain: [(type, body)]."""
    out, at = [], 0
    while first:
        following, _, length = struct.unpack_from(">BBH", data, at)
        out.append((first, data[at + 4:at + length]))
        first, at = following, at + length
    return out


def notify_types(payloads):
    return [struct.unpack_from(">H", body, 2)[0] for kind, body in payloads if kind == NOTIFY]


class Session:
    """One IKE SA of ours with the gateway, or the way to it."""

    def __init__(self, local, remote, psk, timeout=1.0):
        self.local, self.remote, self.psk = local, remote, psk
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind((local, 500))
        self.socket.connect((remote, 500))
        self.socket.settimeout(timeout)
        self.spi_i, self.spi_r = os.urandom(8), bytes(8)
        self.nonce, self.private = os.urandom(32), X25519PrivateKey.generate()
        self.next_id, self.next_iv = 0, 0
        self.child_spi = os.urandom(4)

    def close(self):
        self.socket.close()

    # Datagrams

    def send(self, data):
        self.socket.send(data)

    def receive(self):
        """The next datagram, or None when nothing comes within the time."""
        try:
            return self.socket.recv(65535)
        except (socket.timeout, ConnectionRefusedError):
            return None

    def exchange(self, data):
        """Sends a request and returns its answer; requests of the gateway's own and other SAs' messages are passed over."""
        self.drain()
        self.send(data)
        end = time.monotonic() + 1
        while time.monotonic() < end:
            answer = self.receive()
            if answer is None or (len(answer) > 28 and answer[19] & RESPONSE and answer[:8] == data[:8]):
                return answer
        return None

    def drain(self):
        self.socket.setblocking(False)
        try:
            while True:
                self.socket.recv(65535)
        except (BlockingIOError, ConnectionRefusedError):
            pass
        self.socket.settimeout(1.0)

    # IKE_SA_INIT

    def public(self):
        return self.private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    def init_payloads(self, public=None):
        public = public or self.public()
        return [(SA, proposal(1, b"", IKE_TRANSFORMS)), (KE, struct.pack(">HH", 31, 0) + public), (NONCE, self.nonce)]

    def init_message(self, payloads=None):
        first, body = chain(self.init_payloads() if payloads is None else payloads)
        return header(self.spi_i, bytes(8), first, IKE_SA_INIT, INITIATOR, 0, body)

    def init(self, payloads=None, shared=None):
        """IKE_SA_INIT up to the keys; answers a cookie when asked for one. `shared` stands in for the Diffie-Hellman result."""
        self.request = self.init_message(payloads)
        answer = self.exchange(self.request)
        if answer and answer[16] == NOTIFY:
            found = payloads_of(answer[16], answer[28:])
            if notify_types(found) == [16390]:
                cookie = [(NOTIFY, found[0][1])]
                self.request = self.init_message(cookie + (payloads or self.init_payloads()))
                answer = self.exchange(self.request)
        assert answer, "no answer to IKE_SA_INIT"
        self.answer, self.spi_r = answer, answer[8:16]
        found = dict(payloads_of(answer[16], answer[28:]))
        assert KE in found, f"IKE_SA_INIT was refused: {notify_types(payloads_of(answer[16], answer[28:]))}"
        shared = shared or self.private.exchange(X25519PublicKey.from_public_bytes(found[KE][4:]))
        self.nonce_r = found[NONCE]
        seed = prf(self.nonce + self.nonce_r, shared)
        material = prf_plus(seed, self.nonce + self.nonce_r + self.spi_i + self.spi_r, 3 * 32 + 2 * 20)
        self.sk_d, self.sk_ei, self.sk_er = material[:32], material[32:52], material[52:72]
        self.sk_pi, self.sk_pr = material[72:104], material[104:136]
        self.next_id = 1

    # The Encrypted payload

    def iv(self):
        self.next_iv += 1
        return struct.pack(">Q", self.next_iv)

    def seal_raw(self, exchange, first, inner, flags=INITIATOR, message_id=None, padding=b"\0", spi_i=None, spi_r=None):
        """A message whose decrypted content is exactly `inner` + `padding`, whatever that means to its reader."""
        message_id = self.next_id if message_id is None else message_id
        plain = inner + padding
        size = 4 + 8 + len(plain) + 16
        head = header(spi_i or self.spi_i, spi_r or self.spi_r, SK, exchange, flags, message_id, b"",
                      length=28 + size) + struct.pack(">BBH", first, 0, size)
        iv = self.iv()
        return head + iv + AESGCM(self.sk_ei[:16]).encrypt(self.sk_ei[16:] + iv, plain, head)

    def seal(self, exchange, payloads, **more):
        first, inner = chain(payloads)
        return self.seal_raw(exchange, first, inner, **more)

    def fragment(self, exchange, first, piece, number, total, message_id=None):
        """One SKF payload (RFC 7383 §2.5). `first` is the type of the message's first payload."""
        message_id = self.next_id if message_id is None else message_id
        plain = piece + b"\0"
        size = 8 + 8 + len(plain) + 16
        head = header(self.spi_i, self.spi_r, SKF, exchange, INITIATOR, message_id, b"", length=28 + size) + struct.pack(
            ">BBHHH", first if number == 1 else 0, 0, size, number, total)
        iv = self.iv()
        return head + iv + AESGCM(self.sk_ei[:16]).encrypt(self.sk_ei[16:] + iv, plain, head)

    def open(self, data):
        """The payloads of an answer of the gateway's."""
        assert data, "no answer"
        assert data[16] == SK, f"the answer is not encrypted: payload {data[16]}"
        plain = AESGCM(self.sk_er[:16]).decrypt(self.sk_er[16:] + data[32:40], data[40:], data[:32])
        return payloads_of(data[28], plain[:len(plain) - 1 - plain[-1]])

    def request_sealed(self, exchange, payloads):
        """A whole exchange: the payloads of the answer."""
        answer = self.exchange(self.seal(exchange, payloads))
        self.next_id += 1
        return self.open(answer)

    # IKE_AUTH

    def identity(self, address=None):
        return b"\x01\0\0\0" + socket.inet_aton(address or self.local)

    def auth_data(self, identity, psk=None):
        pad = prf(psk or self.psk, b"Key Pad for IKEv2")
        return b"\x02\0\0\0" + prf(pad, self.request + self.nonce_r + prf(self.sk_pi, identity))

    def auth_payloads(self, identity=None, auth=None, selectors=EVERYTHING):
        identity = identity or self.identity()
        return [
            (IDI, identity), (AUTH, auth or self.auth_data(identity)),
            (SA, proposal(3, self.child_spi, ESP_TRANSFORMS)), (TSI, selectors), (TSR, selectors)]

    def connect(self, payloads=None):
        self.init(payloads)
        self.auth_request = self.seal(IKE_AUTH, self.auth_payloads())
        self.auth_answer = self.exchange(self.auth_request)
        self.next_id = 2
        found = self.open(self.auth_answer)
        kinds = [kind for kind, _ in found]
        assert AUTH in kinds and SA in kinds, f"IKE_AUTH was refused: {notify_types(found)}"
        self.gateway_child_spi = dict(found)[SA][8:12]
        return self

    def is_alive(self):
        """A liveness check is answered: the IKE SA stands and its window is where we think."""
        answer = self.exchange(self.seal(INFORMATIONAL, []))
        self.next_id += 1
        return answer is not None and self.open(answer) == []

    def delete(self):
        self.exchange(self.seal(INFORMATIONAL, [(DELETE, b"\x01\0\0\0")]))
        self.close()
