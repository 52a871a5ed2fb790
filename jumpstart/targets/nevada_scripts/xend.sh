# Live migration: xend listens on the model's address and takes guests from the model's peers only. Its list is split
# at blanks; [.] is a dot, because svccfg and xend do not agree on backslashes.
svccfg -s xend setprop config/xend-relocation-server = boolean: true || fail "xend has no relocation server"
svccfg -s xend setprop config/xend-relocation-address = astring: "$ADDRESS" || fail "xend did not take the address"
svccfg -s xend setprop config/xend-relocation-hosts-allow = astring: "$ALLOW" || fail "xend did not take its peers"
svcadm refresh xend || fail "xend could not be refreshed"
svcadm restart xend || fail "xend could not be restarted"
