# What a dom0 without a screen does not need.
for service in $SERVICES; do
    if svcs -H "$service" >/dev/null 2>&1; then
        svcadm disable "$service" || fail "$service could not be disabled"
    else
        echo "$service is not here"
    fi
done
