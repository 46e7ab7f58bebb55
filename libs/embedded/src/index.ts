export type { Log } from './keep-running';
export { runAsChild, superviseChild, type SupervisedChild } from './supervise';
export { postgresUrl } from './postgres/cluster';
export { type EmbeddedPostgres, startPostgres } from './postgres/start';
