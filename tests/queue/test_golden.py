"""The logs, field by field, as golden files."""


def test_logs_of_a_day_in_the_life(mta):
    mta.dns({"good.test": {"MX": ["mx.good.test"]}, "mx.good.test": {"A": ["127.0.0.1"]}, "null.test": {"MX": [(0, ".")]},
             "bad.test": {"A": ["127.0.0.2"]}, "here.test": {"A": ["127.0.0.1"]}})
    mta.config("generate_bounces = true\nrelay_hosts ( 127.0.0.1 )")
    mta.sink("127.0.0.1")
    answers = {"full": "452 4.2.2 full", "gone": "550-5.1.1 gone\n550 5.1.1 really @ \\ gone"}
    mta.sink("127.0.0.2", rcpt=lambda path: answers[path.split("@")[0]])
    mta.send("a@here.test", "b@good.test")
    mta.wait_log("D", 1)
    mta.send("a@here.test", ["x@good.test", '"y z"@good.test'])
    mta.wait_log("D", 3)
    mta.send("a@here.test", "full@bad.test")
    mta.wait_log("T", 1)
    mta.send("a@here.test", "gone@bad.test")
    mta.wait_log("D", 4)
    mta.send("", "b@null.test")
    mta.wait_log("P", 2)
    with mta.smtp(source="127.0.0.3") as c:
        for command in ("WHAT", "MAIL FROM:<a@@b>", "MAIL FROM:<a@here.test>", "RCPT TO:<b@other.test>"):
            c.command(command)
            c.read_reply()
    mta.wait_rejectlog(3)
    mta.golden("mainlog", "bouncelog", "rejectlog")
