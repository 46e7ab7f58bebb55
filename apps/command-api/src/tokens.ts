/** What is injected under each: `AccountsParts`, `Config`, `PopularPodcasts`. */
export const ACCOUNTS = Symbol('accounts');
export const CONFIG = Symbol('config');
export const POPULAR_PODCASTS = Symbol('popular podcasts');
