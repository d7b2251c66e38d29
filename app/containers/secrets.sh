#!/bin/sh
# Draws the secrets of a shop in containers into the folder $1 (.secrets unless told), one file for each container, once: each has
# what it needs and nobody else's.
set -eu
umask 077
folder=${1:-.secrets}
[ ! -e "$folder" ] || { echo "$folder is there; secrets are drawn once, and belong to the volumes that were made with them" >&2; exit 1; }
mkdir -p "$folder"
drawn() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }

echo "POSTGRES_PASSWORD=$(drawn)" >"$folder/postgres.env"
for name in shop catalog inventory payments shipping orders notifications; do
    password=$(drawn)
    echo "$(echo "$name" | tr '[:lower:]' '[:upper:]')_PASSWORD=$password" >>"$folder/postgres.env"
    echo "DATABASE_URL=postgres://${name}_owner:$password@postgres:5432/$name" >"$folder/$name.env"
done

# A gateway or a carrier of your own: put its secret here, and its address into compose.yaml.
gateway=$(drawn) control=$(drawn) webhook=whsec_$(drawn)
printf 'BANYAN_GATEWAY_SECRET=%s\nBANYAN_CONTROL_TOKEN=%s\nBANYAN_WEBHOOK_SECRET=%s\n' "$gateway" "$control" "$webhook" >"$folder/sandbox.env"
printf 'BANYAN_GATEWAY_SECRET=%s\nBANYAN_CONTROL_TOKEN=%s\nBANYAN_WEBHOOK_SECRETS=%s\n' "$gateway" "$control" "$webhook" >>"$folder/shop.env"
echo "BANYAN_GATEWAY_SECRET=$gateway" >>"$folder/payments.env"
echo "BANYAN_CARRIER_SECRET=$gateway" >>"$folder/shipping.env"
