"""The stanzas there are: where they stand, what their names look like, and what a user meant by another one."""
import re
from difflib import get_close_matches
from ipaddress import AddressValueError, IPv4Address, IPv4Network, IPv6Address, ip_network

from pymomentum.core.config.scope import check_regex
from pymomentum.options.types import network, shown

LISTENERS = ("esmtp_listener", "control_listener", "http_listener", "ecstream_listener")
INSIDE = {          # scope -> stanzas it may hold
    "global": ("binding_group", "binding", "domain", "host", "pathway_group", "pathway", *LISTENERS, "threadpool",
               "eventloop", "security", "debug_flags"),
    "binding_group": ("binding", "domain", "host"),
    "binding": ("domain", "host"),
    "pathway_group": ("pathway",),
    "listen": ("peer",),
    **{listener: ("listen", "peer") for listener in LISTENERS},
}
UNLABELLED = ("security", "debug_flags", *LISTENERS)
NOT_BUILT = {       # stanzas of the language that are neither scopes of options here nor modules -> where they stand
    **dict.fromkeys(("authorization", "datasource", "eccluster_listener", "logs", "msgcserver_listener", "snmp",
                     "snmp_traps", "xmpp_listener", "adaptive_backstore_leveldb", "adaptive_backstore_riak"),
                    ("global",)),
    "adaptive_sweep_rule": ("global", "binding_group", "binding", "domain"),
}
MAX_SOCKET_PATH = 107
MAPPED_BITS = 96        # of ::ffff:0:0/96, which is all of IPv4


CAPITALS = {word.lower(): word for word in (        # words of options that the manual does not write with a capital in front alone
    "8BITMIME APN AUTH CA DANE DHE DNS DSN EC ECStream EHLO FBL GCM HA HTTP ID IP IPv6 LF LMTP MDN MIME MM7 MTA MX MXs PCRE "
    "RFC2821 RFC2822 RSET SIV SMTP SSL STS TCP TLS TLSA TLSv13 TTL UDP URI VCTX VM XMPP").split()}


def written(name):
    """An option in the manual's way."""
    return "_".join(CAPITALS.get(word, word[:1].upper() + word[1:]) for word in name.split("_"))


def similar(name, known):
    """Guess what a user meant."""
    known = {other.lower(): other for other in known}
    close = get_close_matches(name[:64].lower(), known, 1, 0.7)
    return f'did you mean "{known[close[0]]}"?' if close else ""


def is_expression(label):
    """Whether the name of a Domain or Host is a regular expression between slashes."""
    return len(label) > 2 and label[0] == label[-1] == "/"


def name_label(text):
    if not text or len(text) > 255 or re.search(r"[\s:]", text):
        raise ValueError("a name has 1 to 255 characters, none of them a blank or colon")
    return text


def domain_label(text):
    """A domain or host: a name without case, or a regular expression between slashes."""
    if is_expression(text):
        check_regex(text)
        return text
    if not text or len(text) > 1023 or re.search(r"\s", text):
        raise ValueError("a name has 1 to 1023 characters, none of them a blank")
    text = text[:-1] if len(text) > 1 and text[-1] == "." else text         # of the root, which mail leaves out
    return text.lower() if text.isascii() else "".join(c.lower() if c.isascii() else c for c in text)


def is_address(text):
    """Answer whether a name is an IPv4 address, without the brackets of a literal."""
    return re.fullmatch(r"[0-9]{1,3}(\.[0-9]{1,3}){3}", text) is not None


def network_of(text):
    """The network that a text names; IPv4 in IPv6 clothes is IPv4."""
    net = ip_network(text, strict=False)
    mapped = net.network_address.ipv4_mapped if net.version == 6 and net.prefixlen >= MAPPED_BITS else None
    return net if mapped is None else IPv4Network((mapped, net.prefixlen - MAPPED_BITS))


def peer_label(text):
    return network(str(network_of(network(text))))


def listen_label(text):
    """An address to accept on: the path, or host:port with the host * spelled out."""
    address = listen_address(text)
    if isinstance(address, str):
        return address
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def listen_address(text):
    """Answer the path of a unix socket, or (host, port)."""
    host, colon, port = text.rpartition(":")
    if "/" in text:
        if len(text.encode()) > MAX_SOCKET_PATH or "\0" in text:
            raise ValueError(f"the path of a socket has at most {MAX_SOCKET_PATH} bytes")
        return text
    if not colon or not re.fullmatch("[0-9]{1,5}", port) or int(port) > 65535:
        raise ValueError(f'{shown(text)} is no address such as "*:25", "192.0.2.1:25", "[::1]:25" or a path')
    try:
        if host in ("", "*"):
            return "0.0.0.0", int(port)
        if host == "[*]":
            return "::", int(port)
        if host[0] == "[" and host[-1] == "]" and "%" not in host:
            return str(IPv6Address(host[1:-1])), int(port)
        return str(IPv4Address(host)), int(port)
    except AddressValueError:
        raise ValueError(f"{shown(host)} is no address; IPv6 stands in brackets") from None


def normal(kind, label):
    """A name as the checks write it; as it is where no check knows it."""
    try:
        return LABELS.get(kind, str)(label)
    except ValueError:
        return label


LABELS = {"binding_group": name_label, "binding": name_label, "pathway_group": name_label, "pathway": name_label,
          "threadpool": name_label, "eventloop": name_label, "domain": domain_label, "host": domain_label,
          "listen": listen_label, "peer": peer_label}
