"""IKE_AUTH from a peer that has keys, and has not proven who it is."""
from ike import *
from lab import case


@case("that does not exist")
def auth_for_an_unknown_spi(lab):
    session = lab.session()
    session.init()
    session.spi_r = b"\x00" + b"\x07" * 7
    answer = session.exchange(session.seal(IKE_AUTH, session.auth_payloads()))
    if answer:
        assert notify_types(payloads_of(answer[16], answer[28:])) == [INVALID_IKE_SPI, QUICK_CRASH_DETECTION]


@case("does not authenticate")
def forged_auth_before_the_real_one(lab):
    session = lab.session()
    session.init()
    good = session.seal(IKE_AUTH, session.auth_payloads())
    forged = good[:-1] + bytes([good[-1] ^ 1])
    assert session.exchange(forged) is None, "a forged message was answered"
    found = session.open(session.exchange(good))
    assert AUTH in [kind for kind, _ in found], "the real peer was locked out"
    session.next_id = 2
    session.delete()


@case("pre-shared key|does not prove")
def wrong_key(lab):
    session = lab.session()
    session.init()
    identity = session.identity()
    auth = session.auth_data(identity, b"not the key")
    found = session.open(session.exchange(session.seal(IKE_AUTH, session.auth_payloads(auth=auth))))
    assert notify_types(found) == [AUTHENTICATION_FAILED] and len(found) == 1, "says more than that it failed"


@case("identity|identif|10\\.9\\.9\\.9")
def someone_elses_identity(lab):
    session = lab.session()
    session.init()
    identity = session.identity("10.9.9.9")
    found = session.open(session.exchange(session.seal(IKE_AUTH, session.auth_payloads(identity))))
    assert notify_types(found) == [AUTHENTICATION_FAILED] and len(found) == 1, "says more than that it failed"


@case("does not authenticate with")
def nothing_to_prove_it(lab):
    session = lab.session()
    session.init()
    payloads = [payload for payload in session.auth_payloads() if payload[0] != AUTH]
    answer = session.exchange(session.seal(IKE_AUTH, payloads))
    if answer:
        assert notify_types(session.open(answer))[:1] in ([AUTHENTICATION_FAILED], [INVALID_SYNTAX])


@case("before IKE_AUTH")
def request_before_auth(lab):
    session = lab.session()
    session.init()
    assert session.exchange(session.seal(INFORMATIONAL, [(DELETE, b"\x01\0\0\0")])) is None


@case()
def selectors_that_no_one_allows(lab):
    session = lab.session()
    session.init()
    narrow = struct.pack(">BBHBBHHH4s4s", 1, 0, 0, 8, 0, 40, 0, 65535, bytes(4), b"\xff" * 4)
    found = session.open(session.exchange(session.seal(IKE_AUTH, session.auth_payloads(selectors=narrow))))
    types = notify_types(found)
    assert types, "selectors of a wrong length were accepted"


@case("CERT.*is empty")
def certificate_without_anything(lab):
    lab.not_authenticated(lambda s: s.auth_payloads() + [(CERT, b"")], [INVALID_SYNTAX])


@case("more than 16 certificates")
def certificates_without_end(lab):
    lab.not_authenticated(lambda s: s.auth_payloads() + [(CERT, b"\x04" + bytes(60))] * 17, [INVALID_SYNTAX])


@case("CERTREQ.*is empty")
def certificate_request_without_anything(lab):
    lab.not_authenticated(lambda s: s.auth_payloads() + [(CERTREQ, b"")], [INVALID_SYNTAX])


@case()
def certificate_that_no_one_asked_for(lab):
    # The proof is the key's; what else lies beside it is not looked at.
    session = lab.session()
    session.init()
    extra = [(CERT, b"\x04\x30\x82\xff\xff" + bytes(20)), (CERT, b"\x0c" + bytes(30)), (CERTREQ, b"\x04" + bytes(7))]
    found = session.open(session.exchange(session.seal(IKE_AUTH, session.auth_payloads() + extra)))
    assert AUTH in [kind for kind, _ in found], f"answered {notify_types(found)}"
    session.next_id = 2
    assert session.is_alive()
    session.delete()


@case("does not authenticate with|certificate|pre-shared key")
def signature_where_a_key_is_agreed(lab):
    lab.not_authenticated(
        lambda s: s.auth_payloads(auth=b"\x0e\0\0\0\x0c" + bytes(80)) + [(CERT, b"\x04\x30\x82\xff\xff" + bytes(20))],
        [AUTHENTICATION_FAILED])


@case("does not authenticate with|method")
def method_of_authentication_that_no_one_knows(lab):
    lab.not_authenticated(lambda s: s.auth_payloads(auth=b"\xc8\0\0\0" + bytes(32)), [AUTHENTICATION_FAILED])


@case("AUTH.*needs 4 bytes")
def proof_of_three_bytes(lab):
    lab.not_authenticated(lambda s: s.auth_payloads(auth=b"\x02\0\0"), [INVALID_SYNTAX])


@case("pre-shared key|does not prove")
def proof_that_is_empty(lab):
    lab.not_authenticated(lambda s: s.auth_payloads(auth=b"\x02\0\0\0"), [AUTHENTICATION_FAILED])


@case("pre-shared key|does not prove")
def proof_cut_by_a_byte(lab):
    lab.not_authenticated(
        lambda s: s.auth_payloads(auth=s.auth_data(s.identity())[:-1]), [AUTHENTICATION_FAILED])


@case("AUTH.*comes twice")
def two_proofs(lab):
    lab.not_authenticated(lambda s: s.auth_payloads() + [s.auth_payloads()[1]], [INVALID_SYNTAX])


@case("IDi.*comes twice")
def two_identities(lab):
    lab.not_authenticated(lambda s: s.auth_payloads() + [(IDI, s.identity("10.9.9.9"))], [INVALID_SYNTAX])


@case("IDi.*IPv4 address of 3 bytes")
def address_of_three_bytes(lab):
    lab.not_authenticated(lambda s: s.auth_payloads(b"\x01\0\0\0\x0a\0\0"), [INVALID_SYNTAX])


@case("IDi.*needs 4 bytes")
def identity_of_two_bytes(lab):
    lab.not_authenticated(lambda s: s.auth_payloads(b"\x01\0"), [INVALID_SYNTAX])


@case("type 77")
def identity_of_an_unknown_kind(lab):
    lab.not_authenticated(lambda s: s.auth_payloads(b"\x4d\0\0\0abc"), [AUTHENTICATION_FAILED])


@case("printable ASCII")
def name_with_a_line_break(lab):
    lab.not_authenticated(lambda s: s.auth_payloads(b"\x02\0\0\0a\nlevel=error all is lost"), [INVALID_SYNTAX])


@case("distinguished name")
def distinguished_name_that_is_none(lab):
    lab.not_authenticated(lambda s: s.auth_payloads(b"\x09\0\0\0\x30\x84\xff\xff\xff\xff"), [INVALID_SYNTAX])


@case("does not authenticate with|EAP")
def eap_in_the_place_of_a_proof(lab):
    lab.not_authenticated(
        lambda s: [payload for payload in s.auth_payloads() if payload[0] != AUTH] + [(EAP, b"\x02\x01\0\x05\x01")],
        [AUTHENTICATION_FAILED])


@case()
def request_for_an_inside_address(lab):
    # We give out none, and answer the rest (RFC 7296 §3.15: what is not supported is passed over).
    session = lab.session()
    session.init()
    wish = [(CP, b"\x01\0\0\0" + struct.pack(">HH", 1, 0) + struct.pack(">HH", 3, 0xFFFF))]
    found = session.open(session.exchange(session.seal(IKE_AUTH, wish + session.auth_payloads())))
    kinds = [kind for kind, _ in found]
    assert AUTH in kinds and CP not in kinds, f"answered {kinds}"
    session.next_id = 2
    assert session.is_alive()
    session.delete()


@case("not encrypted")
def proof_in_the_clear(lab):
    session = lab.session()
    session.init()
    first, body = chain(session.auth_payloads())
    answer = session.exchange(header(session.spi_i, session.spi_r, first, IKE_AUTH, INITIATOR, 1, body))
    assert answer is None, "an IKE_AUTH in the clear was answered"


@case("where 1 is due")
def proof_with_number_two(lab):
    session = lab.session()
    session.init()
    assert session.exchange(session.seal(IKE_AUTH, session.auth_payloads(), message_id=2)) is None
