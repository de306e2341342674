"""A site's configuration as it is shipped, in a test: its files are included, and what lies outside of the test -
addresses to listen on and to send from, certificates - is said again behind them, as later values win.
"""
from pymomentum import config
from pymomentum.config.scopes import walk
from pymomentum.words import quoted
from tests.harness.cert import certificate


class Site:
    def __init__(self, path):
        self.path = path
        root = config.load(path).root
        self.scopes = [root, *walk(root)]
        self.sources = {}           # binding -> the loopback address that stands for its own

    def text(self):
        """Answer statements that serve the site, but on this machine's loopback and nowhere else."""
        lines = [f"include {quoted(str(self.path))}", 'local_changes_file = "$folder/local_changes.conf"']
        for scope in self.scopes:
            if scope.kind == "listen":
                lines.append(inside(scope, "enable = false"))
            if scope.values.get("bind_address", "*") != "*":
                self.sources[scope.label] = f"127.0.1.{len(self.sources) + 1}"
                lines.append(inside(scope, f"bind_address = {self.sources[scope.label]}"))
            if "tls_certificate" in scope.values:
                names = zip(("tls_certificate", "tls_key"), certificate("mta.test"))
                lines += [inside(scope, f"{name} = {quoted(str(path))}") for name, path in names]
        return "\n".join(lines) + "\n"


def inside(scope, statement):
    """A statement in the stanzas that lead to a scope."""
    while scope.parent is not None:
        label = f" {quoted(scope.label)}" if scope.label else ""
        statement, scope = f"{scope.kind}{label} {{ {statement} }}", scope.parent
    return statement
