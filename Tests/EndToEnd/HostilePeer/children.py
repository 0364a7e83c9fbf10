"""CREATE_CHILD_SA from a peer that has proven who it is and then goes wrong."""
from ike import *
from lab import case


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


def key_exchange(s):
    return KE, struct.pack(">HH", 31, 0) + s.public()


def child(s, proposals=None, nonce=None, initiator=EVERYTHING, responder=EVERYTHING, first=(), last=()):
    """The payloads of a request for a child, right but for what the case says."""
    return list(first) + [
        (SA, proposals or proposal(3, os.urandom(4), PFS_TRANSFORMS)), (NONCE, nonce or os.urandom(32)),
        (TSI, initiator), (TSR, responder)] + [key_exchange(s)] * (not last) + list(last)


def rekey(s, spi=None, public=None, group=31):
    return [
        (SA, proposal(1, spi or os.urandom(8), IKE_TRANSFORMS)), (NONCE, os.urandom(32)),
        (KE, struct.pack(">HH", group, 0) + (public or s.public()))]


@case("second child SA with the same selectors")
def children_without_end(lab):
    session = lab.established()
    for _ in range(20):
        types = notify_types(session.request_sealed(CREATE_CHILD_SA, child(session)))
        assert types == [NO_ADDITIONAL_SAS], f"answered {types}"
    assert session.is_alive()
    session.delete()


@case("without SA, TSi or TSr")
def child_without_selectors_of_ours(lab):
    lab.survives(CREATE_CHILD_SA, lambda s: child(s)[:3] + [key_exchange(s)], [INVALID_SYNTAX])


@case("SA.*missing")
def child_without_proposals(lab):
    lab.survives(CREATE_CHILD_SA, lambda s: child(s)[1:], [INVALID_SYNTAX])


@case("SA.*comes twice")
def child_with_two_sets_of_proposals(lab):
    lab.survives(CREATE_CHILD_SA, lambda s: child(s, last=[child(s)[0]]), [INVALID_SYNTAX])


@case("TSi.*comes twice")
def child_with_selectors_twice(lab):
    lab.survives(CREATE_CHILD_SA, lambda s: child(s, last=[(TSI, EVERYTHING)]), [INVALID_SYNTAX])


@case("Nonce")
def child_with_a_nonce_of_fifteen_bytes(lab):
    lab.survives(CREATE_CHILD_SA, lambda s: child(s, nonce=bytes(15)), [INVALID_SYNTAX])


@case("TSi")
def child_without_a_single_selector(lab):
    lab.survives(CREATE_CHILD_SA, lambda s: child(s, initiator=b"", responder=b""), [INVALID_SYNTAX])


@case("selectors|nothing")
def child_with_no_selectors_at_all(lab):
    lab.survives(CREATE_CHILD_SA, lambda s: child(s, initiator=bytes(4), responder=bytes(4)), [TS_UNACCEPTABLE])


@case("TSi selector 1 length")
def selector_of_no_length(lab):
    lab.survives(CREATE_CHILD_SA, lambda s: child(s, initiator=b"\x01\0\0\0\x07\0\0\0" + bytes(12)), [INVALID_SYNTAX])


@case("TSi selector 1 length")
def selector_of_ipv6_with_the_length_of_ipv4(lab):
    lab.survives(
        CREATE_CHILD_SA, lambda s: child(s, initiator=EVERYTHING[:4] + b"\x08" + EVERYTHING[5:]), [INVALID_SYNTAX])


@case("behind the last selector")
def bytes_behind_the_last_selector(lab):
    lab.survives(CREATE_CHILD_SA, lambda s: child(s, responder=EVERYTHING + b"\0\0"), [INVALID_SYNTAX])


@case()
def child_with_255_selectors(lab):
    # All of them fit the definition, and of so many we take a part.
    many = b"\xff\0\0\0" + b"".join(
        struct.pack(">BBHHH4s4s", 7, 0, 16, 0, 65535, bytes([11, 0, 0, number]), bytes([11, 0, 0, number]))
        for number in range(255))
    lab.survives(CREATE_CHILD_SA, lambda s: child(s, initiator=many, responder=many))


@case("phase-2|proposal")
def child_with_an_spi_of_zero(lab):
    for spi in (bytes(4), b"\0\0\0\xff"):
        lab.survives(CREATE_CHILD_SA, lambda s: child(s, proposal(3, spi, ESP_TRANSFORMS)), [NO_PROPOSAL_CHOSEN])


@case("phase-2|proposal")
def child_of_ah(lab):
    lab.survives(CREATE_CHILD_SA, lambda s: child(s, proposal(2, os.urandom(4), ESP_TRANSFORMS)), [NO_PROPOSAL_CHOSEN])


@case("phase-2|proposal")
def child_with_nothing_to_choose_from(lab):
    lab.survives(CREATE_CHILD_SA, lambda s: child(s, proposal(3, os.urandom(4), [])), [NO_PROPOSAL_CHOSEN])


@case("phase-2|proposal")
def child_with_a_transform_of_an_unknown_kind(lab):
    transforms = [transform(1, 20, 128), transform(5, 0), transform(99, 1, last=True)]
    lab.survives(CREATE_CHILD_SA, lambda s: child(s, proposal(3, os.urandom(4), transforms)), [NO_PROPOSAL_CHOSEN])


@case("SA proposal 1 length")
def proposal_longer_than_its_payload(lab):
    body = bytearray(proposal(3, os.urandom(4), ESP_TRANSFORMS))
    body[2:4] = b"\x40\0"
    lab.survives(CREATE_CHILD_SA, lambda s: child(s, bytes(body)), [INVALID_SYNTAX])


@case("attribute")
def attribute_longer_than_its_transform(lab):
    bad = struct.pack(">BBHBBHHH", 3, 0, 12, 1, 0, 20, 14, 4000)
    lab.survives(
        CREATE_CHILD_SA, lambda s: child(s, proposal(3, os.urandom(4), [bad, ESP_TRANSFORMS[1]])), [INVALID_SYNTAX])


@case("behind the last proposal")
def bytes_behind_the_last_proposal(lab):
    lab.survives(
        CREATE_CHILD_SA, lambda s: child(s, proposal(3, os.urandom(4), ESP_TRANSFORMS) + b"\0"), [INVALID_SYNTAX])


@case("more than 64 proposals")
def proposals_without_end(lab):
    body = b"".join(
        proposal(3, os.urandom(4), ESP_TRANSFORMS, number=number + 1, last=number == 99) for number in range(100))
    lab.survives(CREATE_CHILD_SA, lambda s: child(s, body), [INVALID_SYNTAX])


@case("KE")
def key_exchange_of_two_bytes(lab):
    lab.survives(CREATE_CHILD_SA, lambda s: child(s, last=[(KE, b"\0\x1f")]), [INVALID_SYNTAX])


@case()
def rekey_of_the_gateways_own_spi(lab):
    # REKEY_SA names the SPI that its sender receives on (RFC 7296 §1.3.3).
    lab.survives(
        CREATE_CHILD_SA, lambda s: child(s, first=[notify(REKEY_SA, protocol=3, spi=s.gateway_child_spi)]),
        [CHILD_SA_NOT_FOUND])


@case("REKEY_SA.*must name")
def rekey_with_an_spi_of_three_bytes(lab):
    lab.survives(
        CREATE_CHILD_SA, lambda s: child(s, first=[notify(REKEY_SA, protocol=3, spi=s.child_spi[:3])]), [INVALID_SYNTAX])


@case("REKEY_SA.*must name")
def rekey_of_ah(lab):
    lab.survives(
        CREATE_CHILD_SA, lambda s: child(s, first=[notify(REKEY_SA, protocol=2, spi=s.child_spi)]), [INVALID_SYNTAX])


@case("Notify")
def rekey_whose_spi_overruns(lab):
    lab.survives(
        CREATE_CHILD_SA, lambda s: child(s, first=[(NOTIFY, struct.pack(">BBH", 3, 200, REKEY_SA) + s.child_spi)]),
        [INVALID_SYNTAX])


@case()
def rekey_for_networks_of_the_other_family(lab):
    foreign = struct.pack(">BBHBBHHH16s16s", 1, 0, 0, 8, 0, 40, 0, 65535, bytes(16), b"\xff" * 16)
    lab.survives(
        CREATE_CHILD_SA,
        lambda s: child(
            s, initiator=foreign, responder=foreign, first=[notify(REKEY_SA, protocol=3, spi=s.child_spi)]),
        [TS_UNACCEPTABLE])


@case()
def ike_rekey_for_another_group(lab):
    session = lab.established()
    found = session.request_sealed(CREATE_CHILD_SA, rekey(session, public=bytes([2]) * 256, group=14))
    assert notify_types(found) == [INVALID_KE_PAYLOAD], f"answered {notify_types(found)}"
    assert found[0][1][-2:] == b"\0\x1f", "the notify does not name the group that is wanted"
    assert session.is_alive()
    session.delete()


@case("KE")
def ike_rekey_with_a_key_of_31_bytes(lab):
    lab.survives(CREATE_CHILD_SA, lambda s: rekey(s, public=bytes([9]) * 31), [INVALID_SYNTAX])


@case("KE.*missing")
def ike_rekey_without_a_key(lab):
    lab.survives(CREATE_CHILD_SA, lambda s: rekey(s)[:2], [INVALID_SYNTAX])


@case("KE.*comes twice")
def ike_rekey_with_two_keys(lab):
    lab.survives(CREATE_CHILD_SA, lambda s: rekey(s) + [rekey(s)[2]], [INVALID_SYNTAX])


@case("rekey the IKE SA")
def ike_rekey_with_an_spi_of_four_bytes(lab):
    lab.survives(CREATE_CHILD_SA, lambda s: rekey(s, spi=os.urandom(4)), [NO_PROPOSAL_CHOSEN])
