#!/usr/bin/env python3
"""Writes Vectors.swift beside the tests: ESP packets computed by another implementation.

The ciphers are those of the Python package `cryptography`; the packet layout follows RFC 4303, 4106, 7634, 3602,
2404 and 4868 straight from their text. Run: python3 Tests/ESPTests/vectors/make.py > Tests/ESPTests/Vectors.swift
"""
import hashlib
import hmac
import struct

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

SUITES = [
    ("aes128gcm16", None), ("aes192gcm16", None), ("aes256gcm16", None), ("chacha20poly1305", None),
    ("aes128", "sha1"), ("aes128", "sha256"), ("aes192", "sha256"), ("aes256", "sha256"),
    ("aes256", "sha384"), ("aes256", "sha512"),
]
KEY = {"aes128": 16, "aes192": 24, "aes256": 32}
TAG = {"sha1": (20, 12), "sha256": (32, 16), "sha384": (48, 24), "sha512": (64, 32)}


def octets(label, n):
    """n bytes that anyone can compute again: SHA-256 of the label and a counter."""
    out = b""
    while len(out) < n:
        out += hashlib.sha256(label.encode() + bytes([len(out) // 32])).digest()
    return out[:n]


def ipv4(payload):
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), 0x1234, 0x4000, 64, 17, 0,
                       bytes([10, 1, 0, 2]), bytes([10, 2, 0, 2]))
    total = sum(struct.unpack("!10H", head))
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16)
    return head[:10] + struct.pack("!H", 0xFFFF - total) + head[12:] + payload


def ipv6(payload):
    source = bytes.fromhex("fd000001000000000000000000000002")
    target = bytes.fromhex("fd000002000000000000000000000002")
    return struct.pack("!IHBB", 6 << 28, len(payload), 17, 64) + source + target + payload


def udp(n):
    return struct.pack("!HHHH", 4001, 4002, 8 + n, 0) + octets("payload", n)


def seal(cipher, integrity, spi, sequence, esn, inner, extra=b""):
    next_header = 4 if inner[0] >> 4 == 4 else 41
    block = 16 if integrity else 4
    body = inner + extra
    pad = -(len(body) + 2) % block
    body += bytes(range(1, pad + 1)) + bytes([pad, next_header])
    head = struct.pack("!II", spi, sequence & 0xFFFFFFFF)
    high = struct.pack("!I", sequence >> 32)
    if integrity:
        key, ikey = octets("key", KEY[cipher]), octets("integrity", TAG[integrity][0])
        iv = octets("iv", 16)
        enc = Cipher(algorithms.AES(key), modes.CBC(iv)).encryptor()
        packet = head + iv + enc.update(body) + enc.finalize()
        icv = hmac.new(ikey, packet + (high if esn else b""), integrity).digest()[:TAG[integrity][1]]
        return key, ikey, packet + icv
    n = 32 if cipher.startswith("chacha") else int(cipher[3:6]) // 8
    key = octets("key", n + 4)
    iv = struct.pack("!Q", sequence)
    aad = struct.pack("!I", spi) + high + head[4:] if esn else head
    aead = ChaCha20Poly1305(key[:n]) if cipher.startswith("chacha") else AESGCM(key[:n])
    return key, b"", head + iv + aead.encrypt(key[n:] + iv, body, aad)


print("// Written by vectors/make.py: ESP packets computed with the Python package `cryptography`.\n")
print("struct Vector: Sendable {")
print("    var cipher, integrity: String\n    var esn: Bool\n    var sequence: UInt64")
print("    var key, integrityKey, inner, packet: String\n}\n")
print("let vectors: [Vector] = [")
for cipher, integrity in SUITES:
    for esn, sequence in ((False, 1), (False, 0xFFFFFFFE), (True, 7), (True, 0x500000007)):
        inner = ipv4(udp(33)) if sequence % 2 else ipv6(udp(48))
        key, ikey, packet = seal(cipher, integrity, 0xC0FFEE01, sequence, esn, inner)
        print(f'    Vector(\n        cipher: "{cipher}", integrity: "{integrity or ""}", esn: {str(esn).lower()}, sequence: {sequence},')
        print(f'        key: "{key.hex()}",\n        integrityKey: "{ikey.hex()}",')
        print(f'        inner: "{inner.hex()}",\n        packet: "{packet.hex()}"),')
print("]\n")
key, _, packet = seal("aes128gcm16", None, 0xC0FFEE01, 3, False, ipv4(udp(20)), extra=bytes(100))
print("/// AES-128-GCM, number 3: 100 bytes of traffic-flow padding behind an IPv4 packet of 48 bytes.")
print(f'let paddedVector = (\n    key: "{key.hex()}",\n    packet: "{packet.hex()}"\n)')
