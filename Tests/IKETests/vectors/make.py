#!/usr/bin/env python3
"""Known answers for the IKEv2 key schedule, AUTH, child keys and the Encrypted payload, made without any of our code.

Written from RFC 7296 sections 2.13 to 2.18 and 3.14, RFC 4868, RFC 5282 and RFC 7634 with Python's hmac and hashlib and
the ciphers of the `cryptography` package. Run it to write ../ExchangeVectors.swift anew:

    python3 make.py > ../ExchangeVectors.swift
"""
import hashlib
import hmac
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

HASH = {"sha1": hashlib.sha1, "sha256": hashlib.sha256, "sha384": hashlib.sha384, "sha512": hashlib.sha512}
TAG = {"sha1": 12, "sha256": 16, "sha384": 24, "sha512": 32}
KEY = {"aes128": 16, "aes192": 24, "aes256": 32, "aes128gcm16": 20, "aes256gcm16": 36, "chacha20poly1305": 36}


def prf(name, key, data):
    return hmac.new(key, data, HASH[name]).digest()


def prf_plus(name, key, seed, length):
    out, block, number = b"", b"", 1
    while len(out) < length:
        block = prf(name, key, block + seed + bytes([number]))
        out += block
        number += 1
    return out[:length]


def fixed(label, length):
    """Bytes that look random and are the same in every run."""
    return prf_plus("sha256", b"gatehouse test vector", label.encode(), length)


def keys(prf_name, encryption, integrity, seed, ni, nr, spi_i, spi_r):
    p, i, e = HASH[prf_name]().digest_size, HASH[integrity]().digest_size if integrity else 0, KEY[encryption]
    material = prf_plus(prf_name, seed, ni + nr + spi_i + spi_r, 3 * p + 2 * i + 2 * e)
    names = [("d", p), ("ai", i), ("ar", i), ("ei", e), ("er", e), ("pi", p), ("pr", p)]
    result, at = {}, 0
    for name, length in names:
        result[name] = material[at:at + length]
        at += length
    return result


def seal(encryption, integrity, key, integrity_key, header, inner_type, inner):
    """An IKE message with one Encrypted payload; padding of the minimal length."""
    block = 16 if integrity else 1
    padding = (block - (len(inner) + 1) % block) % block
    plain = inner + bytes(padding) + bytes([padding])
    iv = fixed("iv" + encryption, 16 if integrity else 8)
    tag_length = TAG[integrity] if integrity else 16
    payload_length = 4 + len(iv) + len(plain) + tag_length
    head = header[:24] + (28 + payload_length).to_bytes(4, "big")
    head += bytes([inner_type, 0]) + payload_length.to_bytes(2, "big")
    if integrity:
        cipher = Cipher(algorithms.AES(key), modes.CBC(iv)).encryptor()
        message = head + iv + cipher.update(plain) + cipher.finalize()
        return message + hmac.new(integrity_key, message, HASH[integrity]).digest()[:tag_length]
    aead = ChaCha20Poly1305(key[:-4]) if encryption.startswith("chacha") else AESGCM(key[:-4])
    return head + iv + aead.encrypt(key[-4:] + iv, plain, head)


def vector(encryption, integrity, prf_name, group_length):
    label = f"{encryption}{integrity}{prf_name}"
    ni, nr = fixed(label + "ni", 32), fixed(label + "nr", 24)
    spi_i, spi_r = fixed(label + "spii", 8), fixed(label + "spir", 8)
    shared, shared2 = fixed(label + "dh", group_length), fixed(label + "dh2", group_length)
    first, answer = fixed(label + "first", 300), fixed(label + "answer", 250)
    psk = fixed(label + "psk", 90)
    id_i, id_r = b"\x02\0\0\0site.example.org", b"\x01\0\0\0\xcb\x00\x71\x01"
    seed = prf(prf_name, ni + nr, shared)
    k = keys(prf_name, encryption, integrity, seed, ni, nr, spi_i, spi_r)
    pad = prf(prf_name, psk, b"Key Pad for IKEv2")
    auth_i = prf(prf_name, pad, first + nr + prf(prf_name, k["pi"], id_i))
    auth_r = prf(prf_name, pad, answer + ni + prf(prf_name, k["pr"], id_r))
    e, i = KEY[encryption], HASH[integrity]().digest_size if integrity else 0
    child = prf_plus(prf_name, k["d"], ni + nr, 2 * (e + i))
    pfs = prf_plus(prf_name, k["d"], shared2 + ni + nr, 2 * (e + i))
    rekeyed = keys(prf_name, encryption, integrity, prf(prf_name, k["d"], shared2 + ni + nr), ni, nr, spi_r, spi_i)
    header = spi_i + spi_r + bytes([46, 0x20, 37, 0x08, 0, 0, 0, 5, 0, 0, 0, 0])
    # A Delete payload for one ESP SPI.
    message = seal(encryption, integrity, k["ei"], k["ai"], header, 42, bytes.fromhex("0000000c0304000111223344"))
    fields = [
        ("nonceI", ni), ("nonceR", nr), ("spiI", spi_i), ("spiR", spi_r), ("shared", shared), ("shared2", shared2),
        ("first", first), ("answer", answer), ("psk", psk), ("identityI", id_i), ("identityR", id_r), ("seed", seed),
        ("derivation", k["d"]), ("integrityI", k["ai"]), ("integrityR", k["ar"]), ("encryptionI", k["ei"]),
        ("encryptionR", k["er"]), ("authenticationI", k["pi"]), ("authenticationR", k["pr"]), ("authI", auth_i),
        ("authR", auth_r), ("child", child), ("childWithPFS", pfs), ("rekeyedDerivation", rekeyed["d"]),
        ("rekeyedEncryptionI", rekeyed["ei"]), ("rekeyedEncryptionR", rekeyed["er"]), ("deleteMessage", message),
    ]
    print("    ExchangeVector(")
    print(f"        encryption: .{encryption}, integrity: {'.' + integrity if integrity else 'nil'}, prf: .{prf_name},")
    print("        values: [")
    for name, value in fields:
        text = value.hex()
        lines = [text[at:at + 80] for at in range(0, len(text), 80)] or [""]
        quoted = ("\n                + ").join(f'"{line}"' for line in lines)
        print(f'            "{name}": {quoted},')
    print("        ]),")


print("// Written by vectors/make.py, which shares no code with the engine.\n")
print("import Cryptography\n")
print("let exchangeVectors: [ExchangeVector] = [")
vector("aes128", "sha1", "sha1", 128)
vector("aes256", "sha256", "sha256", 256)
vector("aes192", "sha384", "sha384", 384)
vector("aes256", "sha512", "sha512", 66)
vector("aes128gcm16", None, "sha256", 32)
vector("aes256gcm16", None, "sha384", 48)
vector("chacha20poly1305", None, "sha512", 32)
print("]")
