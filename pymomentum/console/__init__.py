"""The console inside the server: commands, and the listener that ec_console talks to.

    registry.py     rows of commands, finding one for a line
    listener.py     sockets, who may come in
    framing.py      what goes over the wire
    queues, messages, server, quarantine, help      the commands by topic
"""
