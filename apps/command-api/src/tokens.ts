/** What is injected under each: `AccountsParts`, `Config`. */
export const ACCOUNTS = Symbol('accounts');
export const CONFIG = Symbol('config');
