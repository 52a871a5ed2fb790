# Runs at the end of the install, with the new system at $ROOT: does what can be done now, and leaves the rest, with
# the report, to the first boot. Nothing is reported before the new system is up, unless a step failed.
ROOT=${ROOT:-/a}
export ROOT
own=$SI_CONFIG_DIR/hosts/$HOST
for step in $STEPS; do
    if sh "$own/$step"; then
        echo "$step: done"
    else
        OUTCOME=failed REASON="finish script, step $step: see /var/sadm/system/logs/finish.log" sh "$own/report"
        fail "step $step failed"
    fi
done
place=$ROOT/var/twinboot
mkdir -p "$place" && chmod 700 "$place" || fail "$place could not be made"
for step in $LATER report; do
    cp "$own/$step" "$place/$step" || fail "$place/$step could not be written"
done
cp "$own/firstboot" "$ROOT/etc/rc3.d/S99twinboot" && chmod 744 "$ROOT/etc/rc3.d/S99twinboot" || fail "no first boot job"
bootadm update-archive -R "$ROOT" || fail "the boot archive could not be made"
