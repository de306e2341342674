"""What the stanzas ec_logger and bounce_logger say of their files."""
import stat

from tests.harness.wait import until


def test_heartbeat_and_permissions_are_those_of_the_stanza(mta):
    mta.config("""
        ec_logger {
          mainlog = $folder/mainlog  mainlog_mode = 0600  heartbeat = 1
          rejectlog = $folder/rejectlog  rejectlog_mode = 0640
          paniclog = $folder/paniclog
        }
        bounce_logger { bouncelog = $folder/bouncelog  bouncelog_mode = 0604  heartbeat = 0 }
    """)
    mta.start()
    until(lambda: mta.mainlog("M") and "Marker 1" in "".join(mta.lines("rejectlog")), what="heartbeats")
    assert not mta.lines("bouncelog")
    modes = {name: stat.S_IMODE((mta.folder / name).stat().st_mode) for name in ("mainlog", "rejectlog", "bouncelog")}
    assert modes == {"mainlog": 0o600, "rejectlog": 0o640, "bouncelog": 0o604}
