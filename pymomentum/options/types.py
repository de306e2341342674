"""Types of options: how the text of a value becomes a Python value, and that one a C value.

`parse` takes what the grammar gives: a str, a list of str or a dict of str; it
raises ValueError with a sentence for the user.  `write` is its inverse.  `kind`
names the member of value_t that holds the result of `encode`.
"""
import re
from ipaddress import ip_address, ip_network
from socket import SOCK_STREAM, getaddrinfo

LARGEST = 2 ** 40           # a second count of this size still fits 63 bits as microseconds
TRUE = frozenset(("true", "yes", "on", "enabled", "1"))
FALSE = frozenset(("false", "no", "off", "disabled", "0"))
CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")      # all but a tab
HOST_TEXT = re.compile(r"""(?:(?![\s@"'(),;\\])[!-~])*""")
NO_LABEL = re.compile(r"^\.|\.\.|(?:^|\.)-")        # a label of a host name that is none
QUOTED = r'"(?:[^"\\]|\\.)*"'
MAIL_ADDRESS = re.compile(rf'(?:{QUOTED}|[^\s"<>@,;:\\()\[\]]+)@(\S+)')
MAILBOX = re.compile(rf'(?:(?:{QUOTED}\s*|[^"<>@,;:\\()\[\]]*)<[^<>\s]+>|(?:{QUOTED}@)?[^<>\s]*)')
HOST_NAME = re.compile(r"(?:\w(?:[\w-]{0,61}\w)?\.)*(?![0-9]+\.?$)\w(?:[\w-]{0,61}\w)?\.?")
UNITS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400, "week": 604800}


class Type:
    """Base: one word of text; `default` is None where the option has none, or a function."""

    kind = "text"
    word = "a text"

    def __init__(self, default=None):
        self.default = default

    def parse(self, raw):
        if not isinstance(raw, str):
            raise ValueError(f"takes {self.word}, not a {'list' if isinstance(raw, list) else 'dictionary'}")
        return self.read(raw)

    def read(self, text):
        return text

    def item(self, word):
        """Answer what one word of a list means, for types that take lists; raises ValueError."""
        return word

    def idle(self, word):
        """Answer why a word of a list has no effect; empty where it may have one."""
        return ""

    def write(self, value):
        """Answer what `parse` reads as this value."""
        return str(value)

    def encode(self, value):
        return value

    def constants(self):
        """Answer (name, number) of the words that code may ask for."""
        return ()


class Text(Type):
    """One line of text, or with lines=True several; with joins=True a list is accepted and joined by blanks."""

    def __init__(self, default=None, joins=False, lines=False):
        super().__init__(default)
        self.joins, self.lines = joins, lines

    def parse(self, raw):
        return super().parse(" ".join(raw) if self.joins and isinstance(raw, list) else raw)

    def read(self, text):
        return text if self.lines else line(text)


class Path(Text):
    """The path of a file or folder that must be one."""

    def read(self, text):
        if not text:
            raise ValueError("takes a path, not nothing")
        return super().read(text)


class HostName(Text):
    """The name of a host, or an address in brackets, as it goes out to others: one word of ASCII, `__hostname__` and `__message__` too."""

    word = "a host name"

    def read(self, text):
        if not HOST_TEXT.fullmatch(text) or NO_LABEL.search(text):
            raise ValueError(f"takes {self.word}, not {shown(text)}")
        return text


class MailAddress(Text):
    """An address that mail can go to, or nothing."""

    word = "an address such as postmaster@example.com"

    def read(self, text):
        match = MAIL_ADDRESS.fullmatch(text)
        if text and not (match and is_host(match[1]) and text.isascii()) or CONTROL.search(text):
            raise ValueError(f"takes {self.word}, not {shown(text)}")
        return text


class Mailbox(Text):
    """An address, or a name with an address in angle brackets behind it, as From has it."""

    word = "an address, or a name and <an address>"

    def read(self, text):
        if not MAILBOX.fullmatch(line(text)):
            raise ValueError(f"takes {self.word}, not {shown(text)}")
        return text


class Expression(Text):
    """A regular expression."""

    word = "a regular expression"

    def read(self, text):
        return expression(text)


class Source(Text):
    """An address of this machine or a host name that stands for one; * is any."""

    word = "an address or a host name"

    def read(self, text):
        if text != "*" and not is_address(text.strip("[]").partition("%")[0]) and not is_name(text):
            raise ValueError(f"takes {self.word}, not {shown(text)}")
        return text

    def encode(self, value):
        if value is None or value == "*":
            return value
        try:
            return str(ip_address(value.strip("[]")))
        except ValueError:
            return looked_up(value)


class Server(Text):
    """host:port; a host name is looked up when the configuration is read."""

    word = "host:port"

    def read(self, text):
        host, _, port = text.rpartition(":")
        if not is_host(host) or not is_port(port):
            raise ValueError(f"takes {self.word}, not {shown(text)}")
        return text

    def encode(self, value):
        if value is None:
            return None
        host, _, port = value.rpartition(":")
        address = looked_up(host.strip("[]"))
        return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


class Gateway(Text):
    """A host, perhaps with a port, or nothing; a list holds one."""

    word = "a host or host:port, IPv6 in brackets"

    def parse(self, raw):
        return super().parse(raw[0] if isinstance(raw, list) and len(raw) == 1 else raw)

    def item(self, word):
        return self.read(word)

    def read(self, text):
        host, _, port = text.rpartition(":")
        if text and not is_host(text) and not is_address(text) and not (is_host(host) and is_port(port)):
            raise ValueError(f"takes {self.word}, not {shown(text)}")
        return text


class File(Text):
    """The name of a file; `none` is no file, whatever an outer scope says."""

    word = "the name of a file, or none"

    def read(self, text):
        return "none" if text.lower() == "none" else line(text)

    def encode(self, value):
        return "" if value == "none" else value


class Protocols(Text):
    """Versions of TLS that are switched on and off, from left to right."""

    VERSIONS = ("SSLv2", "SSLv3", "TLSv1.0", "TLSv1.1", "TLSv1.2", "TLSv1.3")
    USUAL = frozenset(("tlsv1.2", "tlsv1.3"))   # ALL: RFC 8996 has ended those before
    OLD = frozenset(("sslv2", "sslv3"))          # no OpenSSL that we run with has them
    TOKENS = frozenset(("all", *(version.lower() for version in VERSIONS)))

    def read(self, text):
        if not self.on(text) - self.OLD:
            raise ValueError(f"{shown(text)} leaves no protocol")
        return text

    def on(self, text):
        """Answer what is on; a first + stands for itself alone, a first - takes from the usual ones."""
        on, wrong = set(self.USUAL if text[:1] == "-" else ()), []
        for word in text.split(":"):
            token = word[1:].lower()
            token = "tlsv1.0" if token == "tlsv1" else token
            if word[:1] not in ("+", "-") or token not in self.TOKENS:
                wrong.append(shown(word))
            elif word[0] == "+":
                on |= self.USUAL if token == "all" else {token}
            else:
                on = on - {token} if token != "all" else set()
        if wrong:
            raise ValueError(f"takes +NAME and -NAME of ALL, {', '.join(self.VERSIONS)} with colons between, not {', '.join(wrong)}")
        return on

    def encode(self, value):
        """What is on, each with its +."""
        return value and ":".join(f"+{version}" for version in self.VERSIONS if version.lower() in self.on(value))


class Address(Text):
    """An address of one family."""

    def __init__(self, version):
        super().__init__()
        self.version = version

    @property
    def word(self):
        return f"an IPv{self.version} address"

    def read(self, text):
        try:
            address = ip_address(text.strip("[]"))
        except ValueError:
            address = None
        if address is None or address.version != self.version or "%" in text:
            raise ValueError(f"takes {self.word}, not {shown(text)}")
        return str(address)


class Number(Type):
    """A whole number, or one of `words` that stand for negative ones."""

    kind = "number"

    def __init__(self, default=None, minimum=0, maximum=LARGEST, words=None):
        super().__init__(default)
        self.minimum, self.maximum, self.words = minimum, maximum, words or {}

    @property
    def word(self):
        words = "".join(f" or {w}" for w in self.words)
        return "a number" + words

    def read(self, text):
        if text.lower() in self.words:
            return text.lower()
        if not re.fullmatch(r"[+-]?[0-9]{1,4000}", text):
            raise ValueError(f"takes {self.word}, not {shown(text)}")
        number = int(text)
        if number < self.minimum:
            raise ValueError(f"must be at least {self.minimum}, not {cut(text)}")
        if number > self.maximum:
            raise ValueError(f"must be at most {self.maximum}, not {cut(text)}")
        return number

    def encode(self, value):
        return -1 if value is None else self.words.get(value, value)

    def constants(self):
        return self.words.items()


class Decimal(Type):
    """A number that may have a fraction."""

    word = "a number"

    def read(self, text):
        if not re.fullmatch(r"[0-9]{1,15}(\.[0-9]{1,9})?", text):
            raise ValueError(f"takes {self.word}, not {shown(text)}")
        return float(text)

    def write(self, value):
        return f"{value:.9f}".rstrip("0").rstrip(".")

    def encode(self, value):
        return None if value is None else str(value)


class Boolean(Type):
    kind = "number"
    word = "true or false"

    def read(self, text):
        if text.lower() in TRUE:
            return True
        if text.lower() in FALSE:
            return False
        raise ValueError(f"takes true or false, not {shown(text)}")

    def write(self, value):
        return "true" if value else "false"

    def encode(self, value):
        return -1 if value is None else int(value)


class Octal(Type):
    """Permissions of a file."""

    kind = "number"
    word = "permissions in octal such as 0640"

    def read(self, text):
        if not re.fullmatch(r"0?[0-7]{3}", text):
            raise ValueError(f"takes {self.word}, not {shown(text)}")
        return int(text, 8)

    def write(self, value):
        return f"{value:04o}"

    def encode(self, value):
        return -1 if value is None else value


class Duration(Type):
    """Seconds, written as a number or as "4 hours"."""

    kind = "number"
    word = 'a time such as "4 hours"'

    def read(self, text):
        match = re.fullmatch(r"([0-9]{1,10})(?:\s+([a-z]+?)s?)?", text.strip().lower())
        if not match or (match[2] or "second") not in UNITS:
            raise ValueError(f"takes {self.word}, not {shown(text)}")
        return int(match[1]) * UNITS[match[2] or "second"]

    def encode(self, value):
        return -1 if value is None else value


class Enum(Type):
    """One of a few words, compared without case; numbered in their order."""

    kind = "number"

    def __init__(self, values, default=None):
        super().__init__(default)
        self.values = tuple(values.split())
        self.places = {v.lower(): v for v in self.values}

    @property
    def word(self):
        return " | ".join(self.values)

    def read(self, text):
        low = text.lower()
        if low not in self.places:
            for same in (TRUE, FALSE):      # `off` is accepted where `no` is one of the words
                if low in same:
                    low = next((p for p in self.places if p in same), low)
        if low not in self.places:
            raise ValueError(f"takes {self.word}, not {shown(text)}")
        return self.places[low]

    def encode(self, value):
        return -1 if value is None else self.values.index(value)

    def constants(self):
        return ((v, i) for i, v in enumerate(self.values))


class List(Type):
    """Words in parentheses, each on one line or with lines=True on several; a single word is a list of one."""

    kind = "list"
    word = "a list"

    def __init__(self, default=None, lines=False):
        super().__init__(default)
        self.lines = lines

    def parse(self, raw):
        if isinstance(raw, dict):
            raise ValueError("takes a list, not a dictionary")
        return [self.item(word) for word in ([raw] if isinstance(raw, str) else raw)]

    def item(self, word):
        return word if self.lines else line(word)

    def write(self, value):
        return [str(word) for word in value]


class Expressions(List):
    """Regular expressions."""

    word = "a list of regular expressions"

    def item(self, word):
        return expression(word)


class Domains(List):
    """Names of domains, and the ends of such names behind a *."""

    word = "a list of domains"

    def item(self, word):
        return line(word)[:-1] if word[-1:] == "." and word.strip("*.") else line(word)

    def idle(self, word):
        end = word.removeprefix("*")
        if re.search(r"[*?/@\s]", end) or end == "." or word[:1] in ("", "."):
            return f"{shown(word)} matches nothing: a domain is a name, or *.example.com for all that end so"
        return ""


class Subsystems(List):
    """Parts of the server that speak in the paniclog."""

    def idle(self, word):
        from pymomentum.core.log.level import is_subsystem      # compiled later than this is read
        return "" if is_subsystem(word) else f"no subsystem is called {word}"


class Routes(List):
    """Hosts, addresses, __mx__, or URIs of these; one without a preference stands behind the one before it."""

    word = "a list of hosts"
    MOST = 100
    SCHEMES = ("smtp", "lmtp", "http", "mm7", "apn", "gcm", "xfer")
    FIELDS = {"pref": 65535, "ttl": 2 ** 31 - 1, "port": 65535, "type": ("mx", "a")}

    def parse(self, raw):
        if isinstance(raw, list) and len(raw) > self.MOST:
            raise ValueError(f"takes at most {self.MOST} routes, not {len(raw)}")
        return super().parse(raw)

    def item(self, word):
        self.route(word)
        return word

    @classmethod
    def route(cls, text):
        """Answer host, port, preference, TTL and type of one; 0 or None where it does not say."""
        rest, fields = text, {"port": 0, "pref": None, "ttl": 0, "type": "a"}
        if match := re.match(r"([A-Za-z][A-Za-z0-9]*)://", rest):
            if match[1].lower() not in cls.SCHEMES:
                raise ValueError(f"{shown(text)}: a route begins with smtp://")
            rest, _, query = rest[match.end():].partition("?")
            for pair in filter(None, query.split("&")):
                name, _, value = pair.partition("=")
                fields[name.lower()] = cls.field(text, name.lower(), value.lower())
        match = re.fullmatch(r"(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,253})(?::([0-9]{1,5}))?/?", rest)
        if not match or not is_host(match[1]):
            raise ValueError(f"{shown(text)} is no host, address or smtp://HOST?pref=P&ttl=T&port=O&type=mx")
        if match[2]:
            fields["port"] = cls.field(text, "port", match[2])
        host = match[1].strip("[]").lower()
        return host, fields["port"], fields["pref"], fields["ttl"], fields["type"]

    @classmethod
    def field(cls, text, name, value):
        bound = cls.FIELDS.get(name)
        if bound is None:
            raise ValueError(f"{shown(text)}: a route has {', '.join(cls.FIELDS)}, not {shown(name)}")
        if isinstance(bound, tuple):
            if value in bound:
                return value
            raise ValueError(f"{shown(text)}: {name} is {' or '.join(bound)}")
        if not re.fullmatch(r"[0-9]{1,10}", value) or not int(name == "port") <= int(value) <= bound:
            raise ValueError(f"{shown(text)}: {name} is a number up to {bound}")
        return int(value)

    def encode(self, value):
        if value is None:
            return None
        fields, last = [], -1
        for text in value:
            host, port, preference, ttl, kind = self.route(text)
            last = last + 1 if preference is None else preference
            fields += [host, str(port), str(last), str(ttl), kind]
        return fields


class Range(List):
    """( low high ): two whole numbers."""

    word = "( low high )"

    def parse(self, raw):
        if isinstance(raw, (str, list)) and len(words := [raw] if isinstance(raw, str) else raw) != 2:
            raise ValueError(f"takes ( low high ), not {len(words)} value{'s' * (len(words) != 1)}")
        low, high = super().parse(raw)
        if low > high:
            raise ValueError(f"takes ( low high ), but {low} is above {high}")
        return [low, high]

    def item(self, word):
        return Number().read(word)

    def encode(self, value):
        return value and [str(n) for n in value]


class Nets(List):
    """A list of addresses and networks."""

    kind = "nets"
    word = "a list of networks"

    def item(self, word):
        return network(word)


class Dict(Type):
    """[ key = value ... ]"""

    kind = "list"
    word = "a dictionary"

    def parse(self, raw):
        if not isinstance(raw, dict):
            raise ValueError("takes a dictionary: [ key = value ... ]")
        return dict(raw)

    def write(self, value):
        return dict(value)

    def encode(self, value):
        return value and [part for pair in value.items() for part in pair]


class Limit(Number):
    """A whole number that all who fall back to the declaring scope count against together; `unlimited` is the word for none."""

    kind = "limit"

    def __init__(self, default=None, minimum=0, unlimited=None):
        super().__init__(default, minimum)
        self.unlimited = unlimited      # the number that stands for no limit

    def encode(self, value):
        return -1 if value == self.unlimited else value


class Throttle(Type):
    """N (a second) or N/S (in S seconds) as (N, S); 0 is unlimited."""

    kind = "throttle"
    word = "N or N/seconds"

    def read(self, text):
        match = re.fullmatch(r"([0-9]{1,9})(?:\s*/\s*([0-9]{1,7}))?", text.strip())
        if not match or match[2] is not None and int(match[2]) == 0:
            raise ValueError(f"takes N or N/seconds, not {shown(text)}")
        return int(match[1]), int(match[2] or 1)

    def write(self, value):
        number, seconds = value
        return f"{number}/{seconds}"


def line(text):
    """Answer a text that stands on one line: in what goes out, a line end would begin something else."""
    if CONTROL.search(text):
        raise ValueError(f"takes one line without control characters, not {shown(text)}")
    return text


def expression(text):
    """Answer a regular expression that can be compiled."""
    from pymomentum.core.config.scope import check_regex        # compiled later than this is read
    check_regex(f"/{text}/")
    return text


def is_address(text):
    try:
        ip_address(text)
    except ValueError:
        return False
    return "%" not in text


def is_name(text):
    """Whether a text is a host name; the last part of one is no number."""
    return len(text) <= 253 and HOST_NAME.fullmatch(text) is not None


def is_host(text):
    """Whether a text is a host name or an address, IPv6 in brackets."""
    if text[:1] == "[" and text[-1:] == "]":
        return is_address(text[1:-1].removeprefix("IPv6:"))
    return is_name(text) or ":" not in text and is_address(text)


def is_port(text):
    return re.fullmatch("[0-9]{1,5}", text) is not None and 1 <= int(text) <= 65535


def looked_up(name):
    """Answer the address that a host name stands for on this machine."""
    try:
        return getaddrinfo(name, None, type=SOCK_STREAM)[0][4][0]
    except (OSError, UnicodeError):
        raise ValueError(f"the host name {shown(name)} stands for no address") from None


def one_line(written):
    """Answer what `write` gave as it stands in a file, on one line."""
    if isinstance(written, list):
        return f"( {' '.join(written)} )"
    if isinstance(written, dict):
        return f"[ {' '.join(f'{key} = {part}' for key, part in written.items())} ]"
    return written


def network(text):
    """Check an address or network, brackets around IPv6 allowed, and write it the usual way."""
    bare = text.replace("[", "", 1).replace("]", "", 1) if text.startswith("[") else text
    try:
        net = ip_network(bare, strict=False)
    except ValueError:
        raise ValueError(f"{shown(text)} is no address or network such as 10.0.0.0/8") from None
    if "%" in bare:
        raise ValueError(f"{shown(text)} names an interface, which is not possible here")
    return str(net.network_address) if net.prefixlen == net.max_prefixlen else str(net)


def shown(text):
    """Quote a word of a user's for a message."""
    return '"' + "".join(c if c.isprintable() else "?" for c in cut(text)) + '"'


def cut(text):
    return text if len(text) <= 60 else text[:57] + "..."
