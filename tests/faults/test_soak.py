"""A day of mixed traffic in seconds: a tenth of the mail waits for ever, the disk does not fill up."""
import json

from pymomentum.core.spool.inspect import survey
from tests.faults.test_spool import process

SPARE = 7           # segments above twice the live bytes: docs/spool.md


def test_disk_use_stays_under_twice_what_lives(tmp_path):
    result = json.loads(process(tmp_path / "spool", f"""
        import random
        rng = random.Random(1)
        base, kept, over = Path(sys.argv[1]), [], 0

        def size(path):
            try:
                return path.stat().st_size
            except FileNotFoundError:
                return 0                                        # removed meanwhile

        def above():
            disk = sum(map(size, base.glob("*.seg")))
            return (disk - 2 * spool.stats()["live"]) / {256 << 10}

        def settled():
            # the keeper may wait for a core
            end = time.monotonic() + 5
            while (value := above()) > {SPARE} and time.monotonic() < end:
                time.sleep(0.01)
            return value
        while spool.stats()["recycled"] < 50 or len(kept) < 2000:
            for answer in driver.accept([(b"x" * rng.randrange(200, 4000), [b"m" * 150])] * 20):
                kept.append(answer[0])
            gone = [e for e in kept[-20:] if rng.random() < 0.9]
            kept = kept[:-20] + [e for e in kept[-20:] if e not in gone]
            driver.forget(gone)
            if rng.random() < 0.02:
                driver.defer(rng.choice(kept), b"452 later")
            over = max(over, settled())
        stats = spool.stats()
        print(json.dumps(dict(over=over, kept=len(kept), recycled=stats["recycled"], written=stats["written"], live=stats["live"])))
    """))
    print(result)
    assert result["over"] <= SPARE
    assert result["recycled"] >= 50
    assert len(survey(str(tmp_path / "spool")).messages) == result["kept"]
