export type { Log } from './keep-running';
export { postgresUrl } from './postgres/cluster';
export { runAsChild, superviseChild, type SupervisedChild } from './supervise';
export { startEventStore, type EventStore, type EventStoreOptions } from './eventstore/server';
export { type EmbeddedPostgres, startPostgres } from './postgres/start';
