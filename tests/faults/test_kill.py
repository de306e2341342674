"""Ten kills; `./build.sh faults` makes a hundred."""
from tests.faults.kill import kills


def test_killed_server_loses_nothing_it_acknowledged(tmp_path):
    result = kills(tmp_path, 10, seed=20)
    print(result)
    assert result.acked > 300
    assert result.lost == 0
    assert result.late == 0, "delivered again although settled long before the kill"
    assert result.twice <= result.bound
