"""Sockets: how listeners accept, and what their protocols take."""
from pymomentum.options.registry import GLOBAL, PATHWAYS, SOCKET, option
from pymomentum.options.types import Boolean, Nets, Number, Octal, Text

option("accept_queue_backlog", Number(0, maximum=2147483647), scopes=SOCKET, page="4/config-options-summary",
       doc="Accepted connections that may wait where concurrency is set; 0 is unlimited.")
option("concurrency", Number(0, maximum=1024), unit="threads", scopes=SOCKET | {"threadpool"},
       page="4/esmtp-listener#esmtp_listener.config",
       doc="Threads of a pool; for a listener connections whose accept phase runs at once, 0 is any number.")
option("concurrency", Number(minimum=1, maximum=256), unit="event loops", scopes={"eventloop"}, dynamic=False,
       page="4/config/ref-eventloop",
       doc="Threads of a pool; for a listener connections whose accept phase runs at once, 0 is any number.")
option("disable_chunked", Boolean(False), scopes=PATHWAYS | {"http_listener", "listen", "peer"},
       page="mobile/mobile-reference/mobility-mm-7-listener",
       doc="Answer HTTP without chunked transfer encoding.")
option("disable_nagle_algorithm", Boolean(False), scopes=SOCKET | GLOBAL, page="4/config/ref-disable-nagle-algorithm",
       doc="Send small segments at once (TCP_NODELAY); unset, SMTP does, and the console does not.")
option("ecstream_idle_time", Number(300), unit="seconds", scopes=PATHWAYS | {"ecstream_listener", "listen", "peer"},
       page="4/ecstream-listener",
       doc="Close an inbound ECStream connection silent for so long.")
option("ecstream_max_batch_size", Number(10000, minimum=1), unit="messages",
       scopes=PATHWAYS | {"ecstream_listener", "listen", "peer"}, page="4/ecstream-listener",
       doc="Most messages in one ECStream batch.")
option("enable", Boolean(True), scopes=SOCKET, page="4/listeners#listeners.enable.option",
       doc="Whether the listener, or this address of it, is opened.")
option("event_loop", Text(), scopes={"ecstream_listener", "esmtp_listener", "http_listener", "listen"}, dynamic=False,
       page="4/config/ref-event-loop",
       doc="Name of the event loop pool that runs the accepted sessions.")
option("events_per_iter", Number(0, maximum=2147483647), scopes=SOCKET, page="4/config/ref-events-per-iter",
       doc="Connections accepted in one turn of the loop; 0 is the built-in bound.")
option("file_mode", Octal(0o660), scopes=SOCKET, page="4/config/ref-eccluster-conf#eccluster.conf.logs.file_mode",
       doc="Permissions of a unix socket.")
option("listen_backlog", Number(500, minimum=1, maximum=2147483647), scopes=SOCKET, page="4/config-options-summary",
       doc="Connections the kernel keeps waiting for accept.")
option("log_requests_to_paniclog", Boolean(False), scopes=PATHWAYS | {"http_listener", "listen", "peer"},
       page="3/3-rest/rest-http-listener",
       doc="Write every HTTP request to the paniclog.")
option("max_request_size", Number(), unit="bytes", scopes=PATHWAYS | {"http_listener", "listen", "peer"},
       page="4/config/max-request-size",
       doc="Largest HTTP request body; unset is unlimited.")
option("pool_name", Text(), scopes=SOCKET, page="4/esmtp-listener#esmtp_listener.config",
       doc="Name of the thread pool that accepts.")
option("proxy_allow", Nets(), scopes=SOCKET | {"peer"},
       doc="Networks whose hosts may send the PROXY header; unset, all that reach the address.")
option("proxy_protocol", Boolean(False), scopes=SOCKET | {"peer"}, page="4/config/ref-proxy-protocol",
       doc="Expect the PROXY header before the client's first byte.")
option("proxy_protocol_timeout", Number(60), unit="seconds", scopes=SOCKET | {"peer"},
       page="4/config/ref-proxy-protocol-timeout",
       doc="How long the PROXY header may take; 0 is unlimited.")
option("tcp_recv_buffer_size", Number(4096, maximum=1073741824), unit="bytes", scopes=SOCKET,
       defaults={"http_listener": 32768}, page="4/config-options-summary",
       doc="Receive buffer of accepted sockets; unset or 0, the system sizes it.")
option("tcp_send_buffer_size", Number(4096, maximum=1073741824), unit="bytes", scopes=SOCKET,
       defaults={"http_listener": 32768}, page="4/config-options-summary",
       doc="Send buffer of accepted sockets; unset or 0, the system sizes it.")
option("timeout", Number(60), unit="seconds", scopes={"control_listener"},
       page="4/control-listener#control_listener.config",
       doc="Close a console connection silent for so long.")
