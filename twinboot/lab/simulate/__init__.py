"""A cluster in one process: real servers over a simulated share, network and clocks; one seed draws every fault.

What is real: the DHCP service (`dhcp.service`) with its engine, views and mirror, and the `twinlog` datastore with its
files, log, snapshots and compaction. What is simulated: the share (`disk`, `share`), the network (`network`), the
clients (`client`), time (`clockwork`), and everything that goes wrong (`faults`). A checker that knows packets and
times only (`checker`) says whether an address was promised twice, a promise was lost, or a client was left without an
answer.

Rules of the room:

* One seed decides everything: no clock, no entropy and no thread of the real machine is used. A run that failed is
  run again by its number, event by event the same.
* The faults are in the surroundings only. No switch in product code knows that it is being simulated.
* Simulated time is in seconds since the beginning of the run; what servers read as Unix time is `EPOCH_S` more, plus
  the error of their clock.
"""
