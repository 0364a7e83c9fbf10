#!/usr/bin/env python3
"""What no honest peer sends, sent to a gateway that waits for us. Each case says what must come back and which reason the
gateway's log must give; prints one JSON object a case.

    peer.py --local A --remote B --psk KEY --log FILE [--only PART]
"""
import argparse
import json
import re
import time

import lab
import first_contact, authentication, established, children, fragments  # Each registers its cases.


def main():
    parser = argparse.ArgumentParser()
    for name in ("local", "remote", "psk", "log"):
        parser.add_argument("--" + name, required=True)
    parser.add_argument("--only")
    options = parser.parse_args()
    peer = lab.Lab(options)
    for name, function, reason in lab.CASES:
        if options.only and options.only not in name:
            continue
        # The gateway tells of a few refusals a second; the others it only counts.
        time.sleep(0.4)
        with open(options.log, "rb") as log:
            log.seek(0, 2)
            start = log.tell()
            problem = None
            try:
                function(peer)
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
