"""Messages within an IKE SA that stands: what keeps it whole, and INFORMATIONAL."""
import time

from ike import *
from lab import case


@case()
def replayed_requests_get_the_same_answer(lab):
    session = lab.established()
    for _ in range(64):
        assert session.exchange(session.auth_request) == session.auth_answer, "another answer to the same request"
    assert session.is_alive()
    session.delete()


@case("which another request had")
def two_requests_with_one_number(lab):
    session = lab.established()
    assert session.is_alive()
    second = session.seal(INFORMATIONAL, [(DELETE, b"\x01\0\0\0")], message_id=session.next_id - 1)
    assert session.exchange(second) is None, "a second request with a used number was answered"
    assert session.is_alive(), "the DELETE with a used number was carried out"
    session.delete()


@case("is due")
def number_from_the_future(lab):
    session = lab.established()
    early = session.seal(INFORMATIONAL, [(DELETE, b"\x01\0\0\0")], message_id=session.next_id + 5)
    assert session.exchange(early) is None
    assert session.is_alive()
    session.delete()


@case("SPI or role")
def wrong_initiator_spi(lab):
    session = lab.established()
    assert session.exchange(session.seal(INFORMATIONAL, [], spi_i=b"\x55" * 8)) is None
    assert session.is_alive()
    session.delete()


@case("SPI or role|that does not exist")
def wrong_role(lab):
    session = lab.established()
    session.exchange(session.seal(INFORMATIONAL, [], flags=0))
    assert session.is_alive()
    session.delete()


@case("does not authenticate")
def every_byte_flipped(lab):
    session = lab.established()
    good = session.seal(INFORMATIONAL, [(DELETE, b"\x01\0\0\0")])
    for index in reversed(range(len(good))):
        session.send(good[:index] + bytes([good[index] ^ 0x80]) + good[index + 1:])
    time.sleep(0.3)
    session.drain()
    assert session.is_alive(), "a damaged message was taken"
    session.delete()


@case()
def clear_delete(lab):
    session = lab.established()
    first, body = chain([(DELETE, b"\x01\0\0\0")])
    assert session.exchange(header(session.spi_i, session.spi_r, first, INFORMATIONAL, INITIATOR, session.next_id, body)) is None
    assert session.is_alive(), "a DELETE in the clear was carried out"
    session.delete()


@case()
def clear_error_answers(lab):
    session = lab.established()
    for number in range(8):
        first, body = chain([notify(AUTHENTICATION_FAILED)])
        session.send(header(session.spi_i, session.spi_r, first, INFORMATIONAL, INITIATOR | RESPONSE, number, body))
    assert session.is_alive()
    session.delete()


@case()
def answers_to_nothing(lab):
    session = lab.established()
    for number in range(8):
        session.send(session.seal(CREATE_CHILD_SA, [notify(NO_PROPOSAL_CHOSEN)], flags=INITIATOR | RESPONSE, message_id=number))
    assert session.is_alive()
    session.delete()


@case("padding")
def padding_longer_than_the_payload(lab):
    session = lab.established()
    answer = session.exchange(session.seal_raw(INFORMATIONAL, 0, b"", padding=b"\xff"))
    session.next_id += 1
    assert notify_types(session.open(answer)) == [INVALID_SYNTAX]
    assert session.is_alive()
    session.delete()


@case("payload .* length")
def authentic_payload_that_overruns(lab):
    session = lab.established()
    answer = session.exchange(session.seal_raw(INFORMATIONAL, NOTIFY, b"\0\0\xff\xff" + bytes(8)))
    session.next_id += 1
    assert notify_types(session.open(answer)) == [INVALID_SYNTAX]
    assert session.is_alive()
    session.delete()


@case("is critical, and we do not know it")
def authentic_unknown_critical_payload(lab):
    lab.survives(INFORMATIONAL, [(201, b"", 0x80)], [UNSUPPORTED_CRITICAL_PAYLOAD])


@case("Delete")
def delete_that_counts_wrong(lab):
    lab.survives(INFORMATIONAL, [(DELETE, b"\x03\x04\0\x20" + bytes(4))], [INVALID_SYNTAX])


@case("Notify")
def notify_with_a_long_spi(lab):
    lab.survives(INFORMATIONAL, [(NOTIFY, b"\x03\xff\x40\x00")], [INVALID_SYNTAX])


@case()
def delete_of_an_unknown_child(lab):
    lab.survives(INFORMATIONAL, [(DELETE, b"\x03\x04\0\x01" + b"\x99" * 4)])


@case("where 2 is due")
def last_number_of_all(lab):
    session = lab.established()
    assert session.exchange(session.seal(INFORMATIONAL, [], message_id=0xFFFFFFFF)) is None
    assert session.is_alive()
    session.delete()


@case("where 4 is due")
def number_of_long_ago(lab):
    session = lab.established()
    assert session.is_alive() and session.is_alive()
    old = session.seal(INFORMATIONAL, [(DELETE, b"\x01\0\0\0")], message_id=1)
    assert session.exchange(old) is None
    assert session.is_alive()
    session.delete()


@case("that does not exist")
def wrong_responder_spi(lab):
    session = lab.established()
    answer = session.exchange(session.seal(INFORMATIONAL, [], spi_r=b"\x55" * 8))
    if answer:
        assert answer[16] != SK, "answered as if the IKE SA were known"
    assert session.is_alive()
    session.delete()


@case("that does not exist")
def no_spi_at_all(lab):
    session = lab.established()
    assert session.exchange(session.seal(INFORMATIONAL, [], spi_i=bytes(8), spi_r=bytes(8))) is None
    assert session.is_alive()
    session.delete()


@case("that does not exist|SPI or role")
def gateways_own_answer_sent_back(lab):
    session = lab.established()
    session.send(session.auth_answer)
    assert session.is_alive(), "our own answer was taken for a message"
    session.delete()


@case("IKE_AUTH is not due")
def second_proof(lab):
    session = lab.established()
    assert session.exchange(session.seal(IKE_AUTH, session.auth_payloads())) is None
    assert session.is_alive()
    session.delete()


@case("impossible flags")
def first_exchange_within_the_sa(lab):
    session = lab.established()
    assert session.exchange(session.seal(IKE_SA_INIT, session.init_payloads())) is None
    assert session.is_alive()
    session.delete()


@case("exchange 38 is unknown")
def exchange_that_no_one_knows(lab):
    session = lab.established()
    assert session.exchange(session.seal(38, [])) is None
    assert session.is_alive()
    session.delete()


@case("bytes behind it")
def bytes_behind_the_encrypted_payload(lab):
    session = lab.established()
    good = session.seal(INFORMATIONAL, [(DELETE, b"\x01\0\0\0")]) + bytes(12)
    assert session.exchange(good[:24] + struct.pack(">I", len(good)) + good[28:]) is None
    assert session.is_alive()
    session.delete()


@case("cannot hold")
def encrypted_payload_of_nothing(lab):
    session = lab.established()
    assert session.exchange(header(
        session.spi_i, session.spi_r, SK, INFORMATIONAL, INITIATOR, session.next_id, struct.pack(">BBH", 0, 0, 4))) is None
    assert session.is_alive()
    session.delete()


@case("SK.*within")
def encrypted_payload_within_itself(lab):
    session = lab.established()
    answer = session.exchange(session.seal(INFORMATIONAL, [(SK, bytes(40))]))
    session.next_id += 1
    assert notify_types(session.open(answer)) == [INVALID_SYNTAX], "an SK payload within SK was taken"
    assert session.is_alive()
    session.delete()


@case("more than 256 payloads")
def authentic_payloads_without_end(lab):
    lab.survives(INFORMATIONAL, [(VENDOR, b"")] * 300, [INVALID_SYNTAX])


@case()
def authentic_message_of_sixty_kilobytes(lab):
    lab.survives(INFORMATIONAL, [(VENDOR, bytes(1000))] * 60)


@case("behind the last payload")
def bytes_behind_the_last_payload(lab):
    session = lab.established()
    answer = session.exchange(session.seal_raw(INFORMATIONAL, 0, b"something"))
    session.next_id += 1
    assert notify_types(session.open(answer)) == [INVALID_SYNTAX]
    assert session.is_alive()
    session.delete()


@case("Notify")
def notify_of_two_bytes(lab):
    lab.survives(INFORMATIONAL, [(NOTIFY, b"\0\0")], [INVALID_SYNTAX])


@case("Delete SPI size")
def delete_of_the_ike_sa_with_spis(lab):
    lab.survives(INFORMATIONAL, [(DELETE, b"\x01\x08\0\x01" + bytes(8))], [INVALID_SYNTAX])


@case("Delete SPI size")
def delete_of_children_with_spis_of_two_bytes(lab):
    lab.survives(INFORMATIONAL, [(DELETE, b"\x03\x02\0\x02" + bytes(4))], [INVALID_SYNTAX])


@case()
def delete_of_the_gateways_own_spi(lab):
    # A peer names the SPIs that it receives on (RFC 7296 §3.11); ours is nothing to it.
    session = lab.established()
    found = session.request_sealed(INFORMATIONAL, [(DELETE, b"\x03\x04\0\x01" + session.gateway_child_spi)])
    assert found == [], f"answered {found}"
    assert session.is_alive()
    session.delete()


@case()
def delete_of_ten_thousand_unknown_children(lab):
    spis = b"".join(struct.pack(">I", 0x01000000 + number) for number in range(10_000))
    lab.survives(INFORMATIONAL, [(DELETE, b"\x03\x04" + struct.pack(">H", 10_000) + spis)])


@case()
def delete_that_names_one_child_many_times(lab):
    session = lab.established()
    found = session.request_sealed(
        INFORMATIONAL, [(DELETE, b"\x03\x04\0\x28" + session.child_spi * 40)] * 3)
    named = [body[4:] for kind, body in found if kind == DELETE]
    assert named == [session.gateway_child_spi], f"answered {named}"
    session.delete()


@case("COOKIE2")
def route_check_with_a_cookie_of_four_bytes(lab):
    lab.survives(INFORMATIONAL, [notify(COOKIE2, bytes(4))], [INVALID_SYNTAX])


@case("not its to move")
def move_without_mobike(lab):
    lab.survives(INFORMATIONAL, [notify(UPDATE_SA_ADDRESSES)])


@case()
def extensions_that_nobody_agreed_on(lab):
    lab.survives(INFORMATIONAL, [(EAP, b"\x01\x01\0\x04"), (CP, b"\x03\0\0\0"), notify(16384), notify(40_000, bytes(500))])
