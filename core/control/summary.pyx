"""Counters and rates of the whole server, in the order and words of the command summary.

Any thread reads the loops' counters without asking the loops.  What counts
since the last reset is the difference to what the counters were then.
"""
import json

from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memset

from pymomentum.core.base.atomic cimport atomic_load32, atomic_store32
from pymomentum.core.base.buf cimport buf_add_z, buf_free, buf_printf, buf_t
from pymomentum.core.base.clock cimport clock_mono_ns
from pymomentum.core.dns.rate cimport dns_rate_read, dns_rate_t
from pymomentum.core.loop.loop cimport *
from pymomentum.core.message.message cimport message_count, resident_bytes
from pymomentum.core.spool.spool cimport spool_main, spool_t
from .json cimport json_key

cdef enum:                      # line_t.kind
    NUMBER                      # text is a format of a long long
    REAL                        # of a double
    FIXED                       # text is the value
    PROGRESS                    # of the spool's reading: in text only while it goes on
    ASKED                       # a NUMBER shown only once something has raised it
    PAIR                        # the same, with the row behind it on one line of text
    SWITCH                      # 1: enabled, 0: disabled

cdef enum:                      # index in ROWS
    OUTBOUND
    INBOUND
    DOMAINS
    ACTIVE
    DELAYED
    TOTAL
    RESOLVER
    A
    A_TIMEOUTS
    AAAA
    AAAA_TIMEOUTS
    MX
    MX_TIMEOUTS
    TXT
    TXT_TIMEOUTS
    PENDING
    QUERY_RATE
    PEAK
    AVERAGE
    LIMITER
    LIMIT_QUERIES
    LIMIT_PERIOD
    LIMIT_HELD
    LIMIT_ROOM
    LIMIT_IMMEDIATE
    LIMIT_QUEUED
    LIMIT_DRAINED
    LIMIT_OVERFLOW
    DELIVERED
    FAILED
    REJECTED
    RECEIVED
    DELIVERY_RATE
    RECEPTION_RATE
    DISK_QUEUE
    SINCE_RESET
    UPTIME
    MESSAGES
    BYTES
    TRANSFAIL
    ROW_COUNT

cdef struct line_t:
    const char *label           # NULL: in the data only
    const char *key             # in JSON and XML
    int kind
    const char *text            # behind the label

cdef line_t ROWS[ROW_COUNT]
ROWS[:] = [
    line_t(b"Outbound Concurrency", b"OutboundConcurrency", NUMBER, b"%7lld"),
    line_t(b"Inbound Concurrency", b"InboundConcurrency", NUMBER, b"%7lld"),
    line_t(b"Active Domains", b"ActiveDomains", NUMBER, b"%7lld"),
    line_t(b"Active Queue Size", b"ActiveQueueSize", NUMBER, b"%6lld"),
    line_t(b"Delayed Queue Size", b"DelayedQueueSize", NUMBER, b"%6lld"),
    line_t(b"Total Queue Size", b"TotalQueueSize", NUMBER, b"%6lld"),
    line_t(b"DNS Resolver", b"DNSResolver", FIXED, b"ares"),
    line_t(b"DNS A Queries", b"DNSAQueries", NUMBER, b"%lld"),
    line_t(b"DNS A Timeouts", b"DNSATimeouts", NUMBER, b"%lld"),
    line_t(b"DNS AAAA Queries", b"DNSAAAAQueries", NUMBER, b"%lld"),
    line_t(b"DNS AAAA Timeouts", b"DNSAAAATimeouts", NUMBER, b"%lld"),
    line_t(b"DNS MX Queries", b"DNSMXQueries", NUMBER, b"%lld"),
    line_t(b"DNS MX Timeouts", b"DNSMXTimeouts", NUMBER, b"%lld"),
    line_t(b"DNS TXT Queries", b"DNSTXTQueries", ASKED, b"%lld"),
    line_t(b"DNS TXT Timeouts", b"DNSTXTTimeouts", ASKED, b"%lld"),
    line_t(b"Pending DNS Queries", b"PendingDNSQueries", NUMBER, b"%lld"),
    line_t(b"Query Rate", b"DNSQueryRate", REAL, b"%6.2f queries/second"),
    line_t(b"DNS Response Time Peak", b"DNSResponseTimePeak", REAL, b"%4.0f ms"),
    line_t(b"DNS Response Time Average", b"DNSResponseTimeAverage", REAL, b"%6.3f ms"),
    line_t(b"DNS Rate Limiter", b"DNSRateLimiter", SWITCH, b""),
    line_t(b"DNS Rate Limit", b"DNSRateLimitMXQueries", PAIR, b"%lld MX queries per %lld seconds"),
    line_t(NULL, b"DNSRateLimitPeriod", ASKED, b""),
    line_t(b"DNS Rate Limiter Queue", b"DNSRateLimiterQueueSize", PAIR, b"%lld / %lld"),
    line_t(NULL, b"DNSRateLimiterQueueMax", ASKED, b""),
    line_t(b"DNS Rate Limiter Immediate", b"DNSRateLimiterImmediate", ASKED, b"%lld"),
    line_t(b"DNS Rate Limiter Queued", b"DNSRateLimiterQueued", ASKED, b"%lld"),
    line_t(b"DNS Rate Limiter Drained", b"DNSRateLimiterDrained", ASKED, b"%lld"),
    line_t(b"DNS Rate Limiter Overflow", b"DNSRateLimiterOverflow", ASKED, b"%lld"),
    line_t(b"Successfully Delivered Messages", b"DeliveredMessages", NUMBER, b"%6lld"),
    line_t(b"Failed Messages", b"FailedMessages", NUMBER, b"%6lld"),
    line_t(b"Rejected Messages", b"RejectedMessages", NUMBER, b"%6lld"),
    line_t(b"Received Messages", b"ReceivedMessages", NUMBER, b"%6lld"),
    line_t(b"Delivery Rate", b"DeliveryRate", REAL, b"%6.2f messages/second"),
    line_t(b"Reception Rate", b"ReceptionRate", REAL, b"%6.2f messages/second"),
    line_t(b"Disk Queue Progress", b"DiskQueueProgress", PROGRESS, b""),
    line_t(b"Statistics Last Reset", b"StatisticsLastReset", NUMBER, b"%6lld seconds"),
    line_t(b"Uptime", b"Uptime", NUMBER, b"%6lld seconds"),
    line_t(NULL, b"ResidentMessages", NUMBER, b""),
    line_t(NULL, b"ResidentBytes", NUMBER, b""),
    line_t(NULL, b"TransientFailures", NUMBER, b""),
]

cdef int64_t base[COUNT_COUNT]  # counters at the last reset
cdef dns_rate_t rate_base       # the same
memset(&rate_base, 0, sizeof(rate_base))
cdef uint64_t started_ns = 0
cdef uint64_t reset_ns = 0
cdef uint32_t reading = 0       # the spool is being read; atomic


cdef int64_t in_all(int which) noexcept nogil:
    cdef int64_t sum_ = 0
    cdef int i
    for i in range(loop_count()):
        sum_ += loop_at(i).counters[which]
    return sum_


cdef double since(int which) noexcept nogil:
    return <double>(in_all(which) - base[which])


cdef void take_rate(summary_t *s) noexcept nogil:
    cdef dns_rate_t rate
    cdef double *v = s.value
    cdef int row
    dns_rate_read(&rate)
    v[LIMITER] = rate.room != 0
    v[LIMIT_QUERIES] = rate.most
    v[LIMIT_PERIOD] = rate.period
    v[LIMIT_HELD] = rate.held
    v[LIMIT_ROOM] = rate.room
    v[LIMIT_IMMEDIATE] = <double>(rate.immediate - rate_base.immediate)
    v[LIMIT_QUEUED] = <double>(rate.queued - rate_base.queued)
    v[LIMIT_DRAINED] = <double>(rate.drained - rate_base.drained)
    v[LIMIT_OVERFLOW] = <double>(rate.overflow - rate_base.overflow)
    for row in range(LIMIT_QUERIES, LIMIT_OVERFLOW + 1):
        s.hidden[row] = rate.room == 0


cdef void summary_take(summary_t *s) noexcept nogil:
    cdef uint64_t now = clock_mono_ns()
    cdef double period = <double>(now - reset_ns) / 1e9
    cdef int64_t peak = 0
    cdef int i
    cdef double *v = s.value
    cdef spool_t *spool = spool_main()
    memset(s, 0, sizeof(s[0]))
    if period < 1e-3:
        period = 1e-3
    for i in range(loop_count()):
        peak = max(peak, loop_at(i).counters[COUNT_DNS_PEAK_US])
    v[OUTBOUND] = in_all(COUNT_OUTBOUND)
    v[INBOUND] = in_all(COUNT_INBOUND)
    v[DOMAINS] = in_all(COUNT_DOMAINS)
    v[ACTIVE] = in_all(COUNT_ACTIVE)
    v[DELAYED] = in_all(COUNT_DELAYED)
    v[TOTAL] = v[ACTIVE] + v[DELAYED]
    v[A] = since(COUNT_DNS_A)
    v[A_TIMEOUTS] = since(COUNT_DNS_A_TIMEOUT)
    v[AAAA] = since(COUNT_DNS_AAAA)
    v[AAAA_TIMEOUTS] = since(COUNT_DNS_AAAA_TIMEOUT)
    v[MX] = since(COUNT_DNS_MX)
    v[MX_TIMEOUTS] = since(COUNT_DNS_MX_TIMEOUT)
    v[TXT] = since(COUNT_DNS_TXT)
    v[TXT_TIMEOUTS] = since(COUNT_DNS_TXT_TIMEOUT)
    s.hidden[TXT] = s.hidden[TXT_TIMEOUTS] = in_all(COUNT_DNS_TXT) == 0
    v[PENDING] = in_all(COUNT_DNS_PENDING)
    v[QUERY_RATE] = (v[A] + v[AAAA] + v[MX] + v[TXT]) / period
    v[PEAK] = <double>peak / 1000
    if since(COUNT_DNS_ANSWERS) > 0:
        v[AVERAGE] = since(COUNT_DNS_TIME_US) / since(COUNT_DNS_ANSWERS) / 1000
    take_rate(s)
    v[DELIVERED] = since(COUNT_DELIVERED)
    v[FAILED] = since(COUNT_FAILED)
    v[REJECTED] = since(COUNT_REJECTED)
    v[RECEIVED] = since(COUNT_RECEIVED)
    v[DELIVERY_RATE] = (v[DELIVERED] + v[FAILED]) / period
    v[RECEPTION_RATE] = v[RECEIVED] / period
    if spool != NULL:
        s.segments = spool.old_segments
        s.segments_read = spool.recover_done
    s.hidden[DISK_QUEUE] = not atomic_load32(&reading)
    v[SINCE_RESET] = <double>((now - reset_ns) // 1000000000)
    v[UPTIME] = <double>((now - started_ns) // 1000000000)
    v[MESSAGES] = <double>message_count()
    v[BYTES] = <double>resident_bytes()
    v[TRANSFAIL] = since(COUNT_TRANSFAIL)


cdef void write_value(const summary_t *s, int row, buf_t *out) noexcept nogil:
    """As JSON and XML have it, but for the quotes."""
    cdef const line_t *line = &ROWS[row]
    if line.kind == FIXED:
        buf_add_z(out, line.text)
    elif line.kind == SWITCH:
        buf_add_z(out, b"enabled" if s.value[row] else b"disabled")
    elif line.kind == PROGRESS:
        buf_printf(out, b"%6u/%6u", s.segments_read, s.segments)
    elif line.kind == REAL:
        buf_printf(out, b"%.3f", s.value[row])
        while out.len > 2 and out.ptr[out.len - 1] == c'0' and out.ptr[out.len - 2] != c'.':
            out.len -= 1
    else:
        buf_printf(out, b"%lld", <long long>s.value[row])


cdef void write_line(const summary_t *s, int row, buf_t *out) noexcept nogil:
    cdef const line_t *line = &ROWS[row]
    buf_printf(out, b"        %s: ", line.label)
    if line.kind == REAL:
        buf_printf(out, line.text, s.value[row])
    elif line.kind == FIXED or line.kind == SWITCH or line.kind == PROGRESS:
        write_value(s, row, out)
    elif line.kind == PAIR:
        buf_printf(out, line.text, <long long>s.value[row], <long long>s.value[row + 1])
    else:
        buf_printf(out, line.text, <long long>s.value[row])
    buf_add_z(out, b" segments\n" if line.kind == PROGRESS else b"\n")


cdef void summary_write(const summary_t *s, int form, buf_t *out) noexcept nogil:
    cdef int row
    cdef bint quoted
    buf_add_z(out, b"Summary Statistics\n" if form == SUMMARY_TEXT else b"{" if form == SUMMARY_JSON else b"<ServerSummary>\n")
    for row in range(ROW_COUNT):
        if form == SUMMARY_TEXT:
            if ROWS[row].label != NULL and not s.hidden[row]:
                write_line(s, row, out)
            continue
        if s.hidden[row] and (ROWS[row].kind == ASKED or ROWS[row].kind == PAIR):
            continue
        quoted = ROWS[row].kind == FIXED or ROWS[row].kind == SWITCH or ROWS[row].kind == PROGRESS
        if form == SUMMARY_JSON:
            json_key(out, ROWS[row].key)
            buf_add_z(out, b'"' if quoted else b"")
            write_value(s, row, out)
            buf_add_z(out, b'"' if quoted else b"")
        else:
            buf_printf(out, b"  <%s>", ROWS[row].key)
            write_value(s, row, out)
            buf_printf(out, b"</%s>\n", ROWS[row].key)
    buf_add_z(out, b"" if form == SUMMARY_TEXT else b"}" if form == SUMMARY_JSON else b"</ServerSummary>\n")


cdef str written(const summary_t *s, int form):
    cdef buf_t out
    memset(&out, 0, sizeof(out))
    summary_write(s, form, &out)
    try:
        if out.ptr == NULL:
            raise MemoryError
        return out.ptr[:out.len].decode()
    finally:
        buf_free(&out)


def text():
    """What the command prints."""
    cdef summary_t s
    summary_take(&s)
    return written(&s, SUMMARY_TEXT)


def values():
    """The same by name, and what only programs are told."""
    cdef summary_t s
    summary_take(&s)
    return json.loads(written(&s, SUMMARY_JSON))


def render(dict known not None, str form not None):
    """Lay out other values than the server's, by name; "text", "json" or "xml".  Rows without a value are left out."""
    cdef summary_t s
    cdef int row
    memset(&s, 0, sizeof(s))
    for row in range(ROW_COUNT):
        value = known.get((<bytes>ROWS[row].key).decode())
        if ROWS[row].kind == PROGRESS and value is not None:
            s.segments_read, s.segments = value
        elif ROWS[row].kind == SWITCH:
            s.value[row] = value == "enabled"
        elif ROWS[row].kind != FIXED:
            s.value[row] = value or 0
            s.hidden[row] = value is None
    return written(&s, ("text", "json", "xml").index(form))


def start():
    """The server has started: rates and uptime count from here."""
    global started_ns, reset_ns
    started_ns = reset_ns = clock_mono_ns()


def reset():
    """Count and average from here.  A peak that a loop notes in this instant may be lost."""
    global reset_ns
    cdef int i, k
    for k in range(COUNT_COUNT):
        base[k] = in_all(k)
    dns_rate_read(&rate_base)
    for i in range(loop_count()):
        loop_at(i).counters[COUNT_DNS_PEAK_US] = 0
    reset_ns = clock_mono_ns()


def read_spool(bint on):
    """Recovery begins or has ended."""
    atomic_store32(&reading, on)
