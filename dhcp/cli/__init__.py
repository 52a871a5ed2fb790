"""Sun's commands of the DHCP service: dhcpconfig, dhtadm, pntadm, on every datastore that the records have."""
