# One image for all services: SERVICE names the app to run.
FROM node:20-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts
COPY . .
RUN for app in command-api projections public-api rss-proxy play-gateway jobs; do node tools/build.mjs $app; done
# A build holds its packages: what it loads beside, of production dependencies, is all of node_modules that the image has.
RUN node deploy/image-modules.mjs /image/node_modules

FROM node:20-bookworm-slim
ENV NODE_ENV=production PORT=4000
WORKDIR /app
COPY --from=build /image/node_modules node_modules
COPY --from=build /app/dist/apps dist/apps
# The journal of play-gateway; a volume takes its place, and with it who owns it.
RUN mkdir /data && chown node:node /data
# By number, so that Kubernetes sees that it is not root.
USER 1000:1000
EXPOSE 4000
# Without curl: alive, by its own port. Whether it serves (/readyz) is the proxy's to ask.
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s --retries=3 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:' + process.env.PORT + '/healthz').then((a) => process.exit(a.ok ? 0 : 1), () => process.exit(1))"]
CMD ["sh", "-c", "exec node --enable-source-maps dist/apps/$SERVICE/main.js"]
