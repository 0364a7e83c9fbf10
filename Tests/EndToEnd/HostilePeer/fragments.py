"""Fragments (RFC 7383) that no honest peer cuts."""
import time

from ike import *
from lab import case


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


def pieces(session, payloads, size=4):
    """A message as its first payload's type and what its fragments hold."""
    first, inner = chain(payloads)
    return first, [inner[at:at + size] for at in range(0, len(inner), size)]


@case()
def fragments_in_reverse(lab):
    session = lab.fragmenting()
    first, parts = pieces(session, [(VENDOR, bytes(40)), (201, b"", 0x80)])
    answer = None
    for number in reversed(range(len(parts))):
        message = session.fragment(INFORMATIONAL, first, parts[number], number + 1, len(parts))
        answer = session.exchange(message) if number == 0 else session.send(message)
    session.next_id += 1
    assert notify_types(session.open(answer)) == [UNSUPPORTED_CRITICAL_PAYLOAD], "the message was not put together"
    assert session.is_alive()
    session.delete()


@case("fragment 0 of 1")
def fragment_zero_alone(lab):
    session = lab.fragmenting()
    assert session.exchange(session.fragment(INFORMATIONAL, 0, b"", 0, 1)) is None
    assert session.is_alive()
    session.delete()


@case("fragment 3 of 2")
def fragment_beyond_the_last(lab):
    session = lab.fragmenting()
    assert session.exchange(session.fragment(INFORMATIONAL, 0, b"", 3, 2)) is None
    assert session.is_alive()
    session.delete()


@case("we take messages of up to 64")
def more_fragments_than_we_take(lab):
    session = lab.fragmenting()
    assert session.exchange(session.fragment(INFORMATIONAL, VENDOR, bytes(100), 1, 65)) is None
    assert session.is_alive()
    session.delete()


@case("have not agreed on fragments")
def fragment_that_was_not_agreed(lab):
    session = lab.established()
    assert session.exchange(session.fragment(INFORMATIONAL, 0, b"", 1, 1)) is None
    assert session.is_alive()
    session.delete()


@case("does not authenticate")
def forged_fragment_among_true_ones(lab):
    session = lab.fragmenting()
    first, parts = pieces(session, [(VENDOR, bytes(40))], 22)
    true = [session.fragment(INFORMATIONAL, first, part, number + 1, len(parts)) for number, part in enumerate(parts)]
    session.send(true[0])
    session.send(true[1][:-1] + bytes([true[1][-1] ^ 1]))
    answer = session.exchange(true[1])
    session.next_id += 1
    assert session.open(answer) == [], "a forged fragment took the place of the true one"
    assert session.is_alive()
    session.delete()


@case()
def fragment_of_a_smaller_cut_first(lab):
    session = lab.fragmenting()
    first, inner = chain([(VENDOR, bytes(40))])
    # A piece of another cut must not be mixed with these: of three, then of two, then the rest of three.
    session.send(session.fragment(INFORMATIONAL, first, inner[:20], 1, 3))
    session.send(session.fragment(INFORMATIONAL, first, inner[20:], 2, 2))
    session.send(session.fragment(INFORMATIONAL, first, inner[20:30], 2, 3))
    answer = session.exchange(session.fragment(INFORMATIONAL, first, inner[30:], 3, 3))
    session.next_id += 1
    assert session.open(answer) == [], "the message was not put together"
    assert session.is_alive()
    session.delete()


@case("payload .* length")
def fragments_of_a_message_that_overruns(lab):
    session = lab.fragmenting()
    session.send(session.fragment(INFORMATIONAL, NOTIFY, b"\0\0\xff\xff", 1, 2))
    answer = session.exchange(session.fragment(INFORMATIONAL, NOTIFY, bytes(8), 2, 2))
    session.next_id += 1
    assert notify_types(session.open(answer)) == [INVALID_SYNTAX]
    assert session.is_alive()
    session.delete()


@case("too large")
def message_larger_than_we_put_together(lab):
    session = lab.fragmenting()
    for number in range(1, 48):
        session.send(session.fragment(INFORMATIONAL, VENDOR, bytes(1400), number, 64))
        time.sleep(0.002)
    assert session.is_alive()
    session.delete()


@case("too large")
def message_of_a_stranger_larger_than_we_put_together(lab):
    session = lab.session()
    session.init(session.init_payloads() + [notify(FRAGMENTATION_SUPPORTED)])
    for number in range(1, 30):
        session.send(session.fragment(IKE_AUTH, VENDOR, bytes(1200), number, 64))
        time.sleep(0.002)
    session.drain()
    found = session.open(session.exchange(session.seal(IKE_AUTH, session.auth_payloads())))
    assert AUTH in [kind for kind, _ in found], "the true message was not taken"
    session.next_id = 2
    assert session.is_alive()
    session.delete()


@case()
def fragments_of_a_request_that_is_answered(lab):
    session = lab.fragmenting()
    first, parts = pieces(session, [(VENDOR, bytes(40))], 22)
    true = [session.fragment(INFORMATIONAL, first, part, number + 1, len(parts)) for number, part in enumerate(parts)]
    session.send(true[0])
    answer = session.exchange(true[1])
    assert answer, "no answer"
    # Only the first asks for the answer again (RFC 7383 §2.6.1).
    assert session.exchange(true[1]) is None and session.exchange(true[0]) == answer
    session.next_id += 1
    assert session.is_alive()
    session.delete()
