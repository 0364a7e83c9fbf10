"""The cases, and what they share: a session with the gateway, and what must come of it."""
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

    def not_authenticated(self, payloads, kinds):
        """An IKE_AUTH that is answered by one of these notifies alone."""
        session = self.session()
        session.init()
        found = session.open(session.exchange(session.seal(IKE_AUTH, payloads(session))))
        types = notify_types(found)
        assert len(found) == 1 and types[0] in kinds, f"answered {types or [kind for kind, _ in found]}"

    def fragmenting(self):
        session = self.session()
        return session.connect(session.init_payloads() + [notify(FRAGMENTATION_SUPPORTED)])

    def survives(self, exchange, payloads, kinds=None, session=None):
        """An authenticated request that is wrong in itself: answered by one of `kinds`, and the IKE SA lives on."""
        session = session or self.established()
        found = session.request_sealed(exchange, payloads(session) if callable(payloads) else payloads)
        if kinds is not None:
            types = notify_types(found)
            assert any(kind in types for kind in kinds), f"answered {types or [kind for kind, _ in found]}"
        assert session.is_alive(), "the IKE SA is gone"
        session.delete()
