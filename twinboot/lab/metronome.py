"""One frame every 20 ms to all cards of a switch: `python metronome.py BRIDGE`. Standard library only.

The network card of User Mode Linux misses a frame now and then: it lies in the tap until the next one comes. On a
storage network with one request under way at a time the next one is TCP's own repetition, 200 ms later and more (in
the guest it counts as DelayedACKLost, at the server as TCPLossProbes), so that one operation in some hundred took 210
to 270 ms. No real card does that. A frame that nobody wants (a local experimental EtherType of IEEE 802) ends the
wait.
"""

from __future__ import annotations

import socket
import sys
import time

EVERY_S = 0.02
ETHERTYPE = 0x88B5
FRAME = b"\xff" * 6 + b"\x02\x00\x00\x00\x00\x01" + ETHERTYPE.to_bytes(2, "big") + bytes(46)


def main(bridge: str) -> None:
    """Until it is killed."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sock:
        sock.bind((bridge, 0))
        while True:
            sock.send(FRAME)
            time.sleep(EVERY_S)


if __name__ == "__main__":
    main(sys.argv[1])
