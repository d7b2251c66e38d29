#!/bin/bash
# As the image: the mounted file and variables become the settings, the folder is formatted once, the broker runs.
set -euo pipefail
run=(java -XX:+UseSerialGC "-Dlog4j2.configurationFile=/opt/kafka/config/log4j2.yaml" -cp '/opt/kafka/libs/*')
export CLUSTER_ID=${CLUSTER_ID:-5L6g3nShT-eMCtK--X86sw}
made=$(java -Xmx128m -cp '/opt/kafka/libs/*' kafka.docker.KafkaDockerWrapper setup --default-configs-dir /etc/kafka/docker \
    --mounted-configs-dir /mnt/shared/config --final-configs-dir /opt/kafka/config 2>&1) \
    || grep -qi 'already formatted' <<<"$made" || { echo "$made"; exit 1; }
# shellcheck disable=SC2086
exec "${run[@]}" ${KAFKA_HEAP_OPTS:--Xmx512m} kafka.Kafka /opt/kafka/config/server.properties
