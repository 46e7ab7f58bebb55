export { startEventStore, type EventStore, type EventStoreOptions } from './eventstore/server';
