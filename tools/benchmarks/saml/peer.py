"""The other side of `tools/bench saml`.

    peer.py verify FOLDER ISSUER ACS SECONDS       python3-saml (lxml, libxmlsec1) on the same responses: how many a CPU second
    peer.py sign-ins FOLDER HOST PORT TARGET RATE COUNT    posts one response after the other, each from an address of its
                                                   own, at a fixed rate; prints each one's milliseconds from the post
                                                   until a packet comes back from TARGET
    peer.py echo ADDRESS PORT                      answers every UDP packet
"""

import http.client
import queue
import socket
import ssl
import sys
import threading
import time
import urllib.parse


def lines(folder):
    with open(folder + "/responses") as file:
        return file.read().split()


def verify(folder, issuer, acs, seconds):
    from onelogin.saml2.response import OneLogin_Saml2_Response
    from onelogin.saml2.settings import OneLogin_Saml2_Settings

    certificate = open(folder + "/idp.crt").read()
    settings = OneLogin_Saml2_Settings({
        "strict": True,
        "sp": {"entityId": issuer, "assertionConsumerService": {"url": acs}},
        "idp": {"entityId": issuer, "singleSignOnService": {"url": "https://idp.example/sso"}, "x509cert": certificate},
        "security": {"wantMessagesSigned": True, "wantAssertionsSigned": True},
    })
    url = urllib.parse.urlsplit(acs)
    request = {"https": "on", "http_host": url.netloc, "script_name": url.path, "get_data": {}, "post_data": {}}
    responses = lines(folder)[:200]
    count, begun = 0, time.process_time()
    while time.process_time() - begun < seconds:
        for text in responses:
            response = OneLogin_Saml2_Response(settings, text)
            if not response.is_valid(request, raise_exceptions=True):
                sys.exit("python3-saml refuses a response")
            response.get_attributes()
            count += 1
    print("peer", count / (time.process_time() - begun))


def echo(address, port):
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind((address, port))
    while True:
        data, sender = server.recvfrom(2048)
        server.sendto(data, sender)


def sign_ins(folder, host, port, target, rate, count):
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    responses = lines(folder)[:count]
    work, results = queue.Queue(), []

    def sign_in(number, text):
        source = "10.1.%d.%d" % (16 + number // 250, 1 + number % 250)
        # The browser is connected already: it showed the provider's page a moment ago.
        connection = http.client.HTTPSConnection(host, port, source_address=(source, 0), context=context, timeout=20)
        connection.connect()
        body = urllib.parse.urlencode({"SAMLResponse": text})
        begun = time.perf_counter()
        headers = {"Host": "gate.example.com", "Content-Type": "application/x-www-form-urlencoded"}
        connection.request("POST", "/user/external/saml", body, headers)
        answer = connection.getresponse()
        answer.read()
        if answer.status != 303:
            results.append(None)
            return
        probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        probe.bind((source, 0))
        probe.settimeout(0.2)
        while time.perf_counter() - begun < 10:
            probe.sendto(b"through?", (target, 7))
            try:
                probe.recv(64)
                results.append((time.perf_counter() - begun) * 1000)
                break
            except (TimeoutError, ConnectionError):
                pass
        else:
            results.append(None)
        probe.close()
        connection.close()

    def worker():
        while True:
            job = work.get()
            if job is None:
                return
            try:
                sign_in(*job)
            except OSError as error:
                print("failed", error, file=sys.stderr)
                results.append(None)

    threads = [threading.Thread(target=worker) for _ in range(32)]
    for thread in threads:
        thread.start()
    begun = time.perf_counter()
    for number, text in enumerate(responses):
        time.sleep(max(0, begun + number / rate - time.perf_counter()))
        work.put((number, text))
    for _ in threads:
        work.put(None)
    for thread in threads:
        thread.join()
    good = sorted(result for result in results if result is not None)
    print("failed", len(results) - len(good))
    if good:
        print("p50", good[len(good) // 2])
        print("p99", good[len(good) * 99 // 100])
    print("rate", len(good) / (time.perf_counter() - begun))


if __name__ == "__main__":
    verb, arguments = sys.argv[1], sys.argv[2:]
    if verb == "verify":
        verify(*arguments[:3], float(arguments[3]))
    elif verb == "echo":
        echo(arguments[0], int(arguments[1]))
    else:
        sign_ins(arguments[0], arguments[1], int(arguments[2]), arguments[3], float(arguments[4]), int(arguments[5]))
