"""A rack on one machine: namespaces for the wires, QEMU for the metal, our own servers in between.

Rules of this room:

* Everything lives inside one private set of kernel namespaces (`isolate`), so the kernel itself removes every
  bridge, tap and process when the lab ends, is interrupted or is killed. There is no clean-up list to get wrong.
* The lab uses the product as a user does: it types `twinboot init`, `twinboot host add`, `twinboot serve`.
* `machine`, `view` and `wires.plan` are pure; `rack` is the only place that starts things.
"""
