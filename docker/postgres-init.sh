#!/bin/sh
# Runs once, on an empty database: the logins of public-api, play-gateway and rss-proxy, in the roles to which the migrations grant their tables.
set -eu
psql -v ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" -v public_api="$PUBLIC_API_PASSWORD" \
  -v play_gateway="$PLAY_GATEWAY_PASSWORD" -v rss_proxy="$RSS_PROXY_PASSWORD" <<'SQL'
CREATE ROLE balados_site_reader NOLOGIN;
CREATE ROLE balados_public_api LOGIN PASSWORD :'public_api' IN ROLE balados_site_reader;
CREATE ROLE balados_token_reader NOLOGIN;
CREATE ROLE balados_play_gateway LOGIN PASSWORD :'play_gateway' IN ROLE balados_token_reader;
CREATE ROLE balados_feed_reader NOLOGIN;
CREATE ROLE balados_rss_proxy LOGIN PASSWORD :'rss_proxy' IN ROLE balados_feed_reader;
SQL
