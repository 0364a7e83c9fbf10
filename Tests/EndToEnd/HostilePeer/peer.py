#!/usr/bin/env python3
"""What no honest peer sends, sent to a gateway that waits for us. Each case says what must come back and which reason the
gateway's log must give; prints one JSON object a case.

    peer.py --local A --remote B --psk KEY --log FILE
"""
import argparse
import json
import re
import struct
import time

from ike import *

CASES = []


def case(reason=None):
    """Registers a case. `reason` is a pattern that the gateway's log must show because of it."""
    def register(function):
        CASES.append((function.__name__.replace("_", " "), function, reason))
        return function
    return register


class Lab:
    def __init__(self, options):
        self.options = options
        self.open = None

    def session(self):
        # Only one at a time: two sockets on one port would take each other's answers.
        self.close()
        self.open = Session(self.options.local, self.options.remote, self.options.psk.encode())
        return self.open

    def close(self):
        if self.open:
            self.open.close()

    def established(self):
        return self.session().connect()

    def stranger(self, data):
        """Sends one datagram and returns what comes back."""
        session = self.session()
        session.send(data)
        return session.receive()

    def silent(self, data):
        answer = self.stranger(data)
        assert answer is None, f"answered {answer.hex()[:120]}"

    def refused(self, payloads, kind):
        """An IKE_SA_INIT that is answered by this notify alone."""
        session = self.session()
        answer = session.exchange(session.init_message(payloads(session)))
        assert answer, "no answer"
        found = notify_types(payloads_of(answer[16], answer[28:]))
        assert found == [kind], f"answered {found}"
        return answer

    def ignored(self, payloads):
        """An IKE_SA_INIT that is no message: anyone could have sent it, so nothing comes back (RFC 7296 §2.21)."""
        session = self.session()
        answer = session.exchange(session.init_message(payloads(session)))
        assert answer is None, f"answered {answer.hex()[:120]}"

    def survives(self, exchange, payloads, kinds=None, session=None):
        """An authenticated request that is wrong in itself: answered by one of `kinds`, and the IKE SA lives on."""
        session = session or self.established()
        found = session.request_sealed(exchange, payloads(session) if callable(payloads) else payloads)
        if kinds is not None:
            types = notify_types(found)
            assert any(kind in types for kind in kinds), f"answered {types or [kind for kind, _ in found]}"
        assert session.is_alive(), "the IKE SA is gone"
        session.delete()


# Datagrams that are no IKE

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


# IKE_SA_INIT

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


@case("proposal|SA")
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


# IKE_AUTH

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


# With an IKE SA that stands

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


@case()
def rekey_of_an_unknown_child(lab):
    lab.survives(CREATE_CHILD_SA, lambda s: [
        notify(REKEY_SA, protocol=3, spi=b"\x99" * 4), (SA, proposal(3, os.urandom(4), ESP_TRANSFORMS)),
        (NONCE, os.urandom(32)), (TSI, EVERYTHING), (TSR, EVERYTHING)], [CHILD_SA_NOT_FOUND])


@case("Nonce|missing")
def child_without_a_nonce(lab):
    lab.survives(CREATE_CHILD_SA, lambda s: [
        (SA, proposal(3, os.urandom(4), ESP_TRANSFORMS)), (TSI, EVERYTHING), (TSR, EVERYTHING)], [INVALID_SYNTAX])


@case("TSi")
def selectors_that_count_wrong(lab):
    lab.survives(CREATE_CHILD_SA, lambda s: [
        (SA, proposal(3, os.urandom(4), ESP_TRANSFORMS)), (NONCE, os.urandom(32)), (TSI, b"\x09" + EVERYTHING[1:]),
        (TSR, EVERYTHING)], [INVALID_SYNTAX])


@case()
def selectors_upside_down(lab):
    upside = struct.pack(">BBHBBHHH4s4s", 1, 0, 0, 7, 0, 16, 0, 65535, b"\x0a\0\0\xff", b"\x0a\0\0\x01")
    lab.survives(CREATE_CHILD_SA, lambda s: [
        (SA, proposal(3, os.urandom(4), ESP_TRANSFORMS)), (NONCE, os.urandom(32)), (TSI, upside), (TSR, upside)],
        [INVALID_SYNTAX, TS_UNACCEPTABLE])


@case("SPI")
def child_with_an_spi_of_eight_bytes(lab):
    lab.survives(CREATE_CHILD_SA, lambda s: [
        (SA, proposal(3, os.urandom(8), ESP_TRANSFORMS)), (NONCE, os.urandom(32)), (TSI, EVERYTHING),
        (TSR, EVERYTHING)], [INVALID_SYNTAX, NO_PROPOSAL_CHOSEN, NO_ADDITIONAL_SAS])


@case()
def ike_rekey_with_a_zero_spi(lab):
    lab.survives(CREATE_CHILD_SA, lambda s: [
        (SA, proposal(1, bytes(8), IKE_TRANSFORMS)), (NONCE, os.urandom(32)),
        (KE, struct.pack(">HH", 31, 0) + s.public())],
        [INVALID_SYNTAX, NO_PROPOSAL_CHOSEN])


@case()
def ike_rekey_with_a_key_of_small_order(lab):
    lab.survives(CREATE_CHILD_SA, lambda s: [
        (SA, proposal(1, os.urandom(8), IKE_TRANSFORMS)), (NONCE, os.urandom(32)),
        (KE, struct.pack(">HH", 31, 0) + bytes(32))], [INVALID_SYNTAX, NO_PROPOSAL_CHOSEN, INVALID_KE_PAYLOAD])


@case()
def fragment_number_zero(lab):
    session = lab.session()
    session.connect(session.init_payloads() + [notify(FRAGMENTATION_SUPPORTED)])
    for number, total in [(0, 1), (2, 1), (0, 0), (1, 0), (65535, 65535)]:
        session.send(session.fragment(INFORMATIONAL, 0, b"", number, total))
    assert session.is_alive()
    session.delete()


@case()
def overlapping_fragments(lab):
    session = lab.session()
    session.connect(session.init_payloads() + [notify(FRAGMENTATION_SUPPORTED)])
    first, inner = chain([(DELETE, b"\x01\0\0\0")])
    # The second half twice with other content, and a total that changes on the way.
    session.send(session.fragment(INFORMATIONAL, first, inner[:4], 1, 3))
    session.send(session.fragment(INFORMATIONAL, first, b"\xff" * 8, 2, 3))
    session.send(session.fragment(INFORMATIONAL, first, b"\x00" * 8, 2, 3))
    session.send(session.fragment(INFORMATIONAL, first, b"", 1, 2))
    time.sleep(0.2)
    session.drain()
    assert session.is_alive(), "pieces that do not fit were put together"
    session.delete()


@case()
def fragments_without_end(lab):
    session = lab.session()
    session.connect(session.init_payloads() + [notify(FRAGMENTATION_SUPPORTED)])
    for number in range(1, 2000):
        session.send(session.fragment(INFORMATIONAL, VENDOR, bytes(1000), number, 65535))
    time.sleep(0.3)
    session.drain()
    assert session.is_alive()
    session.delete()


def main():
    parser = argparse.ArgumentParser()
    for name in ("local", "remote", "psk", "log"):
        parser.add_argument("--" + name, required=True)
    parser.add_argument("--only")
    options = parser.parse_args()
    lab = Lab(options)
    for name, function, reason in CASES:
        if options.only and options.only not in name:
            continue
        # The gateway tells of a few refusals a second; the others it only counts.
        time.sleep(0.4)
        with open(options.log, "rb") as log:
            log.seek(0, 2)
            start = log.tell()
            problem = None
            try:
                function(lab)
                problem = missing(log, start, reason)
            except AssertionError as error:
                problem = str(error) or "not as expected"
            except Exception as error:  # A peer that breaks is a failed case too.
                problem = f"{type(error).__name__}: {error}"
        print(json.dumps({"case": name, "problem": problem}), flush=True)


def missing(log, start, reason):
    """What the log fails to say, or None."""
    if reason is None:
        return None
    for _ in range(20):
        log.seek(start)
        text = log.read().decode("utf-8", "replace")
        if re.search(reason, text):
            return None
        time.sleep(0.1)
    return f"the gateway's log does not say '{reason}': {text[-300:]}"


main()
