"""Datagrams that are no IKE, and IKE_SA_INIT as anyone can send it."""
from ike import *
from lab import case


@case("header")
def cut_header(lab):
    lab.silent(lab.session().init_message()[:27])


@case("header length")
def length_beyond_the_datagram(lab):
    message = bytearray(lab.session().init_message())
    message[24:28] = struct.pack(">I", len(message) + 100)
    lab.silent(bytes(message))


@case("header length")
def length_of_nothing(lab):
    message = bytearray(lab.session().init_message())
    message[24:28] = bytes(4)
    lab.silent(bytes(message))


@case(r"IKEv1")
def ikev1(lab):
    message = bytearray(lab.session().init_message())
    message[17] = 0x10
    lab.silent(bytes(message))


@case(r"version 3\.0")
def version_of_the_future(lab):
    message = bytearray(lab.session().init_message())
    message[17] = 0x30
    answer = lab.stranger(bytes(message))
    assert answer and notify_types(payloads_of(answer[16], answer[28:])) == [INVALID_MAJOR_VERSION]


@case("exchange 99 is unknown")
def unknown_exchange(lab):
    message = bytearray(lab.session().init_message())
    message[18] = 99
    lab.silent(bytes(message))


@case("IKE_SA_INIT within an IKE SA")
def first_message_with_a_responder_spi(lab):
    message = bytearray(lab.session().init_message())
    message[8:16] = b"\x01" * 8
    lab.silent(bytes(message))


@case("IKE_SA_INIT with impossible flags")
def first_message_with_number_one(lab):
    message = bytearray(lab.session().init_message())
    message[23] = 1
    lab.silent(bytes(message))


@case("that we did not send")
def answer_to_nothing(lab):
    message = bytearray(lab.session().init_message())
    message[19] = RESPONSE
    lab.silent(bytes(message))


@case("less than its own header")
def payload_shorter_than_its_header(lab):
    session = lab.session()
    session.send(header(session.spi_i, bytes(8), NONCE, IKE_SA_INIT, INITIATOR, 0, b"\0\0\0\x03"))
    assert session.receive() is None


@case("payload .* length")
def payload_longer_than_the_message(lab):
    session = lab.session()
    session.send(header(session.spi_i, bytes(8), NONCE, IKE_SA_INIT, INITIATOR, 0, b"\0\0\x40\0" + bytes(40)))
    assert session.receive() is None


@case("more than 256 payloads")
def payloads_without_end(lab):
    lab.ignored(lambda s: [(VENDOR, b"")] * 300 + s.init_payloads())


@case("comes twice")
def two_key_exchanges(lab):
    lab.ignored(lambda s: s.init_payloads() + [s.init_payloads()[1]])


@case("is critical, and we do not know it")
def unknown_critical_payload(lab):
    answer = lab.refused(lambda s: s.init_payloads() + [(200, b"????", 0x80)], UNSUPPORTED_CRITICAL_PAYLOAD)
    assert answer[-1] == 200, "the notify does not name the payload"


@case()
def unknown_payload_that_is_not_critical(lab):
    session = lab.session()
    session.connect(session.init_payloads() + [(200, b"????")])
    assert session.is_alive()
    session.delete()


@case("Nonce")
def nonce_of_fifteen_bytes(lab):
    lab.ignored(lambda s: s.init_payloads()[:2] + [(NONCE, bytes(15))])


@case("Nonce")
def nonce_of_257_bytes(lab):
    lab.ignored(lambda s: s.init_payloads()[:2] + [(NONCE, bytes(257))])


@case("KE")
def public_value_of_31_bytes(lab):
    lab.ignored(lambda s: s.init_payloads(bytes([9]) * 31))


@case("public value|KE|shared secret")
def public_value_of_small_order(lab):
    # With a point of small order everyone knows the shared secret: it is zero (RFC 7748 §6.1).
    session = lab.session()
    try:
        session.init(session.init_payloads(bytes(32)), shared=bytes(32))
    except AssertionError:
        return
    answer = session.exchange(session.seal(IKE_AUTH, session.auth_payloads()))
    assert answer is None, "a shared secret of zero was accepted"


@case()
def key_for_another_group(lab):
    answer = lab.refused(lambda s: [
        (SA, proposal(1, b"", [transform(1, 20, 128), transform(2, 5), transform(4, 14), transform(4, 31, last=True)])),
        (KE, struct.pack(">HH", 14, 0) + bytes([2]) * 256), (NONCE, s.nonce)], INVALID_KE_PAYLOAD)
    assert answer[-2:] == b"\0\x1f", "the notify does not name the group that is wanted"


@case("bytes in a first message")
def proposals_of_sixty_kilobytes(lab):
    many = [transform(1, number % 20000, 128) for number in range(250)]
    many[-1] = transform(1, 12, 128, last=True)
    body = b"".join(proposal(1, b"", many, number=(index % 255) + 1, last=index == 19) for index in range(20))
    session = lab.session()
    answer = session.exchange(session.init_message([(SA, body)] + session.init_payloads()[1:]))
    if answer:
        found = notify_types(payloads_of(answer[16], answer[28:]))
        assert found in ([NO_PROPOSAL_CHOSEN], [INVALID_SYNTAX]), f"answered {found}"


@case("SA")
def proposal_whose_transforms_overrun(lab):
    bad = bytearray(proposal(1, b"", IKE_TRANSFORMS))
    bad[7] = 9
    lab.ignored(lambda s: [(SA, bytes(bad))] + s.init_payloads()[1:])


@case()
def reflected_answer(lab):
    session = lab.session()
    session.init()
    session.drain()
    session.send(session.answer)
    assert session.receive() is None, "our own answer was taken for a message"
    session.auth_request = session.seal(IKE_AUTH, session.auth_payloads())
    assert session.exchange(session.auth_request), "the half-open SA is gone"
    session.next_id = 2
    assert session.is_alive()
    session.delete()
