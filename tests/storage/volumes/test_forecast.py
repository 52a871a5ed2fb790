"""The forecast: straight growth is told exactly, everything else carefully."""

from hypothesis import given, settings
from hypothesis import strategies as st

from storage.volumes.forecast import SAMPLE_EVERY_S, SAMPLES_MAX, Sample, added, due, full_in_s, parse, render

HOUR = 3600
GB = 10**9


def line(per_hour: int, hours: int = 48) -> list[Sample]:
    return [Sample(1_700_000_000 + hour * HOUR, 10**12 + hour * per_hour) for hour in range(hours)]


def test_steady_growth_fills_the_disk_on_time():
    told_s = full_in_s(line(GB), 100 * GB)
    assert told_s is not None
    assert abs(told_s - 100 * HOUR) <= 1


def test_what_does_not_grow_is_never_full():
    assert full_in_s(line(0), GB) is None
    assert full_in_s(line(-GB), GB) is None
    assert full_in_s(line(1), 10**15) is None


def test_it_does_not_guess():
    assert full_in_s([], GB) is None
    assert full_in_s(line(GB, hours=1), GB) is None
    assert full_in_s(line(GB, hours=20), GB) is None


@given(st.lists(st.builds(Sample, st.integers(0, 2**40), st.integers(0, 2**60)), max_size=50), st.integers(0, 2**60))
@settings(max_examples=150)
def test_any_samples_are_kept_and_told(samples, free_bytes):
    samples = sorted(samples)
    assert parse(render(samples)) == samples
    told = full_in_s(samples, free_bytes)
    assert told is None or told >= 0


@given(st.text(max_size=200))
@settings(max_examples=100)
def test_any_text_is_read(text):
    assert parse(render(parse(text))) == parse(text)


def test_samples_are_taken_hourly_and_a_month_is_kept():
    samples = line(GB, hours=SAMPLES_MAX)
    last = samples[-1].time_s
    assert not due(samples, last + SAMPLE_EVERY_S - 1)
    assert due(samples, last + SAMPLE_EVERY_S)
    assert due([], 0)
    more = added(samples, Sample(last + HOUR, 0))
    assert (len(more), more[0], more[-1].own_bytes) == (SAMPLES_MAX, samples[1], 0)


def test_a_clock_that_was_wrong_is_forgotten():
    samples = line(GB)
    assert due(samples, samples[10].time_s)
    assert len(added(samples, Sample(samples[10].time_s, 0))) == 11
