import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pxe.tftp_options import Terms
from pxe.tftp_transfer import MAX_BACKOFF_S, MAX_JITTER, MAX_RETRIES, Action, Transfer

OPTIONS = (("windowsize", "4"),)


def window(transfer):
    return (transfer.first, transfer.count)


def test_a_plain_transfer_is_lock_step():
    transfer = Transfer(1000, Terms())
    assert transfer.start() is Action.SEND
    assert window(transfer) == (1, 1)
    assert transfer.on_ack(1) is Action.SEND
    assert window(transfer) == (2, 1)
    assert transfer.on_ack(2) is Action.DONE


def test_options_put_an_oack_first():
    transfer = Transfer(1000, Terms(accepted=(("blksize", "512"),)))
    transfer.start()
    assert (window(transfer), transfer.started) == ((0, 1), False)
    assert transfer.on_ack(0) is Action.SEND
    assert (window(transfer), transfer.started) == ((1, 1), True)


@pytest.mark.parametrize(("size", "last"), [(0, 1), (1, 1), (511, 1), (512, 2), (513, 2), (1024, 3)])
def test_a_file_ends_with_a_block_shorter_than_the_rest(size, last):
    assert Transfer(size, Terms()).last == last


def test_a_second_ack_never_sends_again_without_windows():
    transfer = Transfer(10_000, Terms())
    transfer.start()
    assert transfer.on_ack(1) is Action.SEND
    assert [transfer.on_ack(1) for _ in range(20)] == [Action.WAIT] * 20


def test_old_and_future_acks_are_ignored():
    transfer = Transfer(100_000, Terms())
    transfer.start()
    for block in range(1, 50):
        transfer.on_ack(block)
    for block in (0, 1, 30, 48, 51, 60, 65535):
        assert transfer.on_ack(block) is Action.WAIT
    assert transfer.acked == 49


def test_a_window_goes_out_at_once_and_the_last_is_shorter():
    transfer = Transfer(5 * 512, Terms(windowsize=4, accepted=OPTIONS))
    transfer.start()
    transfer.on_ack(0)
    assert window(transfer) == (1, 4)
    transfer.on_ack(4)
    assert window(transfer) == (5, 2)
    assert transfer.on_ack(6) is Action.DONE


def test_an_ack_inside_the_window_goes_back_to_the_block_behind_it():
    transfer = Transfer(100_000, Terms(windowsize=8, accepted=OPTIONS))
    transfer.start()
    transfer.on_ack(0)
    transfer.on_ack(3)
    assert window(transfer) == (4, 8)


def test_a_lost_first_block_is_believed_once():
    transfer = Transfer(100_000, Terms(windowsize=8, accepted=OPTIONS))
    transfer.start()
    transfer.on_ack(0)
    transfer.on_ack(8)
    assert transfer.on_ack(8) is Action.SEND
    assert window(transfer) == (9, 8)
    assert [transfer.on_ack(8) for _ in range(20)] == [Action.WAIT] * 20


def test_a_client_that_echoes_every_duplicate_does_not_keep_the_doubling_alive():
    transfer = Transfer(512 * 800, Terms(windowsize=8, accepted=OPTIONS))
    transfer.start()
    transfer.on_ack(0)
    sends = 0
    for block in range(8, 800, 8):
        for _ in range(2):  # each ACK comes twice, as it would after a window was sent twice
            sends += transfer.on_ack(block) is Action.SEND
    assert sends <= 99 * 1.5 + 1


def test_block_numbers_roll_over():
    transfer = Transfer(70_000 * 8, Terms(blksize=8))
    transfer.start()
    for block in range(1, 70_001):
        assert transfer.on_ack(block & 0xFFFF) is Action.SEND
    assert window(transfer) == (70_001, 1)
    assert transfer.on_ack(70_001 & 0xFFFF) is Action.DONE


def test_timeouts_back_off_and_end():
    transfer = Transfer(1000, Terms())
    transfer.start()
    waits_s = []
    for _ in range(MAX_RETRIES):
        waits_s.append(transfer.wait_s(0))
        assert transfer.on_timeout() is Action.SEND
        assert window(transfer) == (1, 1)
    assert waits_s == [1, 2, 4, 8, 8, 8]
    assert transfer.on_timeout() is Action.GIVE_UP


def test_progress_starts_the_count_anew():
    transfer = Transfer(10_000, Terms())
    transfer.start()
    for block in range(1, 10):
        for _ in range(MAX_RETRIES):
            assert transfer.on_timeout() is Action.SEND
        assert transfer.on_ack(block) is Action.SEND
        assert transfer.retries == 0


def test_the_clients_timeout_is_never_shortened():
    transfer = Transfer(1000, Terms(timeout_s=60))
    transfer.start()
    for _ in range(MAX_RETRIES):
        transfer.on_timeout()
        assert transfer.wait_s(0) == 60


@given(st.floats(0, 1), st.integers(1, 255), st.integers(0, MAX_RETRIES))
def test_jitter_is_bounded(spread, timeout_s, retries):
    transfer = Transfer(1000, Terms(timeout_s=timeout_s))
    transfer.retries = retries
    assert timeout_s <= transfer.wait_s(spread) <= max(timeout_s, MAX_BACKOFF_S) * (1 + MAX_JITTER)


class Receiver:
    """A client of RFC 7440: takes blocks in order, acknowledges whole windows, gaps and duplicates."""

    def __init__(self, last, windowsize, oack):
        self.expected = 0 if oack else 1
        self.last, self.windowsize, self.in_window = last, windowsize, 0
        self.taken = []

    def on_block(self, block):
        if block != self.expected & 0xFFFF:
            self.in_window = 0
            return [(self.expected - 1) & 0xFFFF] if self.expected else []
        if self.expected:
            self.taken.append(self.expected)
        self.expected += 1
        self.in_window += 1
        if self.in_window == self.windowsize or self.expected in (1, self.last + 1):
            self.in_window = 0
            return [block]
        return []


@settings(max_examples=150, deadline=None)
@given(
    size=st.integers(0, 3000),
    windowsize=st.sampled_from([1, 2, 5, 16]),
    seed=st.integers(0, 1 << 32),
    loss=st.sampled_from([0.0, 0.05, 0.3]),
    oack=st.booleans(),
)
def test_every_transfer_completes_over_a_link_that_loses_doubles_and_reorders(size, windowsize, seed, loss, oack):
    dice = random.Random(seed)
    terms = Terms(blksize=16, windowsize=windowsize, accepted=OPTIONS if oack else ())
    transfer = Transfer(size, terms)
    receiver = Receiver(transfer.last, windowsize, oack)

    def link(items):
        out = [item for item in items for _ in range(dice.choice([1, 1, 1, 2])) if dice.random() >= loss]
        if dice.random() < 0.2:
            dice.shuffle(out)
        return out

    transfer.start()
    action, sends = Action.SEND, 0
    acks = []
    for _ in range(20_000):
        if action is Action.SEND:
            sends += 1
            blocks = [n & 0xFFFF for n in range(transfer.first, transfer.first + transfer.count)]
            for block in link(blocks):
                acks.extend(link(receiver.on_block(block)))
        if acks:
            action = transfer.on_ack(acks.pop(0))
        else:
            transfer.retries = 0  # patience is another test's matter
            action = transfer.on_timeout()
        if action is Action.DONE:
            break
    assert action is Action.DONE
    assert receiver.taken == list(range(1, transfer.last + 1))


@settings(max_examples=150, deadline=None)
@given(st.lists(st.one_of(st.integers(0, 65535), st.integers(0, 12), st.none()), max_size=60), st.integers(1, 9))
def test_no_sequence_of_acks_sends_outside_the_file_or_the_window(events, windowsize):
    transfer = Transfer(100, Terms(blksize=10, windowsize=windowsize, accepted=OPTIONS))
    transfer.start()
    for event in events:
        action = transfer.on_timeout() if event is None else transfer.on_ack(event)
        assert -1 <= transfer.acked <= transfer.sent <= transfer.last
        if action is Action.SEND:
            assert 1 <= transfer.count <= windowsize
            assert transfer.first == transfer.acked + 1
        elif action in (Action.DONE, Action.GIVE_UP):
            break
