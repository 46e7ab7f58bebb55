# One image for all services: SERVICE names the app to run.
FROM node:20-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts
COPY . .
RUN for app in command-api projections public-api rss-proxy play-gateway jobs; do node tools/build.mjs $app; done
RUN npm prune --omit=dev --ignore-scripts

FROM node:20-bookworm-slim
ENV NODE_ENV=production PORT=4000
WORKDIR /app
COPY --from=build /app/node_modules node_modules
COPY --from=build /app/dist/apps dist/apps
COPY --from=build /app/package.json ./
# The journal of play-gateway, which a volume may stand in for.
RUN mkdir /data && chown node:node /data
USER node
EXPOSE 4000
CMD ["sh", "-c", "exec node --enable-source-maps dist/apps/$SERVICE/main.js"]
