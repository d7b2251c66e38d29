#!/bin/bash
# Whether this container answers 200 on its own loopback: probe PORT PATH. The image has no HTTP client.
exec 3<>"/dev/tcp/127.0.0.1/$1" || exit 1
printf 'GET %s HTTP/1.0\r\nHost: localhost\r\n\r\n' "$2" >&3
read -r -t 3 _ status _ <&3 && [ "$status" = 200 ]
