# Stands in for docker.io/library/rust on a machine that pulls no images: Debian's C compiler, and the toolchain of this machine, whose
# folder is the context (`rustc --print sysroot`).
FROM docker.io/library/debian:12-slim
RUN apt-get update -q \
    && apt-get install -y -q --no-install-recommends ca-certificates gcc g++ git libc6-dev libssl-dev make pkg-config zlib1g-dev \
    && rm -rf /var/lib/apt/lists/*
COPY bin/cargo bin/rustc /usr/local/bin/
COPY lib /usr/local/lib
ENV CARGO_HOME=/usr/local/cargo
LABEL banyan.stand-in=true
