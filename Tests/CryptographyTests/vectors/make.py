#!/usr/bin/env python3
"""Writes DHVectors.swift beside the tests, computed by another implementation (Python's integers).

The primes of groups 2, 5 and 14 to 18 come from their formula over the digits of pi (RFC 2409, RFC 3526); the numbers
of groups 22 to 24 from the openssl command, and the ends of RFC 5114's results confirm them. The private keys of
RFC 5114 appendix A, RFC 5903 section 8 and RFC 7748 section 6.1 are theirs, and so are the ends of the values that the
script compares its own with. All others are SHA-256 of a label.

Run: python3 Tests/CryptographyTests/vectors/make.py > Tests/CryptographyTests/DHVectors.swift
"""
import hashlib
import subprocess


def pi_digits(bits):
    """[2^bits * pi] by Machin's formula."""
    guard = 64
    one = 1 << (bits + guard)

    def arctan_inverse(n):
        total = term = one // n
        k, sign = 3, -1
        while term:
            term //= n * n
            total += sign * (term // k)
            k, sign = k + 2, -sign
        return total

    return 4 * (4 * arctan_inverse(5) - arctan_inverse(239)) >> guard


def safe_prime(n, c):
    """RFC 2409 section 6.2 and RFC 3526: 2^n - 2^(n-64) - 1 + 2^64 * ([2^(n-130) pi] + c)."""
    return 2**n - 2 ** (n - 64) - 1 + 2**64 * (pi_digits(n - 130) + c)


def scalar(label, bits):
    out = b""
    while len(out) * 8 < bits:
        out += hashlib.sha256(f"{label} {len(out)}".encode()).digest()
    return int.from_bytes(out[: bits // 8], "big")


def hexed(n, length):
    return n.to_bytes(length, "big").hex()


def digest(n, length):
    return hashlib.sha256(n.to_bytes(length, "big")).hexdigest()


def wrapped(text):
    lines = [text[i : i + 88] for i in range(0, len(text), 88)]
    if len(lines) == 1:
        return f'"{text}"'
    return '"""\n' + "\\\n".join("                " + line for line in lines) + '\n                """'


def emit(group, source, fields):
    print(f"        DHVector(\n            group: .{group}, source: \"{source}\",")
    print(",\n".join(f"            {name}: {wrapped(value)}" for name, value in fields) + "),")


SAFE = [
    ("modp1024", 1024, 129093, 256), ("modp1536", 1536, 741804, 256), ("modp2048", 2048, 124476, 256),
    ("modp3072", 3072, 1690314, 256), ("modp4096", 4096, 240904, 320), ("modp6144", 6144, 929484, 384),
    ("modp8192", 8192, 4743158, 448),
]

# RFC 5114 appendix A: private keys; first and last octets of the public values and of Z.
SUBGROUP = [
    ("modp1024s160", 1, 128, 20, "B9A3B3AE8FEFC1A2930496507086F8455D48943E", "9392C9F9EB6A7A6A9022F7D83E7223C6835BBDDA",
     ("2A853B3D92197501B901", "AE96D5D88ED776"), ("717A6CB053371FF4A3B9", "B6A07B3C33FE"),
     ("5C804F454D30D9C4DF85", "ED31B63C6E6D")),
    ("modp2048s224", 2, 256, 28, "22E62601DBFFD06708A680F747F361F76D8F4F721A0548E483294B0C",
     "4FF3BC96C7FC6A6D71D3B363800A7CDFEF6FC41B4417EA15353B7590",
     ("1B3A63451BD886E699E6", "5C71648D6F"), ("4DCEE992A9762A13F2F8", "02142B6C"),
     ("34D9BDDC1B42176C313F", "F9F63869")),
    ("modp2048s256", 3, 256, 32, "0881382CDB87660C6DC13E614938D5B9C8B2F248581CC5E31B35454397FCE50E",
     "7D62A7E3EF36DE617B13D1AFB82C780D83A23BD4EE6705645121F371F546A53D",
     ("2E9380C8323AF97545BC", "A67E29"), ("575F0351BD2B1B817448", "7E1913"), ("86C70BF8D0BB81BB0107", "C26C5D7C")),
]

# RFC 5903 section 8: i, r and the x coordinate that both arrive at.
CURVES = [
    ("ecp256", 2**256 - 2**224 + 2**192 + 2**96 - 1,
     0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B,
     0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
     0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5, 32,
     0xC88F01F510D9AC3F70A292DAA2316DE544E9AAB8AFE84049C62A9C57862D1433,
     0xC6EF9C5D78AE012A011164ACB397CE2088685D8F06BF9BE0B283AB46476BEE53,
     0xD6840F6B42F6EDAFD13116E0E12565202FEF8E9ECE7DCE03812464D04B9442DE),
    ("ecp384", 2**384 - 2**128 - 2**96 + 2**32 - 1,
     0xB3312FA7E23EE7E4988E056BE3F82D19181D9C6EFE8141120314088F5013875AC656398D8A2ED19D2A85C8EDD3EC2AEF,
     0xAA87CA22BE8B05378EB1C71EF320AD746E1D3B628BA79B9859F741E082542A385502F25DBF55296C3A545E3872760AB7,
     0x3617DE4A96262C6F5D9E98BF9292DC29F8F41DBD289A147CE9DA3113B5F0B8C00A60B1CE1D7E819D7A431D7C90EA0E5F, 48,
     0x099F3C7034D4A2C699884D73A375A67F7624EF7C6B3C0F160647B67414DCE655E35B538041E649EE3FAEF896783AB194,
     0x41CB0779B4BDB85D47846725FBEC3C9430FAB46CC8DC5060855CC9BDA0AA2942E0308312916B8ED2960E4BD55A7448FC,
     0x11187331C279962D93D604243FD592CB9D0A926F422E47187521287E7156C5C4D603135569B9E9D09CF5D4A270F59746),
    ("ecp521", 2**521 - 1,
     0x0051953EB9618E1C9A1F929A21A0B68540EEA2DA725B99B315F3B8B489918EF109E156193951EC7E937B1652C0BD3BB1BF073573DF883D2C34F1EF451FD46B503F00,
     0x00C6858E06B70404E9CD9E3ECB662395B4429C648139053FB521F828AF606B4D3DBAA14B5E77EFE75928FE1DC127A2FFA8DE3348B3C1856A429BF97E7E31C2E5BD66,
     0x011839296A789A3BC0045C8A5FB42C7D1BD998F54449579B446817AFBD17273E662C97EE72995EF42640C550B9013FAD0761353C7086A272C24088BE94769FD16650, 66,
     0x0037ADE9319A89F4DABDB3EF411AACCCA5123C61ACAB57B5393DCE47608172A095AA85A30FE1C2952C6771D937BA9777F5957B2639BAB072462F68C27A57382D4A52,
     0x0145BA99A847AF43793FDD0E872E7CDFA16BE30FDC780F97BCCC3F078380201E9C677D600B343757A3BDBF2A3163E4C2F869CCA7458AA4A4EFFC311F5CB151685EB9,
     0x01144C7D79AE6956BC8EDB8E7C787C4521CB086FA64407F97894E5E6B2D79B04D1427E73CA4BAA240A34786859810C06B3C715A3A8CC3151F2BEE417996D19F3DDEA),
]


def multiply(p, k, point):
    """k * point on y^2 = x^3 - 3x + b, by doubling and adding."""

    def add(a, b):
        if a is None or b is None:
            return a or b
        if a[0] == b[0]:
            if (a[1] + b[1]) % p == 0:
                return None
            slope = (3 * a[0] * a[0] - 3) * pow(2 * a[1], -1, p) % p
        else:
            slope = (b[1] - a[1]) * pow(b[0] - a[0], -1, p) % p
        x = (slope * slope - a[0] - b[0]) % p
        return x, (slope * (a[0] - x) - a[1]) % p

    result = None
    while k:
        if k & 1:
            result = add(result, point)
        point = add(point, point)
        k >>= 1
    return result


def main():
    print("// Written by vectors/make.py; run it again rather than edit this.\nimport Cryptography\n")
    print("extension DHVector {")
    print("    /// Key agreements with all values in full.\n    static let published = [")
    for group, number, length, xlen, xa, xb, *ends in SUBGROUP:
        pem = subprocess.run(["openssl", "genpkey", "-genparam", "-algorithm", "DHX", "-pkeyopt", f"dh_rfc5114:{number}"],
                             capture_output=True, check=True).stdout
        text = subprocess.run(["openssl", "asn1parse"], input=pem, capture_output=True, check=True).stdout.decode()
        p, g, _ = [int(line.rsplit(":", 1)[1], 16) for line in text.splitlines() if "INTEGER" in line]
        a, b = int(xa, 16), int(xb, 16)
        ya, yb, z = pow(g, a, p), pow(g, b, p), pow(g, a * b, p)
        for value, (first, last) in zip((ya, yb, z), ends):
            text = hexed(value, length).upper()
            assert text.startswith(first) and text.endswith(last), (group, text)
        emit(group, "RFC 5114 appendix A", [
            ("privateA", hexed(a, xlen)), ("publicA", hexed(ya, length)), ("privateB", hexed(b, xlen)),
            ("publicB", hexed(yb, length)), ("shared", hexed(z, length))])
    for group, p, b, gx, gy, length, i, r, shared in CURVES:
        assert (gy * gy - gx**3 + 3 * gx - b) % p == 0
        one, two = multiply(p, i, (gx, gy)), multiply(p, r, (gx, gy))
        assert multiply(p, i, two)[0] == shared, group
        emit(group, "RFC 5903 section 8", [
            ("privateA", hexed(i, length)), ("publicA", hexed(one[0], length) + hexed(one[1], length)),
            ("privateB", hexed(r, length)), ("publicB", hexed(two[0], length) + hexed(two[1], length)),
            ("shared", hexed(shared, length))])
    emit("curve25519", "RFC 7748 section 6.1", [
        ("privateA", "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a"),
        ("publicA", "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a"),
        ("privateB", "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb"),
        ("publicB", "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f"),
        ("shared", "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742")])
    emit("curve25519", "RFC 8031 appendix A", [
        ("privateA", "751fb4308655b476b6789b7325f9ea8cddd16a58533ff6d9e60009464a5f9d94"),
        ("publicA", "48d5ddd4061257ba166fa3f9bbdb74f1a4e81c089384fa77f790709f0dfbc766"),
        ("privateB", "0a54645253290d60ddadd0e030bacd9e5501efdc220755a1e978f1b839a05688"),
        ("publicB", "0be7c1f5aad87d7e448662673298a443478b859745179eaf564c79c0ef6eee25"),
        ("shared", "c74950607a12327f3204d94b6825bfb068b7f8319a9e3708ed3d43ce8130c950")])
    print("    ]\n\n    /// Key agreements of the safe primes; SHA-256 of the values, which are long.\n    static let computed = [")
    for group, n, c, bits in SAFE:
        p = safe_prime(n, c)
        a, b = scalar(f"{group} a", bits), scalar(f"{group} b", bits)
        emit(group, "computed", [
            ("privateA", hexed(a, bits // 8)), ("publicA", digest(pow(2, a, p), n // 8)),
            ("privateB", hexed(b, bits // 8)), ("publicB", digest(pow(2, b, p), n // 8)),
            ("shared", digest(pow(2, a * b, p), n // 8))])
    print("    ]\n\n    /// Public value of A and shared secret with a leading zero byte.\n    static let padded = [")
    p = safe_prime(1024, 129093)
    a = next(scalar(f"padded {k}", 256) for k in range(10**6) if pow(2, scalar(f"padded {k}", 256), p) >> 1016 == 0)
    b = next(x for k in range(10**6) if pow(2, a * (x := scalar(f"padded too {k}", 256)), p) >> 1016 == 0)
    emit("modp1024", "computed", [
        ("privateA", hexed(a, 32)), ("publicA", hexed(pow(2, a, p), 128)), ("privateB", hexed(b, 32)),
        ("publicB", hexed(pow(2, b, p), 128)), ("shared", hexed(pow(2, a * b, p), 128))])
    _, p, _, gx, gy, length, *_ = CURVES[0]
    x = lambda k, point=(gx, gy): multiply(p, k, point)[0]
    a = next(s for k in range(10**6) if x(s := scalar(f"padded {k}", 248)) >> 248 == 0)
    one = multiply(p, a, (gx, gy))
    b = next(s for k in range(10**6) if x(s := scalar(f"padded too {k}", 248), one) >> 248 == 0)
    two = multiply(p, b, (gx, gy))
    emit("ecp256", "computed", [
        ("privateA", hexed(a, 32)), ("publicA", hexed(one[0], 32) + hexed(one[1], 32)), ("privateB", hexed(b, 32)),
        ("publicB", hexed(two[0], 32) + hexed(two[1], 32)), ("shared", hexed(x(b, one), 32))])
    print("    ]\n}")


main()
