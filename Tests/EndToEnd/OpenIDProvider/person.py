#!/usr/bin/python3
"""A person with a browser, as far as a sign-in needs one: follows links and redirects, keeps cookies, fills in the form.

    person.py --gateway https://10.1.0.1 --trust gate.crt --trust op.crt --provider okta --name ada --password secret

Prints a JSON object: the status, the address and the text of the page where it ends. With --glewlwyd the provider is that
server, whose log-in page is a script: its interface is asked instead.
"""

import argparse
import html.parser
import http.client
import http.cookiejar
import json
import re
import ssl
import urllib.error
import urllib.parse
import urllib.request


class Form(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.fields = None

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag == "form":
            self.fields = {}
        elif tag == "input" and self.fields is not None and attributes.get("name"):
            self.fields[attributes["name"]] = attributes.get("value") or ""


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *arguments):
        return None


class FromAddress(urllib.request.HTTPSHandler):
    """Connections from one of this host's addresses."""

    def __init__(self, context, address):
        super().__init__(context=context)
        self.context, self.address = context, address

    def https_open(self, request):
        def connection(host, **arguments):
            source = (self.address, 0) if self.address else None
            return http.client.HTTPSConnection(host, context=self.context, source_address=source, **arguments)

        return self.do_open(connection, request)


class Person:
    def __init__(self, trust, address):
        context = ssl.create_default_context()
        for file in trust:
            context.load_verify_locations(file)
        self.jar = http.cookiejar.CookieJar()
        self.opener = urllib.request.build_opener(
            FromAddress(context, address), urllib.request.HTTPCookieProcessor(self.jar), NoRedirect())
        self.address = None

    def ask(self, address, data=None, method=None, kind=None):
        """One request: the status, the headers and the text."""
        self.address = address
        request = urllib.request.Request(address, data=data, method=method)
        if kind:
            request.add_header("Content-Type", kind)
        try:
            answer = self.opener.open(request, timeout=30)
        except urllib.error.HTTPError as error:
            answer = error
        return answer.status, answer.headers, answer.read().decode(errors="replace")

    def follow(self, address, data=None):
        """As a browser does, until there is a page."""
        for _ in range(12):
            status, headers, text = self.ask(address, data)
            if status not in (301, 302, 303, 307, 308):
                return status, text
            address, data = urllib.parse.urljoin(address, headers["Location"]), None
        return status, "redirects without end"

    def ask_json(self, address, value, method="POST"):
        return self.ask(address, json.dumps(value).encode(), method, "application/json")


def sign_in(person, options):
    start = options.gateway + "/user/sign-in/" + options.provider
    if options.glewlwyd:
        status, headers, text = person.ask(start)
        if "Location" not in headers:
            return status, text
        target = headers["Location"]
        base = target.split("/api/", 1)[0]
        person.ask_json(base + "/api/auth/", {"username": options.name, "password": options.password})
        person.ask_json(base + "/api/auth/grant/" + options.client, {"scope": "openid email profile"}, "PUT")
        return person.follow(target + "&g_continue")
    status, text = person.follow(start)
    form = Form()
    form.feed(text)
    if status != 200 or form.fields is None or "password" not in form.fields:
        return status, text
    form.fields.update(username=options.name, password=options.password)
    return person.follow(person.address, urllib.parse.urlencode(form.fields).encode())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gateway", required=True)
    parser.add_argument("--trust", action="append", default=[])
    parser.add_argument("--provider", required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--password", required=True)
    parser.add_argument("--address", help="the address to come from")
    parser.add_argument("--glewlwyd", action="store_true")
    parser.add_argument("--client", default="gatehouse-client")
    options = parser.parse_args()
    person = Person(options.trust, options.address)
    status, page = sign_in(person, options)
    text = re.sub(r"\s+", " ", re.sub(r"<(style|head).*?</\1>|<[^>]+>", " ", page, flags=re.S)).strip()
    print(json.dumps({"status": status, "address": person.address, "text": html.unescape(text)}))


main()
