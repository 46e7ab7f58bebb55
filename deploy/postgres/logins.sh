#!/bin/sh
# Once, on an empty database: a login for each service, in the roles that it acts in. What those may do, the services' migrations grant.
# Run by the image of Postgres when it makes its database, or by hand as an administrator; passwords of letters and digits.
set -eu
psql -v ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" \
  -v projections="$PROJECTIONS_PASSWORD" -v command_api="$COMMAND_API_PASSWORD" -v public_api="$PUBLIC_API_PASSWORD" \
  -v jobs="$JOBS_PASSWORD" -v rss_proxy="$RSS_PROXY_PASSWORD" -v play_gateway="$PLAY_GATEWAY_PASSWORD" <<'SQL'
-- They own the tables of their context: who migrates, and who makes tables anew or partitions.
CREATE ROLE balados_users_owner NOLOGIN;
CREATE ROLE balados_site_owner NOLOGIN;
SELECT format('GRANT CREATE ON DATABASE %I TO balados_users_owner, balados_site_owner', current_database()) \gexec
CREATE ROLE balados_accounts_writer NOLOGIN;
CREATE ROLE balados_users_cleaner NOLOGIN;
CREATE ROLE balados_site_reader NOLOGIN;
CREATE ROLE balados_feed_reader NOLOGIN;
CREATE ROLE balados_token_reader NOLOGIN;
-- NOINHERIT: a session may do what the role may that its URL names (options=-c role=…), and nothing without one.
CREATE ROLE projections LOGIN NOINHERIT PASSWORD :'projections' IN ROLE balados_users_owner, balados_site_owner;
CREATE ROLE command_api LOGIN NOINHERIT PASSWORD :'command_api' IN ROLE balados_accounts_writer;
CREATE ROLE public_api LOGIN NOINHERIT PASSWORD :'public_api' IN ROLE balados_site_reader;
CREATE ROLE jobs LOGIN NOINHERIT PASSWORD :'jobs' IN ROLE balados_users_cleaner, balados_site_owner;
CREATE ROLE rss_proxy LOGIN NOINHERIT PASSWORD :'rss_proxy' IN ROLE balados_feed_reader;
CREATE ROLE play_gateway LOGIN NOINHERIT PASSWORD :'play_gateway' IN ROLE balados_token_reader;
SQL
