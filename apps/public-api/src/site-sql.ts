/** Injection token of the connection to the `site` context: `Sql`. */
export const SITE_SQL = Symbol('site sql');
