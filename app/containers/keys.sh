# Run once, before all others: a key for each process that calls others, to sign with, in a volume that only that process is given,
# and the public halves in one that all may read. A key that is there stays.
set -eu
for who in shop inventory shipping orders notifications; do
    banyan service-key "/keys/$who/$who.pem" >/dev/null
    cp "/keys/$who/$who.pub.pem" /keys/public/
done
