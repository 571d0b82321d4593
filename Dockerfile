# Production image: dependencies without the tools of development, a user without rights, a health check.
FROM node:24-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm install --no-save --omit=dev --ignore-scripts

FROM node:24-slim
ENV NODE_ENV=production DATA_DIR=/data
WORKDIR /app
COPY --from=dependencies /app/node_modules ./node_modules
COPY package.json ./
COPY proto ./proto
COPY src ./src
COPY workers ./workers
COPY web ./web
RUN mkdir /data && chown node:node /data
USER node
VOLUME /data
EXPOSE 8081
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT || 8081}/health/ready`).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
# Not through npm: the process gets SIGTERM itself, and drains.
# The semi-space: the primary makes garbage for each connection, and V8 would keep 30 MB for it (docs/BENCHMARKS.md).
CMD ["node", "--disable-proto=delete", "--max-semi-space-size=8", "src/main.ts"]
