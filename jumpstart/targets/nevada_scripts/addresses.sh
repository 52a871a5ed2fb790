# The installer gave the interface that it booted from its address; the others get theirs here, under the names of
# their devices: the step that renames links takes these files along.
for item in $ADDRESSES; do
    device=`echo "$item" | sed 's/=.*//'`
    address=`echo "$item" | sed -e 's/.*=//' -e 's,/.*,,'`
    netmask=`echo "$item" | sed 's,.*/,,'`
    echo "$address netmask $netmask broadcast + up" >"$ROOT/etc/hostname.$device" || fail "$ROOT/etc/hostname.$device could not be written"
done
