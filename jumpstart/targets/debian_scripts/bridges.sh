# Sees to it that every link stands in its bridge, and starts systemd-networkd anew until it does: networkd does not try
# again by itself what it once took for failed, which on a slow machine may only have been late. What is well is left
# alone, so this can be run at any time.

STARTS=5      # of networkd, then the fault is not its slowness
PATIENCE_S=30 # what networkd gets for its work after each start; a slow machine's seconds are longer
NET=${NET:-/sys/class/net} # tests put these elsewhere
STATES=${STATES:-/run/systemd/netif/links}

given_up() { # NAME: networkd's own file says so. To ask with networkctl can take minutes while a machine boots.
    index=$(cat "$NET/$1/ifindex" 2>/dev/null) && grep -qx ADMIN_STATE=failed "$STATES/$index" 2>/dev/null
}

undone() { # what networkd still has to do, or nothing
    for name in $LINKS; do
        if [ ! -e "$NET/br-$name" ]; then
            echo "there is no br-$name"
        elif [ -e "$NET/$name" ] && [ ! -e "$NET/br-$name/brif/$name" ]; then
            echo "$name is not in br-$name"
        elif given_up "$name" || given_up "br-$name"; then
            echo "networkd gave up $name or br-$name"
        fi
    done
}

absent() { # the links without a NIC, which networkd cannot help
    for name in $LINKS; do
        if [ ! -e "$NET/$name" ]; then echo "there is no NIC $name"; fi
    done
}

all_well() { # within PATIENCE_S; else `left` and `lacking` say what is not
    waited=0
    while true; do
        left=$(undone)
        lacking=$(absent)
        if [ -z "$left$lacking" ]; then return 0; fi
        if [ "$waited" -ge "$PATIENCE_S" ]; then return 1; fi
        sleep 1
        waited=$((waited + 1))
    done
}

say() {
    printf '%s\n' "$@" | sed 's/^/TWINBOOT: /'
}

started=0
until all_well; do
    if [ -z "$left" ]; then
        say "$lacking"
        exit 1
    elif [ "$started" -ge "$STARTS" ]; then
        say "$left" "$STARTS starts of systemd-networkd did not help; see \`journalctl -u systemd-networkd\`"
        exit 1
    fi
    started=$((started + 1))
    say "$left" "systemd-networkd is started anew, $started of $STARTS"
    systemctl restart systemd-networkd.service
done
