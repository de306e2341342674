"""Console commands about counters, queues and domains."""
import time

from pymomentum.console.registry import Answer, Options, command
from pymomentum.errors import ConsoleError

SHOWN_DOMAINS = 20          # mailq without --limit
SHOWN_MESSAGES = 100        # showqueue without a limit

# What a queue waits for, by the engine's short word.
WAITS = {
    "dns": "the hosts are looked up",
    "max_outbound_connections": "max_outbound_connections are open",
    "server_max_outbound_connections": "server_max_outbound_connections are open",
    "scope_max_outbound_connections": "scope_max_outbound_connections are open",
    "outbound_throttle_connections": "outbound_throttle_connections lets no more connect",
    "outbound_throttle_messages": "outbound_throttle_messages lets no more mail out",
    "no valid hosts": "every host failed",
    "suspended": "suspend_delivery is set",
}


@command("summary", "[with-mobile]")
def summary(call):
    """show counters and rates of the whole server"""
    if [word.lower() for word in call.expect(0, 1)] not in ([], ["with-mobile"]):
        raise call.usage()              # there are no mobile queues to add
    return Answer(call.engine.summary.text(), call.engine.summary.values(), "ServerSummary")


@command("summary reset")
def summary_reset(call):
    """count and average from now on"""
    call.expect(0, 0)
    call.engine.summary.reset()
    return Answer("statistics cleared.\n")


def mailq_text(rows):
    lines = [f"{'Group/Binding':<28}{'Domain':>30}{'AQ':>8}{'DQ':>8}", "-" * 74]
    for group, binding, domain, active, delayed in rows:
        where = f"{group}/{binding}"
        space = max(58 - len(where), len(domain) + 1)
        lines.append(f"{where}{domain:>{space}}{active:>8}{delayed:>8}")
    return "\n".join(lines) + "\n"


@command("mailq", "[--domain|-d NAME...] [--binding|-b NAME...] [--limit|-l N]")
def mailq(call):
    """show the longest queues by binding and domain"""
    options = Options(call)
    options.add_argument("--domain", "-d", nargs="+", action="extend", default=[])
    options.add_argument("--binding", "-b", nargs="+", action="extend", default=[])
    options.add_argument("--limit", "-l", type=int, default=SHOWN_DOMAINS)
    chosen = options.parse_args(call.args)
    if chosen.limit < 1:
        raise call.usage()
    domains = {name.lower() for name in chosen.domain}
    rows = [row for row in call.engine.mailq()
            if (not domains or row[2].lower() in domains) and (not chosen.binding or row[1] in chosen.binding)]
    rows.sort(key=lambda row: -(row[3] + row[4]))
    rows = sorted(rows[:chosen.limit], key=lambda row: (row[0], row[1].startswith("#"), row[1]))
    data = [dict(zip(("group", "binding", "domain", "aq", "dq"), row)) for row in rows]
    return Answer(mailq_text(rows), {"QueueSummary": data}, "MailQueue")


COLUMNS = ("Name", "Connections", "Active", "Delayed", "Sent")


def columns(rows):
    """Answer the sums of connections, active, delayed and sent."""
    return tuple(sum(row[i] for row in rows) for i in range(1, 5))


def domain_line(name, connections, active, delayed, sent):
    return f"Domain: {name:>30}  C:{connections:3}  A:{active:7}  D:{delayed:6}  S:{sent:6}\n"


def total_line(connections, active, delayed, sent):
    return f"{'Total:':>38}  C:{connections:4}  A:{active:7}  D:{delayed:6}  S:{sent:6}\n"


def over_threshold(call, column):
    """Answer the domains with more than so many messages in a queue; the total is over all domains."""
    [threshold] = call.expect(1, 1)
    threshold = call.number(threshold)
    rows = sorted(call.engine.domains())
    shown = [row for row in rows if row[column] > threshold]
    total = columns(rows)
    return Answer("".join(domain_line(*row) for row in shown) + total_line(*total),
                  {"DomainSummary": [dict(zip(COLUMNS, row)) for row in shown],
                   "Total": dict(zip(COLUMNS[1:], total))}, "Domains")


@command("active", "THRESHOLD")
def active(call):
    """show domains with more active messages than a threshold"""
    return over_threshold(call, 2)


@command("delayed", "THRESHOLD")
def delayed(call):
    """show domains with more delayed messages than a threshold"""
    return over_threshold(call, 3)


@command("domain all")
def domain_all(call):
    """show all domains with their connections and queues"""
    call.expect(0, 0)
    rows = sorted(call.engine.domains())
    connections, active, delayed, sent = total = columns(rows)
    text = "Domain summary:\n" + "".join(domain_line(*row) for row in rows)
    text += f"Totals: C:{connections:4}  A:{active:7}  D:{delayed:6}  S:{sent:6}\n"
    return Answer(text, {"DomainSummary": [dict(zip(COLUMNS, row)) for row in rows],
                         "Total": dict(zip(COLUMNS[1:], total))}, "Domains")


@command("domains")
def domains(call):
    """the same as domain all"""
    return domain_all(call)


def stanza_text(loaded, name):
    """Write what the configuration says about a domain in a stanza of its own, as it stands there."""
    scope = next((scope for scope in loaded.root.inside("domain") if scope.label == name), None)
    if scope is None or not scope.settings:
        return ""
    lines = []
    for setting in scope.settings.values():
        whole = setting.file.text[setting.start:setting.end]
        lines += ["  " + line.strip() for line in whole.splitlines()]
    return "\n".join([f"Domain {name} {{", *lines, "}"]) + "\n"


def address_line(address):
    failed = address["failed_s"]
    mark = " =>" if address["next"] else " * " if failed is not None else "   "
    line = (f"{mark}     [{address['address']}] IPv{address['family']} "
            f"({address['connect_ms']:.2f}ms con {address['deliver_ms']:.2f}ms dlv)")
    return line if failed is None else f"{line} {failed:.2f}s since failure"


def also_lines(host):
    """Name other domains with mail for this host."""
    lines = [f"{'':16}(also used by {also['domain']} pref {also['preference']})" for also in host["also"]]
    return lines + [f"{'':16}(also used by {host['further']} more)"] * bool(host["further"])


def wait_line(wait):
    line = f"        {wait['binding']}: {WAITS.get(wait['reason'], wait['reason'])}"
    if wait["until"]:
        line += f", until {time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(wait['until']))} (in {wait['until_s']:.0f} s)"
    return line


def domain_text(domain):
    name, mx = domain["name"], domain["mx"]
    if mx:
        lines = [f"Domain '{name}' has {len(mx)} MXs and a TTL of {domain['ttl']} seconds"]
    else:
        lines = [f"Domain '{name}' has no MXs: {domain['status']}"]
    for host in mx:
        lines.append(f"  [{host['preference']} {host['name']} TTL:{host['ttl']}]")
        lines += map(address_line, host["addresses"])
        lines += also_lines(host)
    if domain["failures"]:
        lines.append(f"Domain has had {domain['failures']} consecutive connection failures")
    lines += ["Queue:",
              f"        {'Active:':<8}{domain['active']:>10}",
              f"        {'Delayed:':<8}{domain['delayed']:>10}",
              f"{'Deliveries:':<11}{domain['delivered']:>10}",
              f"{'Failures:':<11}{domain['failed']:>10}"]
    if domain["waiting"]:
        lines.append("Waiting:")
        lines += map(wait_line, domain["waiting"])
    lines.append(f"Active Connections: {len(domain['connections'])}")
    lines += [f"[{n:2}] FD:{c['fd']:7}  IP:{c['address']:>16}  State: {c['state']} ({c['elapsed_ms']:.2f}ms)"
              for n, c in enumerate(domain["connections"], 1)]
    return "\n".join(lines) + "\n"


@command("domain", "DOMAIN")
def domain(call):
    """show a domain's hosts, queues and connections"""
    [name] = call.expect(1, 1)
    name = name.lower()
    found = call.engine.domain(name)
    if found is None:
        raise ConsoleError(f"domain {name} is not known here")
    return Answer(stanza_text(call.server.loaded, name) + domain_text(found), found, "Domain")


def queue_text(rows):
    return "".join(f"[{row['where']}/{row['binding']}] {row['id']} Created: {row['created']}\n"
                   f"  From: <{row['sender']}> To: <{row['recipient']}>\n" for row in rows)


@command("showqueue", "[binding BINDING|all] DOMAIN [LIMIT,OFFSET]")
def showqueue(call):
    """list the messages that wait for a domain"""
    args, binding = list(call.args), "default"
    if len(args) > 2 and args[0].lower() == "binding":
        binding, args = args[1], args[2:]
    if not 1 <= len(args) <= 2:
        raise call.usage()
    limit, _, offset = args[1].partition(",") if len(args) == 2 else (str(SHOWN_MESSAGES), "", "")
    rows = call.engine.queue(args[0].lower(), None if binding == "all" else binding,
                             call.number(limit), call.number(offset or "0"))
    return Answer(queue_text(rows), {"Messages": rows}, "Queue")
