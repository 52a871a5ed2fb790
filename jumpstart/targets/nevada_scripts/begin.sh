# Runs before anything is written: both halves of the mirror must be there, or the install would fail half way.
for slice in $SLICES; do
    if [ -r "$ROOT/dev/rdsk/$slice" ] || [ -h "$ROOT/dev/rdsk/$slice" ]; then
        echo "$slice: there"
    else
        OUTCOME=failed REASON="begin script: no disk $slice" sh "$SI_CONFIG_DIR/hosts/$HOST/report"
        fail "no disk $slice"
    fi
done
