#!/bin/sh
# Runs once, on an empty database: the login of public-api, in the role to which the site's migration grants its tables.
set -eu
psql -v ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" -v password="$PUBLIC_API_PASSWORD" <<'SQL'
CREATE ROLE balados_site_reader NOLOGIN;
CREATE ROLE balados_public_api LOGIN PASSWORD :'password' IN ROLE balados_site_reader;
SQL
