"""Certificates, keys and parameters of TLS that a configuration names: OpenSSL tries them before they serve."""
import os

from pymomentum.config.scopes import UNKNOWN_OPTION, walk
from pymomentum.core.tls import context
from pymomentum.options import registry

ALONE = ("tls_certificate", "tls_ciphers", "tlsv13_ciphersuites", "tls_ca", "tls_client_ca", "tls_ec_curve_names", "tls_dhparams_file")
FILES = ("tls_certificate", "tls_key", "tls_ca", "tls_client_ca", "tls_dhparams_file")


def mistakes(loaded, unread=True):
    """Answer a ConfigError for each that OpenSSL does not take; files that cannot be read only if `unread`."""
    found, tried = [], {}
    for scope in (loaded.root, *walk(loaded.root)):
        for option, asked in wanted(scope, loaded.knows):
            if not unread and asked[0] in FILES and not all(os.access(path, os.R_OK) for path in asked[1:]):
                continue
            if asked not in tried and not (asked[0] == "tls_key" and tried.get(("tls_certificate", asked[2]))):
                tried[asked] = refusal(*asked)
                if tried[asked]:
                    found.append(scope.settings[option].value.error(f"{asked[0]}: {asked[1]} cannot be used: {tried[asked]}"))
    return found


def wanted(scope, knows):
    """Walk what a scope itself says: the option that says it, and what is to be tried; a pair only if both are known."""
    for option in ALONE:
        if said(scope, option):
            yield option, (option, said(scope, option))
    certificate = inherited(scope, "tls_certificate") if knows("tls_certificate", "tls_key", UNKNOWN_OPTION) else ""
    for option in ("tls_key", "tls_certificate"):
        if certificate and option in scope.values:
            yield option, ("tls_key", inherited(scope, "tls_key") or certificate, certificate)
            break


def said(scope, option):
    """Answer what a scope itself says, as the engine has it; empty: nothing, or that there is none."""
    return registry.find(option, scope.kind).type.encode(scope.values[option]) if option in scope.values else ""


def inherited(scope, option):
    while scope is not None and option not in scope.values:
        scope = scope.parent
    return said(scope, option) if scope is not None else ""


def refusal(*asked):
    try:
        context.attempt(*asked)
    except ValueError as e:
        return str(e)
    return ""
