# Stands in for docker.io/apache/kafka:4.1.0 on a machine that pulls no images: the same jars from Maven (platform/kafka/broker.sh; their
# folder is the context), Debian's Java, and of the image's contract what compose.yaml uses: its user, folders, variables, the file
# under /mnt/shared/config, read by the image's own KafkaDockerWrapper, which is in the jars.
FROM docker.io/library/debian:12-slim
RUN apt-get update -q \
    && apt-get install -y -q --no-install-recommends openjdk-17-jre-headless \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 1000 --create-home --shell /bin/bash appuser \
    && mkdir -p /opt/kafka/config /opt/kafka/logs /etc/kafka/docker /etc/kafka/secrets /mnt/shared/config /var/lib/kafka/data \
    && chown -R appuser /opt/kafka /etc/kafka /mnt/shared /var/lib/kafka
COPY lib /opt/kafka/libs
COPY --from=scripts --chmod=0755 kafka.sh /etc/kafka/docker/run
COPY --from=scripts kafka.log4j2.yaml /etc/kafka/docker/log4j2.yaml
COPY --from=scripts kafka.log4j2.yaml /etc/kafka/docker/tools-log4j2.yaml
USER appuser
LABEL banyan.stand-in=true
CMD ["/etc/kafka/docker/run"]
