# Runs at the first boot of the new system and then removes itself, once its report was taken. Until then each boot
# tries again: every step may be run twice.
ROOT=${ROOT-}
export ROOT
place=$ROOT/var/twinboot
OUTCOME=installed
REASON=
for step in $STEPS; do
    if [ "$OUTCOME" = installed ]; then
        sh "$place/$step" >>"$place/log" 2>&1 || {
            OUTCOME=failed
            REASON="first boot, step $step: see /var/twinboot/log"
        }
    fi
done
export OUTCOME REASON
sh "$place/report" >>"$place/log" 2>&1 || fail "the report was not taken: it is tried again at the next boot"
rm -f "$ROOT/etc/rc3.d/S99twinboot" "$place/report"
