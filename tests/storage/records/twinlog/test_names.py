"""The names of a twinlog's files, and what a listing of them tells."""

from storage.records.twinlog_names import Listing, log_name, numbered, snap_name


def test_names_sort_as_their_numbers_do():
    assert numbered(log_name(12)) == (12, "log")
    assert numbered(snap_name(12)) == (12, "snap")
    assert log_name(9) < log_name(10) < log_name(10**11)
    assert numbered("12.log") is None
    assert numbered("tmp.a.b.1") is None


def test_a_listing_tells_batches_snapshots_and_what_waits_for_a_number():
    odd = ["tmp.odd.1.7", "tmp.~odd.1.8", "5.snap", "x.000000000004.snap", "000000000004.log.damaged", "tmp.even.9.1"]
    listing = Listing([*map(log_name, (12, 3, 4)), *map(snap_name, (11, 4)), *odd])
    assert listing.snapshots == [snap_name(4), snap_name(11)]
    assert listing.logs_from(4) == [log_name(4), log_name(12)]
    assert listing.waiting("odd.1") == ["tmp.even.9.1"]
    assert [listing.has_snapshot(number) for number in (4, 11, 12)] == [True, True, False]
    assert log_name(3) in listing
    assert log_name(5) not in listing
    assert set(listing) >= set(odd)
