"""Reads a web page from standard input and prints what a browser would send for its first form: the address, and the
fields as application/x-www-form-urlencoded. Arguments: the page's own address, then NAME=VALUE of what is typed in."""
import html.parser
import sys
import urllib.parse


class Form(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.action, self.fields, self.is_open = None, {}, False

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag == "form" and self.action is None:
            self.action, self.is_open = attributes.get("action") or "", True
        elif tag == "input" and self.is_open and "name" in attributes:
            self.fields[attributes["name"]] = attributes.get("value") or ""

    def handle_endtag(self, tag):
        if tag == "form":
            self.is_open = False


form = Form()
form.feed(sys.stdin.read())
if form.action is None:
    sys.exit("The page at " + sys.argv[1] + " has no form.")
form.fields.update(typed.split("=", 1) for typed in sys.argv[2:])
print(urllib.parse.urljoin(sys.argv[1], form.action))
print(urllib.parse.urlencode(form.fields))
