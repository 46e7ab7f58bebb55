#!/bin/sh
# A login for each service, in the roles that it acts in, for a database that is to be or is: run again, it sets the passwords. What the roles
# may do, the services' migrations grant. Run by the image of Postgres when it makes its database, or by hand as an administrator, with
# POSTGRES_USER, POSTGRES_DB and PGHOST; passwords of letters and digits.
set -eu
psql -qtA -v ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" \
  -v projections="$PROJECTIONS_PASSWORD" -v command_api="$COMMAND_API_PASSWORD" -v public_api="$PUBLIC_API_PASSWORD" \
  -v jobs="$JOBS_PASSWORD" -v rss_proxy="$RSS_PROXY_PASSWORD" -v play_gateway="$PLAY_GATEWAY_PASSWORD" <<'SQL'
BEGIN;
-- The owners own the tables of their context: who migrates, and who makes tables anew or partitions.
CREATE TEMPORARY TABLE wanted (login text, roles text[]);
INSERT INTO wanted VALUES
  ('balados_projections', '{balados_users_owner,balados_site_owner}'),
  ('balados_command_api', '{balados_accounts_writer,balados_podcasts_reader}'),
  ('balados_public_api', '{balados_site_reader}'),
  ('balados_jobs', '{balados_users_cleaner,balados_site_owner}'),
  ('balados_rss_proxy', '{balados_feed_reader}'),
  ('balados_play_gateway', '{balados_token_reader}');
SELECT DISTINCT format('CREATE ROLE %I NOLOGIN', role) FROM wanted, unnest(roles) AS role
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role) \gexec
-- NOINHERIT: a session may do what the role may that its URL names (options=-c role=…), and nothing without one.
SELECT format('CREATE ROLE %I LOGIN NOINHERIT', login) FROM wanted
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = login) \gexec
SELECT format('GRANT %s TO %I', array_to_string(roles, ', '), login) FROM wanted \gexec
SELECT format('GRANT CREATE ON DATABASE %I TO balados_users_owner, balados_site_owner', current_database()) \gexec
ALTER ROLE balados_projections PASSWORD :'projections';
ALTER ROLE balados_command_api PASSWORD :'command_api';
ALTER ROLE balados_public_api PASSWORD :'public_api';
ALTER ROLE balados_jobs PASSWORD :'jobs';
ALTER ROLE balados_rss_proxy PASSWORD :'rss_proxy';
ALTER ROLE balados_play_gateway PASSWORD :'play_gateway';
COMMIT;
SQL
