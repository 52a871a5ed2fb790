# Reports home: OUTCOME is installed or failed, REASON says why it failed. Either server may take it.
body="outcome=$OUTCOME
host=$HOST
reason=$REASON"
PATH=$PATH:/usr/sfw/bin
export PATH
for pause_s in 1 2 4 8 0; do
    for url in $URLS; do
        if wget -q -t 1 -T 30 -O /dev/null --post-data "$body" "$url"; then
            exit 0
        fi
    done
    sleep $pause_s
done
fail "the report was not taken at $URLS"
