# One image for every process. CPU: docker build -t graftline .
# GPU: docker build -t graftline --build-arg ENGINE=gpu .
FROM python:3.11-slim
ARG ENGINE=cpu
# What pip compiles with, what the CPU engine links, and what ends orphaned processes.
RUN apt-get update \
    && apt-get install -y --no-install-recommends g++ libnuma1 \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /opt/graftline
COPY pyproject.toml constraints.txt README.md ./
COPY deploy/install.sh deploy/install.sh
COPY registry registry
COPY service service
COPY trainer trainer
COPY evals evals
COPY examples/tiny-base examples/tiny-base
RUN if [ "$ENGINE" = gpu ]; then \
        python3.11 -m venv /opt/venv && /opt/venv/bin/pip install --no-cache-dir '.[gpu]'; \
    else \
        PIP_NO_CACHE_DIR=1 bash deploy/install.sh /opt/venv '.[cpu]'; \
    fi \
    && useradd --uid 10001 --create-home graftline \
    && install -d -o graftline /data

USER graftline
WORKDIR /data
ENV PATH=/opt/venv/bin:$PATH \
    GRAFTLINE_DATA_DIR=/data \
    GRAFTLINE_HOST=0.0.0.0
VOLUME /data
EXPOSE 8080
HEALTHCHECK --start-period=5m CMD ["graftline", "healthy", "http://127.0.0.1:8080/health/ready"]
CMD ["graftline", "up"]
