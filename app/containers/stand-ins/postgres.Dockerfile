# Stands in for docker.io/library/postgres:17 on a machine that pulls no images: the same server (17.6; the context, as Maven has it for
# others' tests), Debian's clients, and of the image's contract what compose.yaml uses: its user, folders, variables and entry point.
FROM docker.io/library/debian:12-slim
RUN apt-get update -q \
    && apt-get install -y -q --no-install-recommends libxml2 postgresql-client-15 unzip xz-utils \
    && rm -rf /var/lib/apt/lists/*
COPY *.jar /tmp/server.jar
RUN mkdir -p /usr/lib/postgresql/17 && unzip -q /tmp/server.jar '*.txz' -d /tmp \
    && tar -C /usr/lib/postgresql/17 -xJf /tmp/*.txz && rm /tmp/server.jar /tmp/*.txz \
    && groupadd --system --gid 999 postgres \
    && useradd --system --uid 999 --gid 999 --home-dir /var/lib/postgresql --shell /bin/bash postgres \
    && install -d -o postgres -g postgres -m 1777 /var/lib/postgresql/data && install -d -o postgres -g postgres -m 3777 /var/run/postgresql \
    && mkdir /docker-entrypoint-initdb.d
COPY --from=scripts --chmod=0755 postgres.sh /usr/local/bin/docker-entrypoint.sh
ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/lib/postgresql/17/bin PGDATA=/var/lib/postgresql/data LANG=C.UTF-8
VOLUME /var/lib/postgresql/data
STOPSIGNAL SIGINT
LABEL banyan.stand-in=true
ENTRYPOINT ["docker-entrypoint.sh"]
CMD ["postgres"]
