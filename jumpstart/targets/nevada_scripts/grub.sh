# The hypervisor's own entry in the boot menu, outside of what bootadm writes, and the default. Between our marks the
# entry is made anew each time; everything else stays.
menu=
for file in $MENUS; do
    if [ -z "$menu" ] && [ -f "$ROOT/$file" ]; then
        menu=$ROOT/$file
    fi
done
[ -n "$menu" ] || fail "no boot menu in $ROOT: neither of $MENUS"
sed -e '/^#-* TWINBOOT BEGINS/,/^#-* TWINBOOT ENDS/d' -e '/^default[^a-z]/d' "$menu" >"$menu.others" || fail "$menu could not be read"
number=`grep -c '^title' "$menu.others"`
{
    echo "default $number" &&
        cat "$menu.others" &&
        echo "#---------- TWINBOOT BEGINS ----------" &&
        printf '%s\n' "$ENTRY" &&
        echo "#---------- TWINBOOT ENDS ----------"
} >"$menu.new" || fail "$menu.new could not be written"
rm -f "$menu.others"
if cmp -s "$menu.new" "$menu"; then
    rm -f "$menu.new"
else
    chmod 644 "$menu.new" && mv "$menu.new" "$menu" || fail "$menu could not be replaced"
fi
