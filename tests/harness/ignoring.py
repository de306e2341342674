"""Makes a process deaf for the option, or module.option, that EC_IGNORE names: it is checked, and has no effect.

    python -m tests.harness.ignoring -c FILE    a server that is
"""
import os
import sys

from pymomentum.config.scopes import Reader


def install(option):
    module, _, name = option.rpartition(".")
    setting, module_body = Reader.setting, Reader.module_body

    def deaf_setting(self, node, scope):
        if module or node.name.lower() != name:
            setting(self, node, scope)

    def deaf_body(self, nodes, stanza):
        module_body(self, nodes, stanza)
        if stanza.name == module:
            stanza.values.pop(name, None)
    Reader.setting, Reader.module_body = deaf_setting, deaf_body


if "EC_IGNORE" in os.environ:
    install(os.environ["EC_IGNORE"])

if __name__ == "__main__":
    from pymomentum import server
    sys.exit(server.main())
