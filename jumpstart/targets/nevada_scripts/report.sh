# Reports home: OUTCOME is installed or failed, REASON says why it failed.
body="outcome=$OUTCOME
host=$HOST
reason=$REASON"
PATH=$PATH:/usr/sfw/bin
export PATH
for pause_s in 1 2 4 8 0; do
    if wget -q -O /dev/null --post-data "$body" "$URL"; then
        exit 0
    fi
    sleep $pause_s
done
fail "the report was not taken at $URL"
