# Each device gets its vanity name, and the files of its interface go with it. Where dladm cannot write to another
# root yet, the name waits for the first boot: there the link is unplumbed first, since a busy one keeps its name.
changed=
for pair in $LINKS; do
    new=`echo "$pair" | sed 's/=.*//'`
    old=`echo "$pair" | sed 's/.*=//'`
    if grep "name=string,$new;" "$ROOT/etc/dladm/datalink.conf" >/dev/null 2>&1; then
        :
    elif [ -n "$ROOT" ]; then
        if dladm rename-link -R "$ROOT" "$old" "$new"; then
            :
        else
            echo "$old is not renamed yet: it will be at the first boot"
            continue
        fi
    else
        ifconfig "$old" unplumb 2>/dev/null
        dladm rename-link "$old" "$new" || fail "dladm could not rename $old to $new"
        changed=yes
    fi
    for kind in hostname hostname6 dhcp; do
        if [ -f "$ROOT/etc/$kind.$old" ]; then
            mv "$ROOT/etc/$kind.$old" "$ROOT/etc/$kind.$new" || fail "$ROOT/etc/$kind.$old could not be moved"
        fi
    done
done
if [ -n "$changed" ]; then
    svcadm restart svc:/network/physical:default || fail "the network could not be restarted"
fi
